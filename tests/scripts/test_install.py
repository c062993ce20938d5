"""`make install` gives a shell the program and its model, and nothing of the checkout is needed then."""

import json
import os
import pathlib
import shutil
import stat
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent


def install(home, **environment):
    return subprocess.run([ROOT / 'scripts/install.sh'], cwd=home, capture_output=True, text=True,
                          env={'PATH': os.environ['PATH'], 'HOME': str(home), **environment})


def files_of(folder):
    """The files of a folder and of those in it, the pictures of a model's card among them."""
    return {f.relative_to(folder) for f in folder.rglob('*') if f.is_file()}


@pytest.fixture
def home(tmp_path):
    assert (ROOT / 'target/release/lisa').exists(), 'run make build first'
    return tmp_path


def test_the_program_and_its_models_are_installed_for_everybody(home):
    done = install(home)
    assert done.returncode == 0, done.stderr
    prefix = home / '.local'
    model = prefix / 'share/lisa_ros/models/lisa-mini'
    assert files_of(model) == files_of(ROOT / 'models/lisa-mini')
    for file in (*(model / f for f in files_of(model)), prefix / 'bin/lisa'):
        assert stat.S_IMODE(file.stat().st_mode) & 0o444 == 0o444, file
    assert f'{prefix}/bin is not on the PATH' in done.stderr
    # Its own model is found, by default and by name, from a folder that has nothing to do with the checkout.
    for named in ([], ['--model', 'lisa-mini']):
        picture = ROOT / 'docs/demo.png'
        said = subprocess.run([prefix / 'bin/lisa', '-v', 'segment', *named, '--image', picture, '--instruction', 'the remote control',
                               '--json', '--out', home / 'out'], cwd=home, capture_output=True, text=True)
        assert said.returncode == 0, said.stderr
        assert json.loads(said.stdout.splitlines()[0]), said.stdout
        assert str(model) in said.stderr, said.stderr


def test_prefix_and_destdir_say_where(home):
    done = install(home, PREFIX='/usr', DESTDIR=str(home / 'package'), PATH=f'/usr/bin:{os.environ["PATH"]}')
    assert done.returncode == 0, done.stderr
    assert (home / 'package/usr/bin/lisa').exists()
    assert 'is not on the PATH' not in done.stderr


def test_a_place_that_cannot_be_written_is_told(home):
    (home / 'file').write_text('')
    done = install(home, PREFIX=str(home / 'file'))
    assert done.returncode == 1
    assert 'install: cannot write to' in done.stderr and 'accepted: ' in done.stderr


def test_a_home_that_the_shell_left_as_it_is_becomes_one(home):
    for prefix, where in (('~/apps', home / 'apps'), ('~', home)):
        done = install(home, PREFIX=prefix)
        assert done.returncode == 0, done.stderr
        assert (where / 'bin/lisa').exists()
    done = install(home, PREFIX='~somebody/apps')
    assert done.returncode == 1
    assert 'PREFIX=~somebody/apps; accepted: a path' in done.stderr
    assert not list(ROOT.glob('~*'))


def test_what_a_relative_prefix_is_relative_to_is_told(home):
    done = install(home, PREFIX='target/test-install')
    assert done.returncode == 0, done.stderr
    assert f'PREFIX=target/test-install is taken from {ROOT}' in done.stderr
    shutil.rmtree(ROOT / 'target/test-install')
