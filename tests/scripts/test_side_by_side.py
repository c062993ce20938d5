"""`make bench` runs both sides in turn, keeps what it has when a side fails, and refuses what it does not know."""

import json
import pathlib
import subprocess
import sys

import pytest
import side_by_side

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
MACHINE = {'gemm_gflops': 100.0, 'copy_gbytes': 20.0}


class Options:
    threads, cycles, lisa = 2, 3, 'lisa'


@pytest.fixture
def run(tmp_path, monkeypatch):
    """A run whose programs are not started; `log` tells in which order they would have been."""
    monkeypatch.setattr(side_by_side, 'ROOT', tmp_path)
    log = []

    def output_of(words):
        words = [str(word) for word in words]
        if words[0] == 'lisa':
            log.append('ours')
            seconds = {'median': 1.0, 'min': 1.0, 'max': 1.0, 'spread': 0.0, 'count': 1}
            return {'stages': [{'stage': 'sam', 'seconds': seconds, 'gflop': 1.0}], 'prompt': 9, 'tokens': 4, 'peak_rss': 1e9,
                    'machine': MACHINE}
        variant = words[words.index('--sam-attention') + 1]
        log.append(variant)
        return {'variant': variant, 'stages': {'sam': [2.0 if variant == 'sdpa' else 1.5]}, 'peak_rss': 2e9, 'machine': MACHINE,
                'torch': '2', 'transformers': '5'}

    monkeypatch.setattr(side_by_side, 'output_of', output_of)
    made = side_by_side.Run(Options)
    made.log = log
    return made


def test_the_sides_alternate_and_the_faster_attention_goes_on(run, tmp_path):
    run.answers('small')
    assert run.log == ['ours', 'sdpa', 'eager', 'eager', 'ours', 'ours', 'eager']
    written = json.loads((tmp_path / 'bench' / 'side_by_side.json').read_text())
    peers = written['shapes']['small']['answers']['peers']
    assert [peer['cycle'] for peer in peers] == [0, 0, 1, 2]
    assert '| SAM encoder | 1 | 1.5 | 0.67' in (tmp_path / 'bench' / 'side_by_side.md').read_text()


def test_what_was_measured_before_a_failure_is_kept(run, tmp_path, monkeypatch):
    whole = side_by_side.output_of

    def fails_later(words):
        if len(run.log) == 3:
            raise subprocess.CalledProcessError(1, ['x'])
        return whole(words)

    monkeypatch.setattr(side_by_side, 'output_of', fails_later)
    with pytest.raises(subprocess.CalledProcessError):
        run.answers('small')
    written = json.loads((tmp_path / 'bench' / 'side_by_side.json').read_text())
    assert len(written['shapes']['small']['answers']['peers']) == 2


def test_the_last_line_of_a_program_is_its_report():
    assert side_by_side.output_of([sys.executable, '-c', 'print("loading"); print(\'{"a": 1}\')']) == {'a': 1}


@pytest.mark.parametrize('words, said', [
    (['--shapes', 'small,large'], 'accepted: small, sam-h, lisa-mini, lisa-7b'),
    (['--cycles', '0'], 'accepted: 1 or more'),
    (['--threads', '-1'], 'accepted: 1 or more'),
])
def test_what_it_does_not_know_is_refused(words, said):
    program = [sys.executable, str(ROOT / 'scripts' / 'side_by_side.py'), '--lisa', 'lisa']
    done = subprocess.run([*program, *words], stderr=subprocess.PIPE, text=True)
    assert done.returncode == 2 and said in done.stderr
