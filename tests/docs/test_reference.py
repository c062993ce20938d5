"""The reference in the book is what its sources say, and the sources of the parameters agree with one another."""

import pathlib
import re
import subprocess
import sys

from pages import ROOT

sys.path.insert(0, str(ROOT / 'scripts'))

import book_reference  # noqa: E402

WHEN = {'': 'running', 'start_only': 'start', 'read_at_configure': 'configure'}


def test_the_reference_is_what_the_script_makes():
    done = subprocess.run([ROOT / 'scripts/book_reference.py', '--check'], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def node_table() -> dict[str, tuple[str, str]]:
    """Default and time of setting of each parameter, in the table that the node is made of."""
    rust = (ROOT / 'src/ros/param_table.rs').read_text()
    rust = rust[rust.index('pub const PARAMS'):]
    table = {}
    for row in re.split(r'ParamSpec::new\(', rust)[1:]:
        name = re.match(r'\s*"([\w.]+)"', row)[1]
        kind, value = re.search(r'Default::(\w+)\((.*?)\),', row, re.DOTALL).groups()
        method = re.search(r'\)\s*\.(\w+)\(\)', row)
        table[name] = (value.strip('"') if kind == 'Text' else value.lstrip('&'), WHEN[method[1] if method else ''])
    return table


def test_the_parameter_file_has_the_node_s_parameters_defaults_and_times():
    written = {p.name: (p.default, p.when) for _, group in book_reference.parameters((ROOT / 'config/lisa.yaml').read_text()) for p in group}
    known = node_table()
    assert list(known) and set(written) == set(known)
    # A constant of the library, which tests/ros compares with the running node.
    assert known['max_new_tokens'][0] == 'DEFAULT_MAX_NEW_TOKENS as i64'
    known['max_new_tokens'] = (written['max_new_tokens'][0], 'running')
    assert written == known


def test_every_interface_is_in_the_reference():
    text = (ROOT / 'docs/REFERENCE.md').read_text()
    files = [*(ROOT / 'msg').glob('*'), *(ROOT / 'action').glob('*'), *(ROOT / 'srv').glob('*')]
    assert len(files) >= 8
    for file in files:
        assert f'`lisa_ros/{file.suffix[1:]}/{file.stem}`' in text, file.name


def test_remarks_constants_and_an_action_s_parts_are_read():
    head, parts = book_reference.interface('# What for.\n\nstring a  # an a\n---\nuint8 X=1  # x\n\n# Of the rest.\nfloat32[] b\n---\n')
    assert head == 'What for.'
    goal, result, feedback = parts
    assert goal.fields == [('string', 'a', 'an a')]
    assert result.constants == [('X=1', 'x')]
    assert result.fields == [(None, None, 'Of the rest.'), ('float32[]', 'b', '')]
    assert not feedback.fields and pathlib.Path(book_reference.PAGE).name == 'REFERENCE.md'


def test_what_the_documents_give_to_a_launch_file_are_its_arguments():
    """`NAME:=VALUE` is a launch argument, a parameter behind -p, or a remapping behind -r; other parameters are written `NAME: VALUE`."""
    arguments = {name for file in (ROOT / 'launch').glob('*.py') for name in re.findall(r"^    \('([\w.]+)',", file.read_text(), re.MULTILINE)}
    assert {'model', 'depth', 'image_topic', 'out'} <= arguments
    # Those of one camera, with its name before them.
    arguments |= {f'{camera}_{name}' for camera in ('left', 'right') for name in arguments}
    # whisper_ros's own.
    arguments |= {'stream', 'silero_vad_params_file'}
    for page in [ROOT / 'README.md', *(ROOT / 'docs').glob('*.md')]:
        given = re.findall(r'(-[pr] +)?([\w./~]+):=', page.read_text())
        wrong = [name for flag, name in given if not flag and name not in arguments]
        assert not wrong, (page.name, wrong)
