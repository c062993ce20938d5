"""Every command of docs/WEB.md runs, in order, against `lisa serve`; README and the documents name pictures that are there."""

import json
import re
import shutil
import subprocess

import pytest
from conftest import ROOT

TEXT = (ROOT / 'docs' / 'WEB.md').read_text()


def test_every_command_runs(serving, tables, tmp_path):
    if shutil.which('curl') is None:
        pytest.skip('no curl is installed (on Debian: apt-get install curl)')
    shutil.copy(tables[0][0], tmp_path / 'table.png')
    blocks = re.findall(r'^```sh\n(.*?)^```', TEXT, re.MULTILINE | re.DOTALL)
    assert len(blocks) >= 8
    # A status of 400 or more is an error here, and a proxy of the machine is not asked.
    script = 'curl() { command curl --noproxy "*" --silent --show-error --fail-with-body "$@"; }\n' + '\n'.join(blocks)
    script = script.replace('http://127.0.0.1:8080', serving.url)
    done = subprocess.run(['bash', '-euo', 'pipefail', '-c', script], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / 'drawn.png').read_bytes().startswith(b'\x89PNG')
    assert (tmp_path / 'again.jpg').read_bytes().startswith(b'\xff\xd8')
    events = re.findall(r'^event: (\w+)$', done.stdout, re.MULTILINE)
    assert events[0] == 'accepted' and events[-1] == 'done'
    answers = [json.loads(line) for line in done.stdout.splitlines() if line.startswith('{"answer"')]
    assert answers[1]['instruction'] == 'Wo ist die größte Schüssel?'
    # The fields that the document shows are those that there are.
    shown = set(re.findall(r'"(\w+)":', TEXT[TEXT.index('    {"status"'):TEXT.index('`status` is')]))
    assert set(answers[0]) <= shown


def test_pictures_of_the_documents_are_there_and_small():
    for name in re.findall(r'\(([\w-]+\.png)\)', TEXT):
        assert (ROOT / 'docs' / name).stat().st_size <= 300_000, name
