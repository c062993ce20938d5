#!/usr/bin/env bash
# Makes bags/tableworld anew: 24 scenes of TableWorld's test split as a robot would record them, with instructions and the true masks.
# The same on every run; tests/sample_bag.rs says when it no longer is what `lisa world` makes.
#   LISA_BIN  the command to use (target/release/lisa)
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
lisa=${LISA_BIN:-target/release/lisa}
made=$(mktemp -d)
trap 'rm -rf "$made"' EXIT

# Scene 36 is the demo's.
"$lisa" world --format rosbag --split test --seed 20 --count 24 --images jpeg --size 640x480 --out "$made"

rm -rf bags/tableworld
mkdir -p bags
cp -r "$made/rosbag/test" bags/tableworld
du -sh bags/tableworld
