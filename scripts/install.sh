#!/usr/bin/env bash
# What `make install`, `make install-data` and `make uninstall` run, and what the packages are made from: the program lisa, its
# manual pages and completions, the model that comes with the project, and the licences.
#   scripts/install.sh               everything
#   scripts/install.sh --data        everything but the program, for whoever has that from `cargo install`
#   scripts/install.sh --uninstall   removes what was installed there, and the folders that were made for it
#   PREFIX    where to (default: ~/.local); gets bin/ and share/
#   DESTDIR   put in front of PREFIX, for whoever makes a package
#   STRIP=no  keeps the line numbers in the program, which make it eight times as large
# The node is a ROS 2 package and is installed by colcon. docs/INSTALL.md has the other ways.
set -euo pipefail
export LC_ALL=C
# What is installed is for everybody, whoever installs it.
umask 022
cd "$(dirname "${BASH_SOURCE[0]}")/.."
fail() { echo "install: $*" >&2 && exit 1; }
what=${1:-}
case "$what" in '' | --data | --uninstall) ;; *) fail "$what; accepted: --data, --uninstall or nothing" ;; esac

prefix=${PREFIX:-$HOME/.local}
# A shell leaves a ~ that does not begin a word, as in `make install PREFIX=~/x`.
case "$prefix" in
    /*) ;;
    '~') prefix=$HOME ;;
    '~/'*) prefix=$HOME/${prefix#'~/'} ;;
    '~'*) fail "PREFIX=$prefix; accepted: a path, absolute or below ~/" ;;
    *)
        echo "install: PREFIX=$prefix is taken from $PWD" >&2
        prefix=$PWD/$prefix
        ;;
esac
to=${DESTDIR:-}$prefix
# Everything that was installed, by its path in PREFIX. A folder that was made for it ends in a slash; ./ is PREFIX itself.
list=share/lisa_ros/installed.txt

# Removes what $1 lists and $2, another such list, does not, and of the folders those that are empty then.
remove_listed() {
    # Deepest first, and nothing that a damaged list would have outside of PREFIX.
    sort -r "$1" | while IFS= read -r path; do
        case "/$path/" in */../* | //*) continue ;; esac
        if grep -qxF "$path" "$2"; then continue; fi
        case "$path" in
            */) rmdir "$to/${path#./}" 2>/dev/null || true ;;
            *) rm -f "$to/$path" ;;
        esac
    done
}

if [ "$what" = --uninstall ]; then
    [ -e "$to/$list" ] || fail "$to/$list is not there: nothing was installed into $to, or by an older version"
    removed=$(mktemp)
    trap 'rm -f "$removed"' EXIT
    cp "$to/$list" "$removed"
    remove_listed "$removed" /dev/null
    echo "install: removed from $to" >&2
    exit 0
fi

program=target/release/lisa
if [ ! -x "$program" ]; then
    [ "$what" = --data ] || fail "$program is not there: run make build"
    program=$(command -v lisa) || fail "$program is not there, and no lisa is on the PATH: cargo install --locked --path ."
fi

# Made in a folder of their own first, so that a program that cannot run leaves nothing half installed.
temporary=$(mktemp -d)
trap 'rm -rf "$temporary"' EXIT
made=$temporary/made
mkdir -p "$made"/share/{bash-completion/completions,zsh/site-functions,fish/vendor_completions.d,doc/lisa_ros}
if [ "$what" != --data ]; then
    mkdir "$made/bin"
    cp "$program" "$made/bin/lisa"
    if [ "${STRIP:-yes}" = yes ] && command -v strip >/dev/null; then strip "$made/bin/lisa"; fi
fi
"$program" completions bash >"$made/share/bash-completion/completions/lisa"
"$program" completions zsh >"$made/share/zsh/site-functions/_lisa"
"$program" completions fish >"$made/share/fish/vendor_completions.d/lisa.fish"
"$program" man --out "$made/share/man/man1"
# By its name, because people keep models of their own beside it.
mkdir -p "$made/share/lisa_ros/models"
cp -R models/lisa-mini "$made/share/lisa_ros/models/"
cp LICENSE "$made/share/doc/lisa_ros/LICENSE"
# Made by scripts/build.sh, so that root, who may have no cargo, can install what somebody else has built.
notices=target/release/THIRD_PARTY_LICENCES.txt
if [ ! -e $notices ] || [ Cargo.lock -nt $notices ]; then
    mkdir -p target/release
    PATH="$PATH:$HOME/.cargo/bin" python3 scripts/licences.py --notices $notices || fail "no $notices: run make build"
fi
cp $notices "$made/share/doc/lisa_ros/"

[ -d "$to" ] || made_prefix=./
install -d "$to" 2>/dev/null && [ -w "$to" ] || fail "cannot write to $to; accepted: make install PREFIX=FOLDER, such as ~/.local"
new=$temporary/installed.txt
old=$temporary/earlier.txt
cp "$to/$list" "$old" 2>/dev/null || : >"$old"
{
    # The folders that an earlier installation made are still ours.
    grep '/$' "$old" || true
    (cd "$made" && find * -type d) | while IFS= read -r folder; do
        [ -d "$to/$folder" ] || echo "$folder/"
    done
    (cd "$made" && find * -type f)
    printf '%s\n' "$list" ${made_prefix:-}
    # Both kinds of installation may be in one place.
    if [ "$what" = --data ]; then grep -x 'bin/lisa' "$old" || true; fi
} | sort -u >"$new"
# Readable by everybody, whatever the checkout's files are.
(cd "$made" && find * -type f) | while IFS= read -r file; do
    mode=644
    case "$file" in bin/*) mode=755 ;; esac
    install -D -m "$mode" "$made/$file" "$to/$file"
done
remove_listed "$old" "$new"
install -D -m 644 "$new" "$to/$list"

if [ "$what" = --data ]; then
    echo "install: manual pages, completions and lisa-mini in $to/share" >&2
else
    echo "install: $to/bin/lisa; manual pages, completions and lisa-mini in $to/share" >&2
    case ":$PATH:" in
        *":$prefix/bin:"*) ;;
        *) echo "install: $prefix/bin is not on the PATH: export PATH=\"$prefix/bin:\$PATH\"" >&2 ;;
    esac
fi
