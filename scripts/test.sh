#!/usr/bin/env bash
# What `make test` runs, after scripts/setup_ros.sh and scripts/build.sh. Everything is compiled in release mode into one target/ and with
# the features the node was built with, so that nothing is compiled twice.
#   scripts/test.sh [lint | rust | ros | all] [arguments of pytest]
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/env.sh"
cd "$LISA_ROOT"
export PATH="$PATH:$HOME/.cargo/bin"
what=${1:-all}
[ $# -eq 0 ] || shift
step() { printf '\n== %s (%d s so far)\n' "$*" "$SECONDS"; }

case $what in all | lint | rust | ros) ;; *) echo "test: '$what' is not one of: all, lint, rust, ros" >&2 && exit 2 ;; esac

if [ "$what" = all ] || [ "$what" = lint ]; then
    step "cargo fmt --check"
    cargo fmt --check
fi
if [ "$what" = all ] || [ "$what" = rust ]; then
    # Without it the tests of bags would compare with nothing, and pass.
    step "rosbags, for the tests of bags"
    scripts/setup_rosbags.sh
    step "cargo test"
    cargo test --release --locked --features ros
fi
if [ "$what" = all ] || [ "$what" = lint ]; then
    step "cargo clippy, with ROS 2"
    cargo clippy --release --locked --all-targets --features ros -- -D warnings
    step "cargo clippy, without"
    cargo clippy --release --locked --all-targets -- -D warnings
fi
if [ "$what" = all ] || [ "$what" = ros ]; then
    step "the node over DDS"
    PYTHONDONTWRITEBYTECODE=1 python3 -m pytest -p no:cacheprovider tests/ros "$@"
fi
step "done: $what"
