#!/usr/bin/env bash
# Makes the Python that scripts/fleet.py runs with: one that has Ray, from pinned wheels in .fleet/. With --tests it also has a server
# that speaks like S3, for tests/fleet. Does nothing when it is there. It is an environment of its own, as a sourced ROS 2's Python is
# not ours to install into. LISA_FLEET_PYTHON names another Python, which then has to have Ray.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
say() { printf 'setup: %s\n' "$*" >&2; }
fail() { say "$*" && exit 1; }
# What env.sh has set is for ROS 2's Python.
clean() { env -u PYTHONPATH -u LD_LIBRARY_PATH -u VIRTUAL_ENV "$@"; }

if [ -n "${LISA_FLEET_PYTHON:-}" ]; then
    clean "$LISA_FLEET_PYTHON" -c 'import ray' 2>/dev/null ||
        fail "LISA_FLEET_PYTHON=$LISA_FLEET_PYTHON has no package ray: install scripts/fleet.txt there, or unset it"
    exit 0
fi
folder="$here/../.fleet"
lists=("$here/fleet.txt")
[ "${1:-}" = --tests ] && lists+=("$here/fleet_tests.txt")

# The stamp names everything the environment depends on, so a changed pin makes it anew.
python=${LISA_PYTHON:-python3}
stamp="$folder/.complete"
want="$(cat "${lists[@]}" | cksum) $(clean "$python" --version)"
[ -e "$stamp" ] && grep -qxF "$want" "$stamp" && exit 0
clean "$python" -c 'import sys; assert (3, 10) <= sys.version_info[:2] <= (3, 13)' 2>/dev/null ||
    fail "$python is $(clean "$python" --version 2>&1), and the wheels of Ray are for Python 3.10 to 3.13: name one with LISA_PYTHON=..."
say "installing Ray into .fleet/ (about 400 MB)"
rm -rf "$folder"
clean "$python" -m venv "$folder" || fail "$python cannot make a virtual environment (on Debian and Ubuntu: apt-get install python3-venv)"
log="$folder/pip.log"
needed=()
for list in "${lists[@]}"; do needed+=(-r "$list"); done
clean "$folder/bin/pip" install --disable-pip-version-check --no-deps --only-binary :all: "${needed[@]}" >"$log" 2>&1 ||
    { tail -n 5 "$log" >&2 && fail "pip could not install the wheels ($(uname -m), $("$python" --version)); the whole output is in $log"; }
clean "$folder/bin/python3" -c 'import ray' || fail "Ray was installed into $folder, but cannot be imported"
# What has the tests' packages also has what the program needs.
for count in $(seq ${#lists[@]}); do
    printf '%s\n' "$(cat "${lists[@]:0:count}" | cksum) $(clean "$python" --version)"
done >"$stamp"
