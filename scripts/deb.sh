#!/usr/bin/env bash
# What `make deb` runs: target/debian/lisa-ros_VERSION_ARCHITECTURE.deb, from what scripts/install.sh installs and packaging/debian/ says.
# It has the program of target/release, so it runs on this Debian or Ubuntu and newer ones. Debian's own tools find the libraries and
# their versions, and need no root. cargo-deb 3.8 was tried: it takes 75 s to build and leaves out md5sums and libgcc-s1.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
say() { echo "deb: $*" >&2; }
fail() { say "$*" && exit 1; }

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
log=$work/log
if ! command -v dpkg-shlibdeps >/dev/null; then
    sudo=()
    [ "$(id -u)" = 0 ] || sudo=(sudo -n)
    say "installing dpkg-dev"
    { "${sudo[@]}" apt-get update && DEBIAN_FRONTEND=noninteractive "${sudo[@]}" apt-get install -y --no-install-recommends dpkg-dev; } \
        >"$log" 2>&1 || { tail -n 5 "$log" >&2 && fail "please install dpkg-dev: a package is made on Debian or Ubuntu"; }
fi
version=$(dpkg-parsechangelog -l packaging/debian/changelog -S Version)
crate=$(sed -n '/^\[workspace.package\]/,/^$/s/^version = "\(.*\)"/\1/p' Cargo.toml)
[ "${version%-*}" = "$crate" ] || fail "packaging/debian/changelog is about $version, Cargo.toml about $crate: give it an entry"
# The same commit gives the same package.
if [ -z "${SOURCE_DATE_EPOCH:-}" ]; then
    SOURCE_DATE_EPOCH=$(git log -1 --format=%ct 2>/dev/null || date +%s)
fi
export SOURCE_DATE_EPOCH

# dpkg's tools want a folder with debian/control in it, and the package's files below debian/.
mkdir -p "$work/debian"
cp packaging/debian/control packaging/debian/changelog "$work/debian/"
root=$work/debian/lisa-ros
PREFIX=/usr DESTDIR=$root scripts/install.sh 2>"$log" || { cat "$log" >&2 && exit 1; }
share=$root/usr/share
doc=$share/doc/lisa-ros
# Where Debian keeps these, and what its packages do not have: dpkg has a list of its own, and common-licenses the licence.
mkdir -p "$share/zsh/vendor-completions" "$doc" "$share/lintian/overrides"
mv "$share/zsh/site-functions/_lisa" "$share/zsh/vendor-completions/_lisa"
mv "$share/doc/lisa_ros/THIRD_PARTY_LICENCES.txt" "$doc/"
rm -r "$share/zsh/site-functions" "$share/doc/lisa_ros" "$share/lisa_ros/installed.txt"
install -m 644 packaging/debian/copyright "$doc/copyright"
install -m 644 packaging/debian/changelog "$doc/changelog.Debian"
install -m 644 packaging/debian/lintian-overrides "$share/lintian/overrides/lisa-ros"
gzip -9n "$doc/changelog.Debian" "$doc/THIRD_PARTY_LICENCES.txt" "$share"/man/man1/*
chmod -R u=rwX,go=rX "$root"
mkdir "$root/DEBIAN"
(cd "$root" && find usr -type f -print0 | LC_ALL=C sort -z | xargs -0 md5sum) >"$root/DEBIAN/md5sums"

mkdir -p target/debian
target=$PWD/target/debian
(
    cd "$work"
    dpkg-shlibdeps debian/lisa-ros/usr/bin/lisa
    dpkg-gencontrol -plisa-ros -Pdebian/lisa-ros -fdebian/files
    # xz, because Debian before bookworm cannot read zstd.
    dpkg-deb --root-owner-group -Zxz --build debian/lisa-ros "$target"
) >"$log" 2>&1 || { tail -n 5 "$log" >&2 && fail "the package could not be made"; }
say "target/debian/lisa-ros_${version}_$(dpkg --print-architecture).deb"
