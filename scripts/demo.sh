#!/usr/bin/env bash
# What `make demo` runs: the node with lisa-mini on a ROS 2 graph of its own, the sample recording as its camera, which looks at
# a table of TableWorld's test split, somebody who asks four questions (scripts/demo.py), and examples/pick.py, which takes hold of what
# is there. Makes demo/ anew:
#   demo/1-….png to 4-….png   what the node published as ~/overlay for each question
#   demo/overlay.png          that of the first right answer
#   demo/answers.json         each question, its answer, where pick.py would take hold, and what the scene says about it
# Ends by itself: 0 if everything came, at most one answer is wrong and the node ended cleanly.
# Stopped with Ctrl-C it ends what it has started, and leaves nothing of an earlier run in demo/.
#   LISA_MODEL       a model directory to use instead of lisa-mini
#   LISA_DEMO_SCENE  the scene's seed, one of the recording's: 20 to 43 (36)
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source "$here/env.sh"
cd "$LISA_ROOT"

# A graph of its own: this machine only, and a domain that nothing else is likely to be in (up to 101 is safe on every Linux).
export ROS_DOMAIN_ID=${LISA_DEMO_DOMAIN:-$((40 + RANDOM % 60))}
case "${RMW_IMPLEMENTATION:-rmw_fastrtps_cpp}" in
    # A depth image does not fit into the shared memory that Fast DDS has by default; config/fastdds.xml is local, too.
    rmw_fastrtps*)
        export FASTRTPS_DEFAULT_PROFILES_FILE=${FASTRTPS_DEFAULT_PROFILES_FILE:-$LISA_ROOT/config/fastdds.xml}
        export FASTDDS_DEFAULT_PROFILES_FILE=${FASTDDS_DEFAULT_PROFILES_FILE:-$FASTRTPS_DEFAULT_PROFILES_FILE}
        export ROS_AUTOMATIC_DISCOVERY_RANGE=SYSTEM_DEFAULT
        unset ROS_LOCALHOST_ONLY
        ;;
    *) if [ "$ROS_DISTRO" = humble ]; then export ROS_LOCALHOST_ONLY=1; else export ROS_AUTOMATIC_DISCOVERY_RANGE=LOCALHOST; fi ;;
esac

model=${LISA_MODEL:-models/lisa-mini}
bag=bags/tableworld
first=20
last=43
scene=${LISA_DEMO_SCENE:-36}
if ! [[ $scene =~ ^[0-9]+$ ]] || [ "$scene" -lt $first ] || [ "$scene" -gt $last ]; then
    echo "demo: LISA_DEMO_SCENE is '$scene'; $bag has the scenes $first to $last" >&2
    exit 2
fi
scene=$((10#$scene)) # 036 is no octal number

# The processes that this script has started and that run. They are asked of the shell, not kept in variables: a signal may come
# between a start and the line that notes its number. A zombie has ended: a shell whose `wait` a signal has interrupted may not
# hear of ends any more.
running() {
    local pid stat
    for pid in $(jobs -rp); do
        { stat=$(<"/proc/$pid/stat"); } 2>/dev/null || continue
        stat=${stat##*) }
        [ "${stat%% *}" = Z ] || echo "$pid"
    done
}
# Waits until all have ended, for so many tenths of a second at most; returns whether they have.
all_ended() {
    local _
    for _ in $(seq "$1"); do
        [ -n "$(running)" ] || return 0
        sleep 0.1
    done
    return 1
}
end_all() {
    trap '' INT TERM HUP PIPE
    local _
    # More than once: what has been forked and is not yet the program it will be may lose a signal.
    for _ in 1 2 3 4 5; do
        kill -TERM $(running) 2>/dev/null || true
        ! all_ended 10 || break
    done
    kill -KILL $(running) 2>/dev/null || true
    wait
}
trap end_all EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 141' PIPE
trap 'exit 143' TERM

# Nothing of an earlier run may be taken for this one's.
rm -rf demo
mkdir demo
target/release/lisa world --split test --seed "$scene" --count 1 --format frames --out demo/world >demo/world.log
truth=$(ls demo/world/frames/test/*.json)

target/release/lisa_node --ros-args -p model:="$model" -p image_transport:=compressed \
    -p max_new_tokens:=64 -p depth.transport:=raw -p target_frame:=base_link -r image/compressed:=camera/image_raw/compressed \
    -r depth:=camera/depth/image -r camera_info:=camera/camera_info >demo/node.log 2>&1 &
node=$!
# A scene a second: this one's frame, with its depth and where the camera was, four times a second, for ever.
target/release/lisa bag play $bag --topics /camera/image_raw/compressed /camera/depth/image /camera/camera_info /tf \
    --start $((scene - first)) --duration 0.25 --loop \
    >demo/camera.log 2>&1 &
camera=$!
# In the background, because the shell hears a signal at once while it waits, and only afterwards while something is in front.
python3 "$here/demo.py" --node-pid $node --truth "$truth" --out demo &
person=$!

code=0
wait $person || code=$?
kill -TERM $camera 2>/dev/null || true
wait $camera || true
kill -INT $node 2>/dev/null || true
if ! all_ended 100; then
    echo "demo: the node has not ended within 10 s of SIGINT; its log is demo/node.log" >&2
    exit 1
fi
node_code=0
wait $node || node_code=$?
if [ $node_code -ne 0 ]; then
    echo "demo: the node ended with exit code $node_code; its last words (all of them in demo/node.log):" >&2
    tail -n 20 demo/node.log >&2
    exit 1
fi
[ $code -ne 0 ] || echo "demo: the node ended cleanly on SIGINT; its log is demo/node.log"
exit $code
