"""The Debian package: built, installed by dpkg into a root of its own, used from there, and removed without a trace."""

import hashlib
import json
import os
import pathlib
import re
import shutil
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
PICTURE = ROOT / 'docs/demo.png'
pytestmark = pytest.mark.skipif(shutil.which('dpkg-deb') is None, reason='dpkg is not installed: this is no Debian or Ubuntu')


def run(*words, **options):
    done = subprocess.run(words, capture_output=True, text=True, **options)
    assert done.returncode == 0, f'{words}: {done.stdout}{done.stderr}'
    return done.stdout


def dpkg(root, *words):
    return run('dpkg', f'--root={root}', f'--log={root}/var/lib/dpkg/log', *words)


@pytest.fixture(scope='module')
def package():
    """Built from what scripts/build.sh has left."""
    assert (ROOT / 'target/release/lisa').exists(), 'run make build first'
    shutil.rmtree(ROOT / 'target/debian', ignore_errors=True)
    run(ROOT / 'scripts/deb.sh')
    built, = (ROOT / 'target/debian').glob('*.deb')
    return built


def tree(root):
    """Everything but dpkg's own records."""
    return sorted(str(f.relative_to(root)) for f in root.rglob('*') if 'var/lib/dpkg/' not in f'{f.relative_to(root)}/')


@pytest.fixture(scope='module')
def installed(package, tmp_path_factory):
    """A root with the package in it, whose dpkg knows of nothing else but the libraries of this machine."""
    if os.getuid() != 0:
        pytest.skip('dpkg installs as root only')
    root = tmp_path_factory.mktemp('root')
    records = root / 'var/lib/dpkg'
    (records / 'info').mkdir(parents=True)
    (records / 'updates').mkdir()
    # So that dpkg compares the package's dependencies with what is here, instead of being told to forget them.
    (records / 'status').write_text('\n'.join(run('dpkg-query', '-s', library) for library in ('libc6', 'libgcc-s1')))
    before = tree(root)
    dpkg(root, '--install', package)
    yield root
    dpkg(root, '--purge', 'lisa-ros')
    assert tree(root) == before


def test_the_package_says_what_it_is_and_needs(package):
    said = dict(line.split(': ', 1) for line in run('dpkg-deb', '--field', package).splitlines() if re.match(r'[A-Z]', line))
    version = re.search(r'^\[workspace.package\]\nversion = "(.+)"', (ROOT / 'Cargo.toml').read_text(), re.MULTILINE)[1]
    assert said['Package'] == 'lisa-ros' and said['Version'] == f'{version}-1'
    assert re.search(r'\blibc6 \(>= [\d.]+\)', said['Depends']) and 'libgcc-s1' in said['Depends']
    # In kibibytes: the program and the model are most of it.
    assert 16_000 < int(said['Installed-Size']) < 100_000
    assert len(said['Description']) <= 80


def test_every_file_has_its_checksum_and_nothing_is_outside_of_usr(package, tmp_path):
    run('dpkg-deb', '--raw-extract', package, tmp_path)
    sums = dict(reversed(line.split('  ', 1)) for line in (tmp_path / 'DEBIAN/md5sums').read_text().splitlines())
    files = {str(f.relative_to(tmp_path)) for f in tmp_path.rglob('*') if f.is_file() and 'DEBIAN' not in f.parts}
    assert set(sums) == files
    assert all(name.startswith('usr/') for name in files)
    for name, checksum in sums.items():
        assert hashlib.md5((tmp_path / name).read_bytes()).hexdigest() == checksum, name


def test_neither_the_time_nor_the_user_of_the_build_is_in_it(package):
    """Both would make two packages of one commit differ."""
    listed = [line.split() for line in run('dpkg-deb', '--contents', package).splitlines()]
    assert {words[1] for words in listed} == {'root/root'}
    assert len({' '.join(words[3:5]) for words in listed}) == 1


def test_lintian_has_nothing_to_say(package):
    if shutil.which('lintian') is None:
        pytest.skip('lintian is not installed: apt-get install lintian')
    done = subprocess.run(['lintian', '--fail-on', 'error,warning', package], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_it_answers_from_a_clean_folder_with_the_model_that_came_with_it(installed, tmp_path):
    program = installed / 'usr/bin/lisa'
    shutil.copy(PICTURE, tmp_path / 'table.png')
    environment = {'PATH': '/usr/bin:/bin', 'HOME': str(tmp_path)}
    assert run(program, '--version', cwd=tmp_path, env=environment).startswith('lisa ')
    done = subprocess.run([program, '-v', 'segment', '--image', 'table.png', '--instruction', 'the glasses', '--json'],
                          cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[0])
    assert str(installed / 'usr/share/lisa_ros/models/lisa-mini') in done.stderr
    assert (tmp_path / 'lisa-out/table_overlay.png').exists()


def test_man_finds_the_pages_and_reads_them_without_a_warning(installed):
    if shutil.which('man') is None or 'minimized' in subprocess.run(['man', '-w', 'man'], capture_output=True, text=True).stdout:
        pytest.skip('man is not installed: apt-get install man-db')
    # Without the C locale's idea of text, in which the pages' own characters would be the warning.
    environment = {'PATH': os.environ['PATH'], 'MANPATH': str(installed / 'usr/share/man'), 'MANWIDTH': '90', 'LC_ALL': 'C.UTF-8'}
    for name, has in (('lisa', 'lisa-segment(1)'), ('lisa-segment', '--instruction <TEXT>'), ('lisa-bag-annotate', 'EXAMPLES')):
        place = run('man', '-w', name, env=environment).strip()
        assert place == str(installed / f'usr/share/man/man1/{name}.1.gz')
        done = subprocess.run(['man', '--warnings', '-P', 'cat', name], env=environment, capture_output=True, text=True)
        assert done.returncode == 0 and done.stderr == '', done.stderr
        # What man prints bold or hyphenates for the terminal.
        assert has in re.sub(r'.\x08|\x1b\[[\d;]*m', '', done.stdout).replace('‐', '-'), done.stdout


def completed(installed, *words):
    """What bash would offer for the last of these words."""
    script = '''
        source "$1/usr/share/bash-completion/completions/lisa"; shift
        COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
        function=$(complete -p lisa | sed 's/.*-F \\([^ ]*\\).*/\\1/')
        "$function" lisa "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD-1]}"
        printf '%s\\n' "${COMPREPLY[@]}"
    '''
    return run('bash', '--norc', '-c', script, 'bash', installed, *words).split()


def test_bash_completes(installed):
    commands = completed(installed, 'lisa', '')
    assert {'segment', 'chat', 'bag', 'train'} <= set(commands)
    assert not {'completions', 'man'} & set(commands), 'hidden commands are offered'
    assert completed(installed, 'lisa', 'seg') == ['segment']
    assert completed(installed, 'lisa', 'segment', '--instr') == ['--instruction']
    assert completed(installed, 'lisa', 'bag', 'ann') == ['annotate']


def test_zsh_and_fish_complete(installed):
    share = installed / 'usr/share'
    missing = [shell for shell in ('zsh', 'fish') if shutil.which(shell) is None]
    if 'zsh' not in missing:
        script = f'fpath=({share}/zsh/vendor-completions $fpath); autoload -Uz compinit && compinit -u -D; print ${{_comps[lisa]}}; ' \
                 'autoload +X _lisa && print loaded'
        assert run('zsh', '-f', '-c', script).split() == ['_lisa', 'loaded']
    if 'fish' not in missing:
        said = run('fish', '--no-config', '-c', f'source {share}/fish/vendor_completions.d/lisa.fish; complete -C "lisa seg"')
        assert said.startswith('segment')
    if missing:
        pytest.skip(f'not installed: {" ".join(missing)}')


def test_licences_and_copyright_are_there(installed):
    documents = installed / 'usr/share/doc/lisa-ros'
    assert 'License: Apache-2.0' in (documents / 'copyright').read_text()
    notices = subprocess.run(['gzip', '-dc', documents / 'THIRD_PARTY_LICENCES.txt.gz'], capture_output=True, text=True).stdout
    assert 'Independent JPEG Group' in notices and 'candle-core' in notices


def test_dpkg_finds_every_file_as_it_was_installed(installed):
    assert dpkg(installed, '--verify', 'lisa-ros') == ''
