#!/usr/bin/env bash
# Installs Open MPI and its headers from Debian, for `cargo build --features mpi` and its tests, unless an MPI is there. Does nothing when it is.
set -euo pipefail
say() { printf 'setup: %s\n' "$*" >&2; }
fail() { say "$*" && exit 1; }

missing=()
command -v mpirun >/dev/null || missing+=(openmpi-bin)
command -v mpicc >/dev/null || missing+=(libopenmpi-dev)
[ ${#missing[@]} -gt 0 ] || exit 0
sudo=
[ "$(id -u)" = 0 ] || sudo='sudo -n'
command -v apt-get >/dev/null && { [ -z "$sudo" ] || sudo -n true 2>/dev/null; } ||
    fail "please install an MPI with mpirun and mpicc (on Debian and Ubuntu: sudo apt-get install ${missing[*]})"
say "installing from Debian: ${missing[*]}"
log=$(mktemp)
{ $sudo apt-get update && DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y --no-install-recommends "${missing[@]}"; } \
    >"$log" 2>&1 || { tail -n 5 "$log" >&2 && fail "apt-get could not install: ${missing[*]}"; }
rm -f "$log"
