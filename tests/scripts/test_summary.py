"""What `make test` says at its end is what happened."""

import os
import pathlib
import re
import signal
import subprocess
import sys

import pytest
import run_tests as summary

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent

CARGO = """
     Running tests/golden.rs (target/release/deps/golden-1)
running 4 tests
test masks ... ok
test losses ... ok
test gradients ... FAILED
test slow ... ignored, needs a GPU
SKIPPED: losses: the data has none
test result: FAILED. 2 passed; 1 failed; 1 ignored; 0 measured; 0 filtered out; finished in 1.00s
     Running tests/convert.rs (target/release/deps/convert-1)
test shards ... ok
test result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1.00s
"""


def test_cargo_results_are_added_up_and_named():
    count = summary.count_cargo(CARGO, 101)
    assert count.passed == 2
    assert count.failed == ['gradients']
    assert count.skipped == [('slow', 'needs a GPU'), ('losses', 'the data has none')]


def test_what_did_not_compile_or_crashed_has_failed():
    assert summary.count_cargo('error[E0425]: cannot find value', 101).failed == ['cargo test did not run (exit status 101)']
    crashed = "  process didn't exit successfully: `/x/deps/golden-1 --show-output` (signal: 6, SIGABRT: process abort signal)"
    assert summary.count_cargo(crashed, 101).failed == ['golden-1 crashed (signal: 6, SIGABRT: process abort signal)']


def test_that_nothing_ran_is_a_failure_unless_nothing_need_be_there():
    empty = 'test result: ok. 0 passed; 0 failed; 0 ignored; 0 measured'
    assert summary.count_cargo(empty, 0).failed == ['no test ran']
    assert summary.count_cargo(empty, 0, may_be_empty=True).failed == []


def test_pytest_results_are_read_from_its_report(tmp_path):
    report = tmp_path / 'report.xml'
    cases = """import pytest
def test_good(): pass
def test_bad(): assert False
def test_elsewhere(): pytest.skip('needs rviz')
@pytest.fixture
def broken(): raise OSError('no')
def test_unset(broken): pass
"""
    (tmp_path / 'test_some.py').write_text(cases)
    run = subprocess.run([sys.executable, '-m', 'pytest', '-q', '-p', 'no:cacheprovider', f'--junitxml={report}', tmp_path],
                         stdout=subprocess.DEVNULL)
    count = summary.count_pytest(report, run.returncode)
    assert count.passed == 1
    assert sorted(name.split('::')[1] for name in count.failed) == ['test_bad', 'test_unset']
    assert [(name.split('::')[1], reason) for name, reason in count.skipped] == [('test_elsewhere', 'needs rviz')]


def test_a_pytest_that_wrote_no_report_or_half_of_one_has_failed(tmp_path):
    assert summary.count_pytest(tmp_path / 'none.xml', 4).failed == ['pytest ended early (exit status 4)']
    half = tmp_path / 'half.xml'
    half.write_text('<testsuites><testsuite><testcase classname="a" name="b"/>')
    found = summary.count_pytest(half, 3)
    assert len(found.failed) == 1 and 'cannot be read' in found.failed[0]


def test_the_closing_line_adds_up_and_decides_the_exit_status(capsys):
    results = [
        ('format', summary.Count(passed=1), 1.0),
        ('golden', summary.count_cargo(CARGO, 101), 2.0),
    ]
    assert summary.summarise(results, None) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == '3 passed, 1 failed, 2 skipped'
    assert '  golden: gradients' in lines
    assert '  golden: slow: needs a GPU' in lines
    assert any(line.startswith('  FAILED  golden') for line in lines)
    assert summary.summarise(results[:1], None) == 0
    assert summary.summarise(results[:1], 'golden') == 130


def test_every_part_runs_though_one_fails(tmp_path, monkeypatch, capfd):
    fails = summary.Part('first', 'fails', 0, (summary.Command(('false',)), summary.Command(('true',))))
    passes = summary.Part('second', 'passes', 0, (summary.Command(('true',)),))
    monkeypatch.setattr(summary, 'PARTS', (fails, passes))
    monkeypatch.setitem(summary.GROUPS, 'all', ('first', 'second'))
    monkeypatch.setattr(summary, 'LOGS', tmp_path)
    monkeypatch.setattr(sys, 'argv', ['run_tests.py'])
    assert summary.main() == 1
    said = capfd.readouterr().out.splitlines()
    assert said[0].startswith('test: 2 parts, about')
    assert said[-1] == '2 passed, 1 failed, 0 skipped'


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_ended_from_outside_it_says_how_far_it_came_and_leaves_nothing_running(tmp_path, number):
    program = f"""
import pathlib, sys
sys.path.insert(0, {str(ROOT / 'scripts')!r})
import run_tests as summary
parts = [summary.Part(name, 'waits', 0, (summary.Command(words),)) for name, words in (
    ('first', ('true',)), ('second', ('bash', '-c', 'echo $$; exec sleep 600')), ('third', ('true',)))]
summary.PARTS, summary.LOGS = tuple(parts), pathlib.Path({str(tmp_path)!r})
summary.GROUPS['all'] = ('first', 'second', 'third')
sys.argv = ['run_tests.py']
sys.exit(summary.main())
"""
    runner = subprocess.Popen([sys.executable, '-c', program], stdout=subprocess.PIPE, text=True)
    lines = iter(runner.stdout.readline, '')
    child = next(int(line) for line in lines if line.strip().isdigit())
    runner.send_signal(number)
    rest = runner.stdout.read().splitlines()
    assert runner.wait() == 130
    assert rest[-2:] == ['interrupted in second; what came after it was not run', '1 passed, 0 failed, 0 skipped']
    with pytest.raises(ProcessLookupError):
        os.kill(child, 0)


def test_a_part_whose_output_cannot_be_kept_has_failed_and_the_next_one_runs(tmp_path, monkeypatch, capfd):
    talks = summary.Part('first', 'talks', 0, (summary.Command(('bash', '-c', 'while echo words; do sleep 0.01; done')),))
    passes = summary.Part('second', 'passes', 0, (summary.Command(('true',)),))
    monkeypatch.setattr(summary, 'PARTS', (talks, passes))
    monkeypatch.setitem(summary.GROUPS, 'all', ('first', 'second'))
    monkeypatch.setattr(summary, 'LOGS', tmp_path)
    monkeypatch.setattr(sys, 'argv', ['run_tests.py'])
    # As on a full disk: it can be opened, and every write fails.
    (tmp_path / 'first.log').symlink_to('/dev/full')
    assert summary.main() == 1
    said = capfd.readouterr().out.splitlines()
    assert any('No space left on device' in line for line in said)
    assert said[-1] == '1 passed, 1 failed, 0 skipped'


@pytest.mark.parametrize('words', [['nonsense'], ['--threads', '0'], ['--threads', '1;2']])
def test_wrong_words_are_refused_before_anything_runs(words, monkeypatch, capfd):
    monkeypatch.setattr(sys, 'argv', ['run_tests.py', *words])
    with pytest.raises(SystemExit) as ended:
        summary.main()
    assert ended.value.code == 2
    assert words[-1] in capfd.readouterr().err


def test_no_test_is_forgotten():
    """Every target of cargo and every folder of pytest is in exactly one part."""
    # A part may run a target twice, with another environment.
    parts = [{word for command in part.commands for word in command.words} for part in summary.PARTS]
    words = [word for part in parts for word in part]
    for target in (ROOT / 'tests').glob('*.rs'):
        assert words.count(target.stem) == 1, f'{target.name} is in no part, or in two'
    for folder in {path.parent for path in (ROOT / 'tests').rglob('test_*.py')}:
        assert words.count(str(folder.relative_to(ROOT))) == 1, f'{folder} is in no part, or in two'
    assert {'--lib', '--bins', '--doc'} <= set(words)


def test_every_script_is_well_formed():
    scripts = sorted((ROOT / 'scripts').glob('*.sh'))
    assert scripts
    for script in scripts:
        checked = subprocess.run(['bash', '-n', script], capture_output=True, text=True)
        assert checked.returncode == 0, checked.stderr
        assert re.match(r'#!/usr/bin/env bash\n|# Puts ROS 2', script.read_text()), f'{script.name} does not say what runs it'
