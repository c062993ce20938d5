"""What the programs are built from may be handed on, comes from where it should, and nothing is known against it."""

import pathlib
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / 'scripts'))
import licences  # noqa: E402


@pytest.fixture(scope='module')
def known():
    return licences.metadata()


def test_every_dependency_is_as_deny_toml_has_it(known):
    assert len(known['packages']) > 100
    assert list(licences.faults(known['packages'], licences.settings())) == []


def test_nothing_is_known_against_a_dependency():
    try:
        found = licences.advisories()
    except licences.NotChecked as reason:
        pytest.skip(str(reason))
    assert found == '', found


def test_the_shipped_model_has_a_licence():
    assert '"licence": "Apache-2.0"' in (ROOT / 'models/lisa-mini/lisa.json').read_text()
    assert 'Apache-2.0' in (ROOT / 'models/lisa-mini/README.md').read_text()


@pytest.mark.parametrize(('expression', 'expected'), [
    ('MIT', True),
    ('GPL-3.0-only', False),
    ('MIT OR GPL-3.0-only', True),
    ('GPL-3.0-only OR MIT', True),
    ('MIT AND GPL-3.0-only', False),
    ('MIT/Apache-2.0', True),
    ('GPL-2.0 / MIT', True),
    # AND binds closer.
    ('GPL-2.0 AND MIT OR Apache-2.0', True),
    ('MIT OR Apache-2.0 AND GPL-2.0', True),
    ('(MIT OR Apache-2.0) AND GPL-2.0', False),
    ('(MIT OR GPL-2.0) AND (GPL-2.0 OR Apache-2.0)', True),
    ('Apache-2.0 WITH LLVM-exception', False),
    ('Apache-2.0 WITH LLVM-exception OR MIT', True),
])
def test_expressions_mean_what_spdx_says(expression, expected):
    assert licences.is_allowed(expression, {'MIT', 'Apache-2.0'}) is expected


@pytest.mark.parametrize('expression', ['', 'MIT OR', 'MIT Apache-2.0', '(MIT', 'MIT)', 'AND MIT', 'MIT AND OR MIT'])
def test_what_is_no_expression_is_refused(expression):
    with pytest.raises(ValueError):
        licences.is_allowed(expression, {'MIT'})


def package(**changes):
    return {'name': 'a', 'version': '1.0.0', 'license': 'MIT', 'source': 'registry+here', 'dependencies': [],
            'manifest_path': '/registry/a/Cargo.toml', **changes}


@pytest.mark.parametrize(('changes', 'said'), [
    ({'license': 'GPL-3.0-only'}, 'a 1.0.0 is under GPL-3.0-only; deny.toml allows: MIT'),
    ({'license': None}, 'a 1.0.0 names no licence'),
    ({'license': 'MIT OR'}, 'is no expression of SPDX'),
    ({'source': 'git+https://somewhere/a'}, 'a 1.0.0 comes from git+https://somewhere/a'),
    ({'source': 'registry+elsewhere'}, 'the one registry that Cargo.lock has'),
    ({'source': None}, 'is a path outside of the project'),
    ({'source': None, 'manifest_path': str(ROOT / 'crates/a/Cargo.toml'), 'dependencies': [{'name': 'b', 'req': '*'}]},
     'a 1.0.0 takes any version of b'),
])
def test_each_fault_is_named(changes, said):
    found = list(licences.faults([package(name='c'), package(**changes)], {'licenses': {'allow': ['MIT']}}))
    assert any(said in fault for fault in found), found


def test_a_text_is_written_once_with_all_that_it_is_of(tmp_path):
    packages = []
    for name, text in (('a', 'the text'), ('b', ' the\ntext '), ('c', 'another')):
        folder = tmp_path / name / 'vendored'
        folder.mkdir(parents=True)
        (folder / 'LICENSE.md').write_text(text)
        (folder / 'license.rs').write_text('fn main() {}')
        packages.append(package(name=name, id=name, manifest_path=str(tmp_path / name / 'Cargo.toml'), license_file=None, repository=None,
                                authors=[]))
    packages.append(package(name='d', id='d', manifest_path=str(tmp_path / 'd/Cargo.toml'), license_file=None, repository='https://d',
                            authors=['Dora']))
    said = licences.notices(packages)
    assert said.count('the text') == 1 and 'a 1.0.0, b 1.0.0\n' in said and 'fn main' not in said
    assert 'd 1.0.0: MIT; https://d' in said and 'd 1.0.0: MIT; Dora' in said


def test_only_what_is_in_the_programs_has_to_be_told(known):
    contained = {p['name'] for p in licences.contained(known)}
    assert {'candle-core', 'turbojpeg-sys', 'r2r', 'clap'} <= contained
    assert not {'proptest', 'divan', 'lisa_ros'} & contained
    # Its own text says how the libjpeg-turbo in it may be handed on.
    turbojpeg, = (p for p in known['packages'] if p['name'] == 'turbojpeg-sys')
    assert any('libjpeg-turbo Licenses' in text for text in licences.texts_of(turbojpeg))


def test_tools_that_are_not_there_or_find_no_database_are_no_fault(monkeypatch):
    monkeypatch.setattr(licences.shutil, 'which', lambda _: None)
    with pytest.raises(licences.NotChecked, match='cargo install'):
        licences.advisories()
    monkeypatch.setattr(licences.shutil, 'which', lambda name: name)

    def says(code, text):
        done = licences.subprocess.CompletedProcess([], code, '', text)
        monkeypatch.setattr(licences.subprocess, 'run', lambda *_, **__: done)

    says(1, 'error: failed to fetch advisory database')
    with pytest.raises(licences.NotChecked, match='cannot be reached'):
        licences.advisories()
    says(1, 'error[vulnerability]: a is not safe')
    assert 'not safe' in licences.advisories()
    says(0, 'advisories ok')
    assert licences.advisories() == ''
