#!/usr/bin/env bash
# What `make eval` runs: the sample recording's instructions, answered offline and compared with its truth.
#   LISA_MODEL  a model directory to use instead of lisa-mini
#   LISA_BAG    a recording to use instead of bags/tableworld; its truth is expected on /ground_truth/mask
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source scripts/env.sh
mkdir -p evaluation
# The sample also has the true boxes in space.
boxes=(--truth-boxes-topic /ground_truth/boxes)
if [ -n "${LISA_BAG:-}" ]; then boxes=(); fi
target/release/lisa bag eval "${LISA_BAG:-bags/tableworld}" --model "${LISA_MODEL:-models/lisa-mini}" \
    --truth-topic /ground_truth/mask ${boxes[@]+"${boxes[@]}"} --list --json evaluation/report.json --html evaluation/report.html
page=$PWD/evaluation/report.html
echo "eval: the report, with pictures, is $page"
# Where there is a desktop, it opens.
if [ -n "${DISPLAY:-}${WAYLAND_DISPLAY:-}" ] && command -v xdg-open >/dev/null; then xdg-open "$page" >/dev/null 2>&1 & fi
