"""The page of `make bench` says what was measured, and an unfinished measurement gives a page, too."""

import json
import pathlib
import subprocess
import sys

import bench_table

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
MACHINE = {'gemm_gflops': 100.0, 'copy_gbytes': 20.0}


def stage(name, median, **work):
    return {'stage': name, 'seconds': {'median': median, 'min': median, 'max': median, 'spread': 0.0, 'count': 1}, **work}


def ours(sam, token=0.1, peak=2e9):
    return {
        'stages': [stage('sam', sam, gflop=80.0), stage('token', token, gbytes=1.0), stage('answer', 2 * sam)],
        'prompt': 305, 'tokens': 20, 'peak_rss': peak, 'machine': MACHINE,
    }


def peer(cycle, sam, variant='sdpa', token=(0.1, 0.3, 0.2), peak=4e9):
    return {
        'cycle': cycle, 'variant': variant, 'stages': {'sam': [sam, sam], 'token': list(token), 'answer': [2 * sam]},
        'peak_rss': peak, 'machine': {'gemm_gflops': 160.0, 'copy_gbytes': 10.0}, 'torch': '2.0', 'transformers': '5.0', 'imported_rss': 5e8,
    }


def result(answers, **more):
    return {'measured': '2026-01-01 00:00 UTC', 'commit': 'abc', 'processor': 'a processor', 'threads': 2,
            'shapes': {'small': {'answers': answers}}, **more}


def row_of(text, name):
    return next(line for line in text.splitlines() if line.startswith(f'| {name}'))


def test_ratios_are_those_of_each_cycle_and_the_better_peer_counts():
    answers = {
        'ours': [ours(1.0), ours(2.0), ours(3.0)],
        'peers': [peer(0, 5.0), peer(0, 2.0, 'eager'), peer(1, 2.0, 'eager'), peer(2, 2.0, 'eager')],
    }
    text = bench_table.page(result(answers))
    # 1/2, 2/2 and 3/2; the middle of ours is 2 s, which is 40 GFLOP/s of the 160 that the better yardstick gives.
    assert row_of(text, 'SAM encoder') == '| SAM encoder | 2 | 2 | 1.00 (0.50–1.50) | 25 % of products |'
    # The middle of a process's samples counts: 0.2 s. 1 GB in 0.1 s are 10 GB/s of 20.
    assert row_of(text, 'a token') == '| a token | 0.1 | 0.2 | 0.50 (0.50–0.50) | 50 % of copying |'
    assert row_of(text, 'answer of 20 tokens').startswith('| answer of 20 tokens | 4 | 4 | 1.00')
    assert row_of(text, 'peak RSS') == '| peak RSS, GB | 2.00 | 4.00 | 0.50 (0.50–0.50) |  |'
    assert 'SAM\'s attention by eager' in text and 'interleaved cycles: 3' in text
    assert bench_table.faster_attention(answers['peers']) == 'eager'
    assert 'of whose memory importing takes 0.50 GB' in text


def test_stages_that_one_side_lacks_are_left_out():
    report, other = ours(1.0), peer(0, 2.0)
    report['stages'].append(stage('preprocess', 0.1))
    report['stages'].append(stage('clip', 0.1))
    text = bench_table.page(result({'ours': [report], 'peers': [other]}))
    assert '| CLIP' not in text and 'preprocess' not in text
    assert row_of(text, 'SAM encoder').split('|')[4].strip() == '0.50'


def test_memory_that_the_system_does_not_tell_has_no_row():
    text = bench_table.page(result({'ours': [ours(1.0, peak=None)], 'peers': [peer(0, 2.0)]}))
    assert 'peak RSS' not in text


def test_training_has_a_row_for_each_batch():
    def batches(one, four):
        return [{'batch': size, 'seconds': {'median': time}, 'peak_rss': size * 1e9} for size, time in ((1, one), (4, four))]

    def peers(one, four):
        return [{'batch': size, 'stages': {'lora_step': [time]}, 'peak_rss': 2e9 * size} for size, time in ((1, one), (4, four))]

    measured = result({'ours': [], 'peers': []})
    measured['shapes']['small']['training'] = {
        'ours': [{'batches': batches(8.0, 30.0)}], 'peers': [{'cycle': 0, 'batches': peers(10.0, 40.0)}]}
    text = bench_table.page(measured)
    assert row_of(text, 'LoRA step, batch 1') == '| LoRA step, batch 1 | 8 | 10 | 0.80 |  |'
    assert row_of(text, 'LoRA step, batch 4') == '| LoRA step, batch 4 | 30 | 40 | 0.75 |  |'
    assert row_of(text, 'peak RSS of it, batch 4') == '| peak RSS of it, batch 4, GB | 4.00 | 8.00 | 0.50 |  |'


def test_an_interrupted_measurement_gives_a_page():
    for answers in ({'ours': [], 'peers': []}, {'ours': [ours(1.0)], 'peers': []},
                    {'ours': [ours(1.0), ours(1.0)], 'peers': [peer(0, 2.0)]}):
        assert bench_table.page(result(answers)).startswith('Measured 2026-01-01')
    assert bench_table.page({**result({'ours': [], 'peers': []}), 'shapes': {}})


def test_the_gguf_check_is_told():
    gguf = {'file': 'a.gguf', 'logits_error': 2e-6, 'tokens': 64, 'greedy_equal': True, 'token_seconds': 0.02, 'llama_cpp': None}
    text = bench_table.page(result({'ours': [], 'peers': []}, gguf=gguf))
    assert 'logits differ from transformers\' by 2.0e-06' in text and '64 greedy tokens equal' in text and 'llama.cpp' not in text
    gguf = {**gguf, 'greedy_equal': False, 'llama_cpp': {'token_seconds': 0.01, 'equal_tokens': 40}}
    text = bench_table.page(result({'ours': [], 'peers': []}, gguf=gguf))
    assert 'DIFFERENT' in text and '0.50 of the speed of llama.cpp, which takes 0.01 s' in text


def test_times_have_three_figures():
    assert [bench_table.seconds(t) for t in (123.4, 12.345, 0.031234, 0.00003)] == ['123', '12.3', '0.0312', '3.0e-05']


def test_the_program_reads_a_file(tmp_path):
    file = tmp_path / 'a.json'
    file.write_text(json.dumps(result({'ours': [ours(1.0)], 'peers': [peer(0, 2.0)]})))
    program = [sys.executable, str(ROOT / 'scripts' / 'bench_table.py')]
    done = subprocess.run([*program, str(file)], stdout=subprocess.PIPE, text=True, check=True)
    assert row_of(done.stdout, 'SAM encoder')
    assert subprocess.run(program, stderr=subprocess.DEVNULL).returncode == 2
