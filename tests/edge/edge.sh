#!/bin/bash
# edge.sh BANTAM RANDOM_FAMILY [README]: whether the edge binary is what it is to be: at most 6 MB stripped, no library beyond libc,
# libstdc++ and OpenSSL, no CPU time while it serves and nobody asks. With README the figures go into its measured paragraph.
set -euo pipefail
bantam="$(realpath "$1")" random_family="$(realpath "$2")" readme="${3:-}"
limit=6000000 seconds=10
work="$(mktemp -d)"
server=
trap '[ -z "$server" ] || kill "$server" 2>/dev/null || true; rm -rf "$work"' EXIT
fail() { echo "edge: $1" >&2; exit 1; }

strip -o "$work/bantam" "$bantam"
size="$(stat -c %s "$work/bantam")"
[ "$size" -le "$limit" ] || fail "found $size bytes stripped, expected at most $limit"

libraries="$(ldd "$work/bantam" | sed -E 's/^[[:space:]]*([^[:space:]]+).*/\1/; s/.*\///' | sort)"
foreign="$(grep -vE '^(linux-vdso|libc|libm|ld-linux[-a-z0-9_]*|libstdc\+\+|libgcc_s|libssl|libcrypto)\.so' <<< "$libraries" || true)"
[ -z "$foreign" ] || fail "found the libraries $(tr '\n' ' ' <<< "$foreign"), expected libc, libstdc++ and OpenSSL only"

"$random_family" llama "$work/model.gguf"
export XDG_CONFIG_HOME="$work"
"$work/bantam" serve --model "$work/model.gguf" --port 0 2> "$work/log" &
server=$!
for _ in $(seq 100); do
  port="$(sed -nE 's|.*listening on http://127\.0\.0\.1:([0-9]+).*|\1|p' "$work/log")"
  [ -z "$port" ] || break
  kill -0 "$server" 2>/dev/null || fail "the server ended: $(cat "$work/log")"
  sleep 0.1
done
[ -n "${port:-}" ] || fail "the server did not listen within 10 s"

ask() {
  local body='{"model":"model","messages":[{"role":"user","content":"hello"}],"max_tokens":8}' answer
  exec 3<> "/dev/tcp/127.0.0.1/$port"
  printf 'POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: %d\r\n\r\n%s' \
    "${#body}" "$body" >&3
  answer="$(cat <&3)"
  exec 3>&-
  grep -q '"completion_tokens":' <<< "$answer" || fail "no answer: $answer"
}
for _ in 1 2 3 4 5 6 7 8; do ask; done

# Clock ticks of user and kernel time, and nanoseconds on a processor, of all threads.
ticks() { awk '{print $14 + $15}' "/proc/$server/stat"; }
nanoseconds() { cat /proc/"$server"/task/*/schedstat | awk '{sum += $1} END {printf "%d\n", sum}'; }
sleep 1
before="$(ticks)" ns_before="$(nanoseconds)"
sleep "$seconds"
idle="$(($(ticks) - before))" ns="$(($(nanoseconds) - ns_before))"
[ "$idle" -eq 0 ] || fail "found $idle clock ticks of CPU time in $seconds idle seconds, expected none"

kilobytes() { awk -v key="$1:" '$1 == key {print $2}' "/proc/$server/status"; }
resident="$(kilobytes VmRSS)" anonymous="$(kilobytes RssAnon)" model="$(stat -c %s "$work/model.gguf")"
text="$(awk -v size="$size" -v rss="$resident" -v anon="$anonymous" -v model="$model" -v ns="$ns" -v s="$seconds" -v tick="$idle" 'BEGIN {
  printf "The stripped program is %.1f MB and needs libc, libstdc++ and OpenSSL. Serving a model of random weights of %.1f MB it takes %.1f MB of\n", size / 1e6, model / 1e6, rss * 1.024 / 1000
  printf "resident memory, %.1f MB of it its own and the rest mapped from files (`VmRSS` and `RssAnon` of `/proc/PID/status` after 8 requests); while nobody\n", anon * 1.024 / 1000
  printf "asks it uses no CPU time: %d clock ticks in %d s (%.3f ms by `schedstat`).", tick, s, ns / 1e6 }')"
echo "$text"
if [ -n "$readme" ]; then
  awk -v text="$text" '/<!-- measured: begin -->/ {print; print text; skip = 1} /<!-- measured: end -->/ {skip = 0} !skip || /begin/ {if (!/measured: begin/) print}' \
    "$readme" > "$work/readme"
  cat "$work/readme" > "$readme"
fi
