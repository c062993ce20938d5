#!/usr/bin/env bash
# Installs Chromium and its driver from Debian's packages where they are missing, for the tests of the page (tests/web). CI calls it;
# `make test` does not install a browser by itself, and skips what needs one.
set -euo pipefail
say() { printf 'setup: %s\n' "$*" >&2; }
command -v chromedriver >/dev/null && { command -v chromium || command -v chromium-browser || command -v google-chrome; } >/dev/null && exit 0
sudo=()
[ "$(id -u)" = 0 ] || sudo=(sudo -n)
say "installing chromium and chromium-driver"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
{ "${sudo[@]}" apt-get update && DEBIAN_FRONTEND=noninteractive "${sudo[@]}" apt-get install -y --no-install-recommends chromium chromium-driver; } >"$log" 2>&1 ||
    { tail -n 5 "$log" >&2 && say "chromium could not be installed; the tests of the page will be skipped" && exit 1; }
