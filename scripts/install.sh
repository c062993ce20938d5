#!/usr/bin/env bash
# What `make install` runs: the program lisa and the models that come with the project, for a shell's PATH.
#   PREFIX    where to (default: ~/.local); gets bin/lisa and share/lisa_ros/models/
#   DESTDIR   put in front of PREFIX, for whoever makes a package
# The node is a ROS 2 package and is installed by colcon.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
prefix=${PREFIX:-$HOME/.local}
# A shell leaves a ~ that does not begin a word, as in `make install PREFIX=~/x`.
case "$prefix" in
    /*) ;;
    '~') prefix=$HOME ;;
    '~/'*) prefix=$HOME/${prefix#'~/'} ;;
    '~'*) echo "install: PREFIX=$prefix; accepted: a path, absolute or below ~/" >&2 && exit 1 ;;
    *)
        echo "install: PREFIX=$prefix is taken from $PWD" >&2
        prefix=$PWD/$prefix
        ;;
esac
to=${DESTDIR:-}$prefix
[ -x target/release/lisa ] || { echo "install: target/release/lisa is not there: run make build" >&2 && exit 1; }

install -d "$to/bin" || { echo "install: cannot write to $to; accepted: make install PREFIX=FOLDER, such as ~/.local" >&2 && exit 1; }
install -m 755 target/release/lisa "$to/bin/lisa"
# A model with the pictures of its card, readable by everybody whatever the checkout's files are.
find models -mindepth 2 -type f | while IFS= read -r file; do
    install -D -m 644 "$file" "$to/share/lisa_ros/$file"
done
echo "install: $to/bin/lisa, $to/share/lisa_ros/models" >&2
case ":$PATH:" in
    *":$prefix/bin:"*) ;;
    *) echo "install: $prefix/bin is not on the PATH: export PATH=\"$prefix/bin:\$PATH\"" >&2 ;;
esac
