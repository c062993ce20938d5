#!/usr/bin/env bash
# What `make train-mini` runs: TableWorld to disk, the stages of lisa-mini one after the other, models/lisa-mini at the end.
# Every stage that is finished is skipped, and the one under way is resumed.
#   runs/mini/data       24000 scenes: classes, expressions, explicit questions, visual question answering
#   runs/mini/reason239  239 reasoning pairs
#   runs/mini/reason     32000 scenes with every kind of question
# With --balance half of the questions that ask for a mask ask for what is not there, in the same words.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source scripts/env.sh
lisa=target/release/lisa
runs=runs/mini
mkdir -p "$runs"

# world NAME SPLIT ARGUMENTS…: adds scenes to a split of a dataset, once.
world() {
    local name=$1 split=$2 mark
    shift 2
    mark="$runs/$name-$split-$(printf '%s' "$*" | cksum | cut -d ' ' -f 1).done"
    [ ! -e "$mark" ] || return 0
    "$lisa" world --split "$split" --size 320x240 --out "$runs/$name" "$@"
    touch "$mark"
}

# stage CONFIG RUN MODEL [ONTO]: trains, or goes on, and merges; onto the tensors of ONTO where that is given.
stage() {
    [ ! -e "$3/lisa.json" ] || return 0
    local resume=
    [ ! -e "$2/checkpoint-last.safetensors" ] || resume=--resume
    "$lisa" train --config "$1" $resume
    "$lisa" merge --run "$2" --checkpoint last --out "$3" --dtype f32 ${4:+--onto "$4"}
}

named="--format reason-seg --kinds explicit,absent --balance"
asked="reasoning,world-knowledge,explanatory,several,multi-turn,absent"
world data train --count 24000 $named --questions 12 --format semantic --format refer --format vqa
world data val --count 200 $named --questions 4 --format semantic
# Made before the first stage, which makes the tokenizer: the words of all that is learned later have to be in it.
world reason train --count 24000 --seed 40000 --format reason-seg --kinds "explicit,$asked" --balance --questions 12 \
    --format semantic --format refer --format vqa
# Where half of everything is absent, a model learns to refuse where it is not sure: a quarter of the scenes asks for nothing of the kind.
world reason train --count 8000 --seed 90000 --format reason-seg --kinds "explicit,${asked%,absent}" --questions 12
world reason val --count 200 --format reason-seg --kinds "explicit,$asked" --balance --questions 8
world reason239 train --count 239 --seed 200000 --format reason-seg --kinds "$asked" --questions 1

stage config/train_mini_vision.toml "$runs/vision" "$runs/vision-model"
# The encoder's masks and what the language model needs for its look-up learn apart, each from the first stage; look-model has
# both.
stage config/train_mini_masks.toml "$runs/masks" "$runs/masks-model"
stage config/train_mini_tower.toml "$runs/tower" "$runs/tower-model"
stage config/train_mini_look.toml "$runs/look" "$runs/look-model" "$runs/masks-model"
stage config/train_mini_base.toml "$runs/base" "$runs/base-model"
stage config/train_mini_reason239.toml "$runs/reason239-run" "$runs/reason239-model"
# lisa-mini does not come from the base, whose [SEG] has seen no reasoning, but from the same look-model.
stage config/train_mini_words.toml "$runs/words" "$runs/words-model"
stage config/train_mini.toml "$runs/lisa-mini" "$runs/lisa-mini-model"

"$lisa" merge --run "$runs/lisa-mini" --checkpoint last --out models/lisa-mini --dtype f16 --name lisa-mini
for split in val test; do
    for model in base-model reason239-model lisa-mini-model; do
        "$lisa" eval world --model "$runs/$model" --split "$split" --count 200 --json "$runs/$model-$split.json"
    done
done
