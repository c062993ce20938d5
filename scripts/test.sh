#!/usr/bin/env bash
# What `make test` runs. Everything is compiled in release mode into one target/ and with the features the node was built with, so
# that nothing is compiled twice.
#   scripts/test.sh [PART | all | numeric | lint | rust]… [--threads 1,2,3] [--no-build] [--pytest "-k shutdown"]
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
export PATH="$PATH:$HOME/.cargo/bin"
# The set-up is the first part of all, but it is Python that runs the parts.
command -v python3 >/dev/null || "$here/setup_ros.sh"
exec python3 "$here/run_tests.py" "$@"
