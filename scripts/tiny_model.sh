#!/usr/bin/env bash
# Prints the model directory made of the tiny golden checkpoint; makes it when there is none or the converter is newer.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
golden=${LISA_GOLDEN_DIR:-$root/tests/golden/tiny}
[ ! -d "$golden/tiny" ] || golden=$golden/tiny
model=$root/.cache/lisa-tiny
lisa=${LISA_BIN:-$root/target/release/lisa}
if [ ! -e "$model/lisa.json" ] || [ "$lisa" -nt "$model/lisa.json" ] || [ "$(cat "$model/.from" 2>/dev/null)" != "$golden" ]; then
    rm -rf "$model"
    mkdir -p "$(dirname "$model")"
    # Found by what is in them: another golden folder may call them otherwise.
    checkpoint=$(dirname "$(ls "$golden"/*/tokenizer.* | head -n 1)")
    clip=$(dirname "$(ls "$golden"/*/preprocessor_config.json | head -n 1)")
    words=$("$lisa" convert --lisa "$checkpoint" --clip "$clip" --out "$model" 2>&1) || { printf '%s\n' "$words" >&2 && exit 1; }
    printf '%s' "$golden" >"$model/.from"
fi
printf '%s\n' "$model"
