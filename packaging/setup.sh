#!/bin/bash
# setup.sh GROUP...: installs what is missing of these groups of debian-packages.txt. As root it installs; otherwise through
# sudo, when that needs no password or there is a terminal to ask for one; otherwise it prints the missing packages and fails.
set -euo pipefail
list="$(dirname "$0")/debian-packages.txt"

if [ $# -eq 0 ]; then
  echo "usage: packaging/setup.sh GROUP...   (groups: $(awk '!/^#/ && NF {print $1}' "$list" | sort -u | xargs))" >&2
  exit 2
fi

missing=()
for group in "$@"; do
  if ! grep -q "^$group " "$list"; then
    echo "setup: no group '$group' in $list" >&2
    exit 2
  fi
  while read -r _ package command; do
    if [ -n "$command" ] && command -v "$command" >/dev/null; then continue; fi
    status="$(dpkg-query -W -f='${db:Status-Abbrev}' "$package" 2>/dev/null || true)"
    [ "${status:0:2}" = ii ] || missing+=("$package")
  done < <(grep "^$group " "$list")
done
[ ${#missing[@]} -gt 0 ] || exit 0

refuse() {
  echo "setup: these packages are missing and $1:" >&2
  printf '  %s\n' "${missing[@]}" >&2
  echo "Ask an administrator for: apt-get install --no-install-recommends ${missing[*]}" >&2
  exit 1
}

command -v apt-get >/dev/null || refuse "there is no apt-get (the set-up knows Debian 12 only)"
if [ "$(id -u)" -eq 0 ]; then
  as_root=()
elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
  as_root=(sudo -n)
elif command -v sudo >/dev/null && [ -t 0 ]; then
  as_root=(sudo)
else
  refuse "installing them needs root or sudo"
fi

install() {
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "$@" >&2
}
echo "setup: installing ${missing[*]}" >&2
"${as_root[@]}" apt-get update -q >&2
# The BLAS first and alone: LibTorch's dependency is then met, and apt adds no other.
if [ "${missing[0]}" = libopenblas0-openmp ]; then
  install libopenblas0-openmp
  missing=("${missing[@]:1}")
fi
[ ${#missing[@]} -eq 0 ] || install "${missing[@]}"
