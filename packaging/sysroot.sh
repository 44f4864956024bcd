#!/bin/bash
# sysroot.sh ARCH DIR: unpacks Debian's packages of group `sysroot` of debian-packages.txt for the architecture ARCH, with what
# they depend on, into DIR: the headers and libraries that a cross compiler takes with --sysroot. Installs nothing, needs no root:
# apt resolves and fetches (checking signatures as always) with a state of its own in DIR/apt. Installing them beside those of
# this machine would not do: some -dev packages of two architectures exclude each other.
set -euo pipefail
if [ $# -ne 2 ]; then
  echo "usage: packaging/sysroot.sh ARCH DIR" >&2
  exit 2
fi
arch="$1"
list="$(dirname "$0")/debian-packages.txt"
mapfile -t packages < <(awk '$1 == "sysroot" {print $2}' "$list")
mkdir -p "$2"
dir="$(cd "$2" && pwd)"
stamp="$arch ${packages[*]}"
[ "$(cat "$dir/.packages" 2>/dev/null || true)" != "$stamp" ] || exit 0
command -v apt-get >/dev/null || { echo "sysroot: there is no apt-get (the set-up knows Debian 12 only)" >&2; exit 1; }

echo "sysroot: fetching ${#packages[@]} packages and their dependencies for $arch" >&2
mkdir -p "$dir"/apt/{state/lists/partial,cache/archives/partial,preferences.d}
: >"$dir/apt/status"
apt() {
  apt-get -qq -o APT::Architecture="$arch" -o APT::Architectures::="$arch" -o Dir::State="$dir/apt/state" \
    -o Dir::State::status="$dir/apt/status" -o Dir::Cache="$dir/apt/cache" \
    -o Dir::Etc::preferencesparts="$dir/apt/preferences.d" -o APT::Sandbox::User=root "$@" >&2
}
apt update
apt install -y --no-install-recommends --download-only "${packages[@]}"

# Directories that Debian 12 joins: libraries of both names must meet in one.
for name in bin lib sbin; do
  mkdir -p "$dir/usr/$name"
  [ -e "$dir/$name" ] || ln -s "usr/$name" "$dir/$name"
done
for deb in "$dir"/apt/cache/archives/*.deb; do
  dpkg-deb --fsys-tarfile "$deb" | tar -x -C "$dir" --keep-directory-symlink --no-same-owner --exclude=./usr/share/doc \
    --exclude=./usr/share/man --exclude=./etc
done
# Absolute links would leave the sysroot.
find "$dir/usr" -type l -lname '/*' | while read -r link; do
  ln -sfn "$dir$(readlink "$link")" "$link"
done
rm -rf "$dir/apt"
echo "$stamp" >"$dir/.packages"
