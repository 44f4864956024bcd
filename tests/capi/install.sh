#!/bin/bash
# install.sh BUILD WRITE_MODEL EXAMPLE.c FOLDER CC: libbantam as it is installed: its names, its pkg-config file, and a C program built
# with each of the two kinds.
set -euo pipefail
build="$1" write_model="$2" example="$3" folder="$4" cc="$5"
rm -rf "$folder" && mkdir -p "$folder"
cmake --install "$build" --component library --prefix "$folder/prefix" > "$folder/log"
cd "$folder"
PKG_CONFIG_PATH="$(dirname "$(find "$PWD/prefix" -name bantam.pc)")"
export PKG_CONFIG_PATH
lib="$(pkg-config --variable=libdir bantam)"
[ "$(pkg-config --modversion bantam)" != "" ]

# Nothing can be seen but the API, and all of the API.
grep -oE '\bbantam_[a-z_]+\(' prefix/include/bantam.h | tr -d '(' | sort -u > declared
nm -D --defined-only "$lib/libbantam.so" | awk '$2 != "A" {print $3}' | sed 's/@.*//' | sort -u > shared
nm --defined-only --extern-only "$lib/libbantam.a" | awk 'NF == 3 {print $3}' | sort -u > static
diff declared shared
diff declared static
[ "$(wc -l < declared)" -ge 12 ]
readelf -d "$lib/libbantam.so" | grep -q 'SONAME.*libbantam\.so\.1\]'

"$write_model" plain.gguf
strict="-std=c11 -Wall -Wextra -Werror -pedantic"
$cc $strict "$example" $(pkg-config --cflags --libs bantam) -Wl,-rpath,"$lib" -o with_shared
$cc $strict "$example" $(pkg-config --cflags bantam) "$lib/libbantam.a" $(pkg-config --static --libs-only-l bantam | sed 's/-lbantam//') \
  -o with_static
./with_shared plain.gguf "hello there" > shared.out
./with_static plain.gguf "hello there" > static.out
cmp shared.out static.out
readelf -d with_static | grep -q libbantam && { echo "the static program needs the shared library"; exit 1; }
echo "all checks passed: $(wc -l < declared) functions"
