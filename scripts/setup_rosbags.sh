#!/usr/bin/env bash
# Makes the Python that crates/rosbag2/tests compares our bags with: one that has the package rosbags, from pinned wheels in .rosbags/. Does
# nothing when it is there. It is an environment of its own, as a sourced ROS 2's Python is not ours to install into.
# LISA_BAG_PYTHON names another Python, which then has to have the package.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
say() { printf 'setup: %s\n' "$*" >&2; }
fail() { say "$*" && exit 1; }

source "$here/env.sh"
# What env.sh has set is for ROS 2's Python.
clean() { env -u PYTHONPATH -u LD_LIBRARY_PATH -u VIRTUAL_ENV "$@"; }
folder="$LISA_ROOT/.rosbags"
if [ "$LISA_BAG_PYTHON" != "$folder/bin/python3" ]; then
    clean "$LISA_BAG_PYTHON" -c 'import rosbags.rosbag2' 2>/dev/null ||
        fail "LISA_BAG_PYTHON=$LISA_BAG_PYTHON has no package rosbags: install scripts/rosbags.txt there, or unset it"
    exit 0
fi

# The stamp names everything the environment depends on, so a changed pin makes it anew.
python=${LISA_PYTHON:-python3}
stamp="$folder/.complete"
want="$(cksum <"$here/rosbags.txt") $(clean "$python" --version) $folder"
[ -e "$stamp" ] && [ "$(cat "$stamp")" = "$want" ] && exit 0
clean "$python" -c 'import sys; assert (3, 10) <= sys.version_info[:2] <= (3, 14)' 2>/dev/null ||
    fail "$python is $(clean "$python" --version 2>&1), and the wheels of rosbags are for Python 3.10 to 3.14: name one with LISA_PYTHON=..."
say "installing the Python package rosbags into $folder (about 30 MB)"
rm -rf "$folder"
clean "$python" -m venv "$folder" || fail "$python cannot make a virtual environment (on Debian and Ubuntu: apt-get install python3-venv)"
log="$folder/pip.log"
clean "$folder/bin/pip" install --disable-pip-version-check --no-deps --only-binary :all: -r "$here/rosbags.txt" >"$log" 2>&1 ||
    { tail -n 5 "$log" >&2 && fail "pip could not install the wheels ($(uname -m), $("$python" --version)); the whole output is in $log"; }
clean "$folder/bin/python3" -c 'import rosbags.rosbag2' || fail "rosbags was installed into $folder, but cannot be imported"
printf '%s' "$want" >"$stamp"
