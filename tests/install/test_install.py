"""`make install` gives a shell the program, its pages, completions and model, and nothing of the checkout is needed then."""

import json
import os
import pathlib
import shutil
import stat
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
PROGRAM = ROOT / 'target/release/lisa'
PICTURE = ROOT / 'docs/demo.png'


def install(home, *arguments, **environment):
    return subprocess.run([ROOT / 'scripts/install.sh', *arguments], cwd=home, capture_output=True, text=True,
                          env={'PATH': os.environ['PATH'], 'HOME': str(home), **environment})


def files_of(folder):
    """The files of a folder and of those in it, the pictures of a model's card among them."""
    return {f.relative_to(folder) for f in folder.rglob('*') if f.is_file()}


def everything_in(folder):
    return sorted(str(f.relative_to(folder)) for f in folder.rglob('*'))


def answers(program, home, *named, **environment):
    """What a program answers about a picture, from a folder that has nothing to do with the checkout: JSON and log."""
    said = subprocess.run([program, '-v', 'segment', *named, '--image', PICTURE, '--instruction', 'the remote control',
                           '--json', '--out', home / 'out'], cwd=home, capture_output=True, text=True,
                          env={'PATH': '/usr/bin:/bin', 'HOME': str(home), **environment})
    assert said.returncode == 0, said.stderr
    return json.loads(said.stdout.splitlines()[0]), said.stderr


@pytest.fixture
def home(tmp_path):
    assert PROGRAM.exists(), 'run make build first'
    yield tmp_path
    # Fifty megabytes each, and pytest keeps the folders of three runs.
    shutil.rmtree(tmp_path)


def test_the_program_and_its_model_are_installed_for_everybody(home):
    # A model of one's own, which is nobody else's, and a umask that lets nobody else read.
    own = ROOT / 'models/own-model-of-the-tests'
    own.mkdir()
    try:
        done = subprocess.run(['bash', '-c', f'umask 077; exec "{ROOT}/scripts/install.sh"'], cwd=home, capture_output=True, text=True,
                              env={'PATH': os.environ['PATH'], 'HOME': str(home)})
    finally:
        own.rmdir()
    assert done.returncode == 0, done.stderr
    prefix = home / '.local'
    assert [f.name for f in (prefix / 'share/lisa_ros/models').iterdir()] == ['lisa-mini']
    assert stat.S_IMODE((prefix / 'share/lisa_ros').stat().st_mode) == 0o755
    model = prefix / 'share/lisa_ros/models/lisa-mini'
    assert files_of(model) == files_of(ROOT / 'models/lisa-mini')
    for file in files_of(prefix):
        mode = stat.S_IMODE((prefix / file).stat().st_mode)
        assert mode == (0o755 if file == pathlib.Path('bin/lisa') else 0o644), (file, oct(mode))
    assert f'{prefix}/bin is not on the PATH' in done.stderr
    # Its own model is found, by default and by name.
    for named in ([], ['--model', 'lisa-mini']):
        answer, log = answers(prefix / 'bin/lisa', home, *named)
        assert answer and str(model) in log, log


def test_what_a_shell_and_man_and_a_lawyer_look_for_is_installed(home):
    assert install(home).returncode == 0
    share = home / '.local/share'
    for place in ('bash-completion/completions/lisa', 'zsh/site-functions/_lisa', 'fish/vendor_completions.d/lisa.fish'):
        assert '--instruction' in (share / place).read_text(), place
    pages = {f.name for f in (share / 'man/man1').iterdir()}
    assert {'lisa.1', 'lisa-segment.1', 'lisa-bag.1', 'lisa-bag-annotate.1'} <= pages
    assert (share / 'doc/lisa_ros/LICENSE').read_text() == (ROOT / 'LICENSE').read_text()
    notices = (share / 'doc/lisa_ros/THIRD_PARTY_LICENCES.txt').read_text()
    assert 'candle-core' in notices and 'Independent JPEG Group' in notices and 'Apache License' in notices


def test_line_numbers_are_left_out_unless_they_are_asked_for(home):
    if shutil.which('strip') is None:
        pytest.skip('strip is not installed')
    assert install(home, PREFIX=str(home / 'a')).returncode == 0
    assert install(home, PREFIX=str(home / 'b'), STRIP='no').returncode == 0
    assert (home / 'b/bin/lisa').stat().st_size == PROGRAM.stat().st_size > 2 * (home / 'a/bin/lisa').stat().st_size


def test_prefix_and_destdir_say_where(home):
    done = install(home, PREFIX='/usr', DESTDIR=str(home / 'package'), PATH=f'/usr/bin:{os.environ["PATH"]}')
    assert done.returncode == 0, done.stderr
    assert (home / 'package/usr/bin/lisa').exists()
    assert 'is not on the PATH' not in done.stderr


def test_what_is_uninstalled_leaves_no_trace(home):
    prefix = home / 'apps/lisa'
    prefix.parent.mkdir()
    # Twice, because the second one finds the folders there, and they are still its own.
    for _ in range(2):
        assert install(home, PREFIX=str(prefix)).returncode == 0
    done = install(home, '--uninstall', PREFIX=str(prefix))
    assert done.returncode == 0, done.stderr
    assert everything_in(home) == ['apps']
    done = install(home, '--uninstall', PREFIX=str(prefix))
    assert done.returncode == 1 and 'nothing was installed' in done.stderr


def test_what_others_have_put_there_stays(home):
    prefix = home / 'usr'
    (prefix / 'share/man').mkdir(parents=True)
    (home / 'mine.txt').write_text('mine')
    assert install(home, PREFIX=str(prefix)).returncode == 0
    (prefix / 'bin/other').write_text('')
    # A damaged list names what is none of ours.
    with (prefix / 'share/lisa_ros/installed.txt').open('a') as listed:
        listed.write(f'../mine.txt\n{home}/mine.txt\n')
    assert install(home, '--uninstall', PREFIX=str(prefix)).returncode == 0
    assert everything_in(home) == ['mine.txt', 'usr', 'usr/bin', 'usr/bin/other', 'usr/share', 'usr/share/man']


def test_a_newer_version_takes_away_what_it_no_longer_has(home):
    assert install(home).returncode == 0
    share = home / '.local/share'
    gone = share / 'lisa_ros/models/lisa-old/lisa.json'
    gone.parent.mkdir()
    gone.write_text('{}')
    with (share / 'lisa_ros/installed.txt').open('a') as listed:
        listed.write('share/lisa_ros/models/lisa-old/\nshare/lisa_ros/models/lisa-old/lisa.json\n')
    assert install(home).returncode == 0
    assert not gone.exists()
    assert (share / 'lisa_ros/models/lisa-mini/lisa.json').exists()


def test_a_program_from_elsewhere_finds_the_model_that_was_installed_for_it(home):
    """As with `cargo install`, which puts a program into a folder of its own and no data anywhere."""
    program = home / 'cargo/bin/lisa'
    program.parent.mkdir(parents=True)
    try:
        os.link(PROGRAM, program)
    except OSError:
        # On another disk.
        shutil.copy(PROGRAM, program)
    refused = subprocess.run([program, 'segment', '--image', PICTURE, '--instruction', 'x'], cwd=home, capture_output=True, text=True,
                             env={'PATH': '/usr/bin', 'HOME': str(home), 'XDG_DATA_DIRS': str(home)})
    assert refused.returncode == 1 and 'make install-data' in refused.stderr, refused.stderr
    done = install(home, '--data')
    assert done.returncode == 0, done.stderr
    assert not (home / '.local/bin').exists()
    _, log = answers(program, home)
    assert str(home / '.local/share/lisa_ros/models/lisa-mini') in log, log
    assert install(home, '--uninstall').returncode == 0
    # Nothing but what the answer wrote, and the program that came from elsewhere.
    assert {f.parts[0] for f in files_of(home)} == {'cargo', 'out'}


def test_cargo_install_installs_it(home):
    """With the build's own folder and features, so that nothing is compiled: what is tested is that the package can be installed."""
    done = subprocess.run(['cargo', 'install', '--locked', '--path', '.', '--features', 'ros', '--bin', 'lisa', '--root', home,
                           '--target-dir', ROOT / 'target', '--no-track'], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert 'Compiling' not in done.stderr, done.stderr
    said = subprocess.run([home / 'bin/lisa', '--version'], cwd=home, capture_output=True, text=True)
    assert said.returncode == 0 and said.stdout.startswith('lisa '), said


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
