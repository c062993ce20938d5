#!/usr/bin/env bash
# Builds the interfaces and the node, as colcon would, without colcon: interfaces into install/, programs into target/release,
# where cargo test and cargo clippy find everything that was compiled here. Seconds when nothing has changed.
# With --interfaces: only those.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source "$here/env.sh"
cd "$LISA_ROOT"

jobs=$(nproc 2>/dev/null || echo 2)
build=build/interfaces
log=$build/build.log
mkdir -p $build
python=$(command -v python3)
# A build folder keeps the ROS 2 it was configured with; with another one it is made anew.
want="$AMENT_PREFIX_PATH $python $LISA_ROOT"
sum=$({ find CMakeLists.txt package.xml msg srv action launch config rviz models -type f -exec cksum {} + 2>/dev/null || true; } | sort | cksum)
if [ "$(cat $build/.environment 2>/dev/null || true)" != "$want" ]; then
    rm -rf $build && mkdir -p $build
    printf '%s' "$want" >$build/.environment
fi
if [ "$(cat "$LISA_INSTALL/.interfaces" 2>/dev/null || true)" != "$want $sum" ]; then
    echo "build: generating the interfaces (half a minute)" >&2
    {
        cmake -S . -B $build -DCMAKE_BUILD_TYPE=Release -DBUILD_TESTING=OFF -DLISA_INTERFACES_ONLY=ON \
            -DCMAKE_INSTALL_PREFIX="$LISA_INSTALL" -DPython3_EXECUTABLE="$python" &&
            cmake --build $build -j "$jobs" && cmake --install $build
    } >$log 2>&1 || { tail -n 20 $log >&2 && echo "build: the interfaces failed; the whole output is in $log" >&2 && exit 1; }
    printf '%s' "$want $sum" >"$LISA_INSTALL/.interfaces"
fi
[ "${1:-}" != --interfaces ] || exit 0

source "$here/env.sh"
export PATH="$PATH:$HOME/.cargo/bin"
cargo build --release --locked --features "ros${LISA_CUDA:+,cuda}" --bins
notices=target/release/THIRD_PARTY_LICENCES.txt
if [ ! -e $notices ] || [ Cargo.lock -nt $notices ]; then python3 scripts/licences.py --notices $notices; fi
mkdir -p "$LISA_INSTALL/lib/lisa_ros" "$LISA_INSTALL/bin"
ln -sf "$LISA_ROOT"/target/release/{lisa_node,lisa_bag,lisa} "$LISA_INSTALL/lib/lisa_ros/"
ln -sf "$LISA_ROOT/target/release/lisa" "$LISA_INSTALL/bin/"
