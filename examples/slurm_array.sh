#!/usr/bin/env bash
# Measures a night's recordings as a job array of Slurm, a shard a task, and merges the parts.
#
#   sbatch --array=1-64 examples/slurm_array.sh night.txt parts --truth-topic /truth --model models/lisa-7b
#
# night.txt names the recordings, a path or URL a line; parts is a folder that all machines share; what follows are options of
# `lisa bag eval`. When the array is done:
#
#   lisa report merge parts/*.json --html night.html --json night.json
#
# or, submitted at once: sbatch --dependency=afterok:JOB --wrap "lisa report merge parts/*.json --html night.html".
# A task that failed or was preempted is run again as it was; a whole part is not made twice. To run some tasks again by hand, say
# how many there were: SHARDS=64 sbatch --array=3,7 examples/slurm_array.sh …
#SBATCH --job-name=lisa-night
#SBATCH --cpus-per-task=4
#SBATCH --time=04:00:00
#SBATCH --requeue
#SBATCH --output=%x-%A_%a.log
set -euo pipefail

[ $# -ge 2 ] || { echo "usage: sbatch --array=1-N $0 NIGHT.txt PARTS [options of lisa bag eval]" >&2 && exit 2; }
night=$1 parts=$2
shift 2
shard=${SLURM_ARRAY_TASK_ID:?"this runs as a task of an array: sbatch --array=1-N $0 …"}
shards=${SHARDS:-$SLURM_ARRAY_TASK_COUNT}
export RAYON_NUM_THREADS=${SLURM_CPUS_PER_TASK:-1}

code=0
"${LISA:-lisa}" bag eval --from "$night" "$@" --shard "$shard/$shards" --parts "$parts" || code=$?
# 3: the part is whole, and names recordings that could not be measured. Running it again would change nothing.
[ "$code" -eq 3 ] || exit "$code"
