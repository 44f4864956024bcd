# Sourced by the tests beside it: BANTAM, WRITE_MODEL and a fresh folder to work in, and checks that say what they saw.
set -euo pipefail
BANTAM="$1" WRITE_MODEL="$2" FOLDER="$3"
rm -rf "$FOLDER"
mkdir -p "$FOLDER"
cd "$FOLDER"
export XDG_CONFIG_HOME="$FOLDER/no-config"
for name in $(env | sed -n 's/^\(BANTAM_[A-Z_]*\)=.*/\1/p'); do unset "$name"; done
failures=0

complain() {
  echo "FAILED: $1" >&2
  failures=$((failures + 1))
}

# run CODE ARGUMENTS...: bantam must end with this exit code; its output is in ./out and ./err, standard input is ./in if there.
run() {
  local expected="$1" code=0
  shift
  [ -e in ] || : > in
  "$BANTAM" "$@" < in > out 2> err || code=$?
  [ "$code" = "$expected" ] || complain "bantam $*: exit code $code, expected $expected; it said: $(head -c 600 err)"
}

# out_has TEXT, err_has TEXT: the last run's output holds TEXT.
out_has() { grep -qF -- "$1" out || complain "standard output lacks '$1': $(head -c 400 out)"; }
err_has() { grep -qF -- "$1" err || complain "standard error lacks '$1': $(head -c 400 err)"; }
out_empty() { [ ! -s out ] || complain "standard output is not empty: $(head -c 400 out)"; }
err_empty() { [ ! -s err ] || complain "standard error is not empty: $(head -c 400 err)"; }
same() { [ "$1" = "$2" ] || complain "${3:-values}: '$1' and '$2' differ"; }

finish() {
  [ "$failures" = 0 ] || { echo "$failures checks failed" >&2; exit 1; }
  echo "all checks passed"
}
