#!/bin/bash
# sources.sh DIR: the two libraries below the tokenizer that have no package for WebAssembly, PCRE2 and utf8proc, as Debian's source
# packages (signatures and hashes are checked), unpacked into DIR/pcre2 and DIR/utf8proc. Needs no root.
set -euo pipefail
[ $# -eq 1 ] || { echo "usage: wasm/sources.sh DIR" >&2; exit 2; }
mkdir -p "$1"
dir="$(cd "$1" && pwd)"
[ ! -e "$dir/.done" ] || exit 0
command -v apt-get >/dev/null || { echo "sources: there is no apt-get (the set-up knows Debian 12 only)" >&2; exit 1; }
suite="$(. /etc/os-release && echo "$VERSION_CODENAME")"
rm -rf "$dir/apt" && mkdir -p "$dir"/apt/{state/lists/partial,cache/archives/partial,preferences.d,sources}
: >"$dir/apt/status"
# The machine's own mirror, whichever of apt's two formats names it; the release's suite alone, whose sources all mirrors keep.
mirror="$(find /etc/apt -name '*.list' -o -name '*.sources' | xargs awk '
  $1 == "URIs:" {print $2} $1 == "deb" {for (i = 2; i <= NF; ++i) if ($i ~ /^[a-z]+:\/\//) print $i}' |
  awk '/\/debian\/?$/ && !found {print; found = 1}')"
[ -n "$mirror" ] || { echo "sources: apt's sources name no Debian mirror" >&2; exit 1; }
printf 'Types: deb-src\nURIs: %s\nSuites: %s\nComponents: main\nSigned-By: /usr/share/keyrings/debian-archive-keyring.gpg\n' \
  "$mirror" "$suite" >"$dir/apt/sources/debian.sources"
apt() {
  apt-get -qq -o Dir::State="$dir/apt/state" -o Dir::State::status="$dir/apt/status" -o Dir::Cache="$dir/apt/cache" \
    -o Dir::Etc::sourcelist=/dev/null -o Dir::Etc::sourceparts="$dir/apt/sources" \
    -o Dir::Etc::preferencesparts="$dir/apt/preferences.d" -o APT::Sandbox::User=root "$@" >&2
}
apt update
cd "$dir/apt"
apt source --download-only pcre2 utf8proc
for name in pcre2 utf8proc; do
  rm -rf "${dir:?}/$name"
  dpkg-source --no-check -x "$name"_*.dsc "$dir/$name" >/dev/null
done
cd "$dir"
rm -rf "$dir"/apt "$dir"/*.tar.gz
touch "$dir/.done"
