#!/usr/bin/env bash
# What `make demo` runs: the node with lisa-mini on a ROS 2 graph of its own, the sample recording as its camera, which looks at
# a table of TableWorld's test split, and somebody who asks.
# Ends by itself: 0 if everything was answered and the node ended cleanly.
#   LISA_MODEL       a model directory to use instead of lisa-mini
#   LISA_DEMO_SCENE  the scene's seed, one of the recording's: 20 to 43 (36)
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source "$here/env.sh"
cd "$LISA_ROOT"

# A graph of its own: this machine only, and a domain that nothing else is likely to be in (up to 101 is safe on every Linux).
export ROS_DOMAIN_ID=${LISA_DEMO_DOMAIN:-$((40 + RANDOM % 60))}
if [ "$ROS_DISTRO" = humble ]; then export ROS_LOCALHOST_ONLY=1; else export ROS_AUTOMATIC_DISCOVERY_RANGE=LOCALHOST; fi

model=${LISA_MODEL:-models/lisa-mini}
# Another model or scene may fail to find the remote control, and a scene may have none.
least=0.5
[ -z "${LISA_MODEL:-}${LISA_DEMO_SCENE:-}" ] || least=0
bag=bags/tableworld
first=20
last=43
scene=${LISA_DEMO_SCENE:-36}
if ! [[ $scene =~ ^[0-9]+$ ]] || [ "$scene" -lt $first ] || [ "$scene" -gt $last ]; then
    echo "demo: LISA_DEMO_SCENE is '$scene'; $bag has the scenes $first to $last" >&2
    exit 2
fi
rm -rf demo/world
mkdir -p demo
target/release/lisa world --split test --seed "$scene" --count 1 --format frames --out demo/world >/dev/null
frames=demo/world/frames/test

node= camera=
finish() { for pid in $camera $node; do kill -TERM "$pid" 2>/dev/null || true; done; }
trap finish EXIT

target/release/lisa_node --ros-args -p model:="$model" -p image_transport:=compressed \
    -p max_new_tokens:=64 -r image/compressed:=camera/image_raw/compressed >demo/node.log 2>&1 &
node=$!
# A scene a second: this one's frame ten times a second, for ever.
target/release/lisa bag play $bag --topics /camera/image_raw/compressed --start $((scene - first)) --duration 0.1 --loop \
    >demo/camera.log 2>&1 &
camera=$!

code=0
python3 "$here/demo.py" --node-pid $node --truth "$(ls $frames/*.json)" --least $least --overlay demo/overlay.png || code=$?

kill -TERM $camera 2>/dev/null || true
kill -INT $node 2>/dev/null || true
node_code=0
wait $node || node_code=$?
node=
if [ $node_code -ne 0 ]; then
    echo "demo: the node ended with exit code $node_code; its last words (all of them in demo/node.log):" >&2
    tail -n 20 demo/node.log >&2
    exit 1
fi
[ $code -ne 0 ] || echo "demo: the node ended cleanly on SIGINT; its log is demo/node.log"
exit $code
