"""The examples for Slurm and Kubernetes, run by stand-ins that set the variables which those set."""

import subprocess

import pytest
from conftest import EVAL, PROGRAM, ROOT, plain_environment

SLURM = ROOT / 'examples' / 'slurm_array.sh'


class Slurm:
    """Runs the tasks of an array as Slurm does, one after another: the script's #SBATCH lines are Slurm's, its variables ours."""

    def __init__(self, cpus: int = 1):
        self.cpus = cpus

    def task(self, number: int, count: int, arguments: list, **more: str) -> subprocess.CompletedProcess:
        environment = plain_environment(
            LISA=str(PROGRAM), SLURM_ARRAY_JOB_ID='77', SLURM_ARRAY_TASK_ID=str(number), SLURM_ARRAY_TASK_COUNT=str(count),
            SLURM_ARRAY_TASK_MIN='1', SLURM_ARRAY_TASK_MAX=str(count), SLURM_CPUS_PER_TASK=str(self.cpus), **more)
        return subprocess.run(['bash', SLURM, *map(str, arguments)], text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environment)


def test_the_tasks_of_an_array_make_the_parts_of_a_night(night, tmp_path):
    slurm, parts = Slurm(), tmp_path / 'parts'
    arguments = [night.list, parts, *EVAL[2:]]
    for number in (3, 1, 2):
        task = slurm.task(number, 3, arguments)
        # A recording that cannot be measured does not let a task fail, which Slurm would run again.
        assert task.returncode == 0, task.stdout
    assert night.merged(parts) == night.whole()
    # One task alone, by hand: it has to be said of how many.
    again = slurm.task(2, 1, arguments, SHARDS='3')
    assert again.returncode == 0 and 'is there and whole' in again.stdout, again.stdout


def test_a_task_that_fails_says_so_to_slurm(night, tmp_path):
    task = Slurm().task(1, 1, [night.list, tmp_path / 'parts', '--model', 'no-such-model'])
    assert task.returncode == 1, task.stdout
    assert Slurm().task(4, 3, [night.list, tmp_path / 'parts']).returncode == 2
    assert Slurm().task(1, 1, [night.list]).returncode == 2
    alone = subprocess.run(['bash', SLURM, night.list, tmp_path / 'parts'], text=True, stderr=subprocess.PIPE, env=plain_environment())
    assert alone.returncode != 0 and 'sbatch --array=1-N' in alone.stderr


def test_the_pods_of_a_job_make_the_parts_of_a_night(night, tmp_path):
    yaml = pytest.importorskip('yaml', reason='this Python has no yaml to read the example with')
    job = yaml.safe_load((ROOT / 'examples' / 'kubernetes_job.yaml').read_text())
    spec = job['spec']
    container = spec['template']['spec']['containers'][0]
    variables = {variable['name']: variable['value'] for variable in container['env']}
    assert (job['kind'], spec['completionMode']) == ('Job', 'Indexed')
    assert spec['completions'] == int(variables['SHARDS']) and spec['parallelism'] <= spec['completions']
    mounts = {mount['name']: mount['mountPath'] for mount in container['volumeMounts']}
    assert set(mounts) == {volume['name'] for volume in spec['template']['spec']['volumes']}
    # The volume is a folder of ours, and lisa the one that was built.
    volume = tmp_path / 'night'
    volume.mkdir()
    (volume / 'bags.txt').write_text(night.list.read_text())
    (volume / 'model').symlink_to(ROOT / 'models' / 'lisa-mini')
    (tmp_path / 'lisa').symlink_to(PROGRAM)
    shell = [*container['command'], container['args'][0].replace('/night/', f'{volume}/').replace('--truth-topic /truth', ' '.join(EVAL[2:]))]
    for index in range(2):
        environment = plain_environment(JOB_COMPLETION_INDEX=str(index), SHARDS='2')
        environment['PATH'] = f'{tmp_path}:{environment["PATH"]}'
        pod = subprocess.run(shell, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environment)
        assert pod.returncode == 0, pod.stdout
    assert len(list((volume / 'parts').iterdir())) == 2
    merged = night.merged(volume / 'parts')
    whole = night.whole()
    # The model has another name here.
    for name in ('giou', 'ciou', 'count', 'kinds', 'instructions'):
        assert merged[name] == whole[name], name
