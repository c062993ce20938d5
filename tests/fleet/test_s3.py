"""Recordings in a bucket of a server that speaks like S3 (moto), on loopback."""

import json
import subprocess
import sys

import pytest
from conftest import EVAL, PARTLY, PROGRAM, plain_environment, timeless

BUCKET = 'night'
# Runs with the Python that has moto: serves until its standard input ends, and says where.
SERVER = f'''
import pathlib, sys
import boto3
from moto.server import ThreadedMotoServer

server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
server.start()
host, port = server.get_host_and_port()
client = boto3.client("s3", endpoint_url=f"http://{{host}}:{{port}}", region_name="us-east-1", aws_access_key_id="a", aws_secret_access_key="b")
client.create_bucket(Bucket="{BUCKET}")
root = pathlib.Path(sys.argv[1])
for path in sorted(root.glob("r*/**/*")):
    if path.is_file():
        client.upload_file(str(path), "{BUCKET}", str(path.relative_to(root)))
print(f"port {{port}}", flush=True)
sys.stdin.read()
server.stop()
'''


@pytest.fixture(scope='module')
def bucket(fleet_python, night):
    """The environment in which programs find the bucket with the night's recordings."""
    if subprocess.run([fleet_python, '-c', 'import moto.server, boto3'], env=plain_environment(), stderr=subprocess.DEVNULL).returncode:
        pytest.skip(f'{fleet_python} has no moto')
    server = subprocess.Popen([fleet_python, '-c', SERVER, night.folder], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=sys.stderr,
                              text=True, env=plain_environment())
    # moto says something, too.
    port = next((line.split()[1] for line in server.stdout if line.startswith('port ')), None)
    assert port, f'the server ended with {server.wait()}'
    yield plain_environment(AWS_ENDPOINT=f'http://127.0.0.1:{port}', AWS_ALLOW_HTTP='true', AWS_REGION='us-east-1', AWS_ACCESS_KEY_ID='a',
                            AWS_SECRET_ACCESS_KEY='b')
    server.stdin.close()
    server.wait(30)


def lisa(environment, *words):
    return subprocess.run([PROGRAM, *words], text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment)


def url(night, bag) -> str:
    return f's3://{BUCKET}/{bag.relative_to(night.folder)}'


def test_a_recording_in_a_bucket_is_the_same_as_here(bucket, night):
    bag = night.bags[2]
    file = next(bag.glob('*.mcap'))
    for here, there in ((bag, url(night, bag)), (file, url(night, file))):
        ours, theirs = (lisa(bucket, 'bag', 'info', where, '--json') for where in (here, there))
        assert theirs.returncode == 0, theirs.stderr
        ours, theirs = json.loads(ours.stdout), json.loads(theirs.stdout)
        assert ours['topics'] == theirs['topics'] and ours['topics']


def test_a_folder_without_metadata_is_listed(bucket, night, tmp_path):
    bare = subprocess.run([PROGRAM, 'bag', 'info', url(night, night.bags[2]).rsplit('/', 1)[0] + '/nothing'], text=True,
                          stderr=subprocess.PIPE, env=bucket)
    assert bare.returncode == 1 and f's3://{BUCKET}/r0/nothing is not a bag' in bare.stderr
    cut = lisa(bucket, 'bag', 'info', f's3://{BUCKET}/r1')
    # Of the two folders' files only the one right below counts, and it is damaged.
    assert cut.returncode in (0, 1) and 'cut.mcap' in cut.stdout + cut.stderr


def test_a_night_in_a_bucket_gives_the_same_report(bucket, night, tmp_path):
    report = tmp_path / 'night.json'
    bags = tmp_path / 'bags.txt'
    names = [line for line in night.list.read_text().splitlines()]
    bags.write_text('\n'.join(f's3://{BUCKET}/{name[len(str(night.folder)) + 1:]}' for name in names))
    run = lisa(bucket, *EVAL, '--from', bags, '--json', report)
    assert run.returncode == PARTLY, run.stderr
    there, here = timeless(report), night.whole()
    for name in ('giou', 'ciou', 'kinds', 'instructions', 'delivery'):
        assert there[name] == here[name], name
    assert there['by']['robot'] == here['by']['robot']


def test_what_a_bucket_refuses_is_told(bucket, night):
    missing = lisa(bucket, 'bag', 'info', f's3://{BUCKET}/r0/none.mcap')
    assert missing.returncode == 1
    assert missing.stderr.strip() == f'lisa: s3://{BUCKET}/r0/none.mcap: there is no such object (404)'
    other = lisa(bucket, 'bag', 'info', 's3://another/a.mcap')
    assert other.returncode == 1 and 's3://another/a.mcap: there is no such object (404)' in other.stderr
