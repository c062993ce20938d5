"""Instructions and models that are wrong: each is named, and the node goes on or ends with a reason."""

import json
import pathlib
import re
import shutil
import struct

import pytest
from client import ANSWERED, said
from lisa_ros.msg import Instruction, ReasoningResult
from std_msgs.msg import String

INSTRUCTIONS = {
    'empty': '',
    'blank': '  \t\n ',
    '1 MB': 'where is the cup ' * 62_500,
    'control characters': 'find\x00 the \x07\x1b[31m cup\x7f',
    'right to left': 'find \u202e puc \u202d',
    'long word': 'a' * 5000,
}


@pytest.mark.parametrize('what', INSTRUCTIONS)
def test_an_odd_instruction_gets_one_result_and_the_next_an_answer(lisa, golden, what):
    result = lisa.ask_stamped(INSTRUCTIONS[what])
    assert result.status in ANSWERED or (result.status == ReasoningResult.ERROR and len(result.error) > 10), said(result)
    if what in ('empty', 'blank', '1 MB'):
        assert result.status == ReasoningResult.ERROR, said(result)
    count = sum(r.instruction_id == result.instruction_id for r in lisa.results)
    assert count == 1, f'{count} results for one instruction'
    assert lisa.ask_stamped(golden.masked).status == ReasoningResult.SEGMENTED


def test_the_same_over_a_string(lisa, golden):
    for text in ('', 'x' * 1_000_000):
        before = len(lisa.results)
        lisa.asked.publish(String(data=text))
        result = lisa.wait('result', lambda: lisa.results[before] if len(lisa.results) > before else None)
        assert result.status == ReasoningResult.ERROR and result.error, said(result)
    assert lisa.ask(golden.masked).status == ReasoningResult.SEGMENTED


def cdr(*strings: bytes, stamped: bool = False) -> bytes:
    """Little-endian CDR of a std_msgs/String, or of a lisa_ros/Instruction: stamp 0, then four strings."""
    body = struct.pack('<iI', 0, 0) if stamped else b''
    for text in strings:
        body += b'\0' * (-len(body) % 4) + struct.pack('<I', len(text) + 1) + text + b'\0'
    return b'\0\1\0\0' + body


def test_text_that_is_not_utf8(lisa, golden):
    lisa.asked_stamped.publish(cdr(b'', b'not utf8', b'', b'find \xff\xfe the cup', stamped=True))
    result = lisa.result('not utf8')
    assert result.status == ReasoningResult.ERROR and 'UTF-8' in result.error, said(result)
    before = len(lisa.results)
    lisa.asked.publish(cdr(b'caf\xe9'))
    result = lisa.wait('result', lambda: lisa.results[before] if len(lisa.results) > before else None)
    assert result.status == ReasoningResult.ERROR and 'UTF-8' in result.error, said(result)
    assert lisa.ask(golden.masked).status == ReasoningResult.SEGMENTED


def test_messages_that_are_cut_off(lisa, golden):
    whole = cdr(b'', b'cut', b'', b'find the cup', stamped=True)
    lisa.asked_stamped.publish(whole[:20])
    lisa.asked_stamped.publish(whole[:-4])
    lisa.asked.publish(b'\0\1\0\0\xff\xff\xff\x7f')
    assert lisa.ask(golden.masked).status == ReasoningResult.SEGMENTED


def test_stamps_that_are_no_time(lisa, golden):
    for stamp in ((2**31 - 1, 2**32 - 1), (-2**31, 0), (0, 2**32 - 1), (-1, 999_999_999)):
        lisa.count += 1
        name = f'stamp {lisa.count}'
        message = Instruction(id=name, text=golden.masked)
        message.header.stamp.sec, message.header.stamp.nanosec = stamp
        lisa.asked_stamped.publish(message)
        result = lisa.result(name)
        assert result.status in ANSWERED or result.error, said(result)
    assert lisa.ask(golden.masked).status == ReasoningResult.SEGMENTED


# ---- models ----


def config_with(change):
    def damage(folder):
        path = folder / 'lisa.json'
        config = json.loads(path.read_text())
        assert change(config), f'nothing to change in {config}'
        path.write_text(json.dumps(config))
    return damage


def another_version(config) -> bool:
    names = [n for n, v in config.items() if 'version' in n.lower() and isinstance(v, int)]
    for name in names:
        config[name] = 999
    return bool(names)


def another_size(config) -> bool:
    """Doubles the first hidden_size of the language model, wherever the config keeps it."""
    for name, value in config.items():
        if name == 'hidden_size' and isinstance(value, int):
            config[name] = value * 2
            return True
        if isinstance(value, dict) and 'clip' not in name and 'vision' not in name and another_size(value):
            return True
    return False


def truncate(folder):
    path = folder / 'model.safetensors'
    data = path.read_bytes()
    path.write_bytes(data[:len(data) // 2])


def empty_weights(folder):
    (folder / 'model.safetensors').write_bytes(b'')


def no_tokenizer(folder):
    (folder / 'tokenizer.json').unlink()


def not_json(folder):
    (folder / 'lisa.json').write_text('{ "version": ')


@pytest.mark.parametrize('damage, named', [
    (shutil.rmtree, r'lisa-model'),
    (truncate, r'model\.safetensors'),
    (empty_weights, r'model\.safetensors'),
    (no_tokenizer, r'tokenizer\.json'),
    (not_json, r'lisa\.json'),
    (config_with(another_version), r'999'),
    (config_with(another_size), r'model\.[a-z_0-9.]+\.weight\b.*\d+.*\d+'),
], ids=['missing', 'truncated', 'empty', 'no tokenizer', 'broken config', 'wrong version', 'config against tensors'])
def test_a_wrong_model_directory_ends_the_node_with_one_clear_line(start, model, tmp_path, damage, named):
    folder = tmp_path / 'lisa-model'
    shutil.copytree(model, folder)
    damage(folder)
    process = start(client=False, model=folder)
    code = process.wait(30.0)
    said = process.said()
    assert code not in (0, -6, -11, 101), f'exit code {code}\n{said}'
    assert 'panicked' not in said, said
    lines = [line for line in said.splitlines() if re.search(named, line) and re.search(r'cannot|error|ERROR', line)]
    assert len(lines) == 1, f'not one line names {named}\n{said}'


def test_without_a_model_the_shipped_one_answers(start):
    process, lisa = start(model='""')
    [model] = lisa.get('model')
    assert pathlib.Path(model).name == 'lisa-mini', model
    assert 'panicked' not in process.log(), process.log()
