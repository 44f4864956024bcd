#!/bin/bash
# The config file that `bantam` and `bantam-train` share: each takes the other's names for what they are, and refuses typos.
# config_names.sh BANTAM WRITE_MODEL FOLDER HEADER [BANTAM_TRAIN]
here="$(dirname "$0")"
header="$4" train="${5:-}"
. "$here/lib.sh"

# flags PROGRAM VERB...: all long flags that --help names, sorted.
flags() {
  local program="$1" verb
  shift
  for verb in "$@"; do "$program" "$verb" --help; done | grep -oE '^ +(-[a-zA-Z],)?--[a-z0-9-]+(,--[a-z0-9-]+)*' |
    grep -oE -- '--[a-z0-9-]+' | sed 's/^--//' | grep -vxE 'help|config' | sort -u
}
# listed ARRAY: what the header says, sorted.
listed() { tr '\n' ' ' <"$header" | grep -oE "$1\[\] = \{[^}]*" | grep -oE '"[a-z0-9-]+"' | tr -d '"' | sort -u; }
# verbs PROGRAM: sorted.
verbs() { "$1" --help | sed -n '/^Subcommands/,$p' | grep -oE '^  [a-z]+ ' | tr -d ' ' | sort -u; }

same_names() { [ "$1" = "$2" ] || complain "$3 differ: $(diff <(echo "$1") <(echo "$2") | grep '^[<>]' | tr '\n' ' ')"; }

training="$(listed kTrainVerbs)" runtime="$(listed kBantamVerbs)"
same_names "$(verbs "$BANTAM")" "$(printf '%s\n%s\n' "$training" "$runtime" | sort -u)" "verbs of bantam and of $header"
# shellcheck disable=SC2086
same_names "$(flags "$BANTAM" $runtime)" "$(listed kBantamFlags)" "flags of bantam and of $header"

printf 'epochs = 3\n[train]\nx = 1\n[make]\n' >config.toml
run 0 ls --config config.toml
for typo in 'epohs = 3' 'max-tokenz = 3' '[trian]' '[ls]\nstroe = "x"'; do
  printf "$typo\n" >config.toml
  run 2 ls --config config.toml
  err_has "expected perhaps"
done

if [ -n "$train" ]; then
  same_names "$(verbs "$train")" "$training" "verbs of bantam-train and of $header"
  # shellcheck disable=SC2086
  same_names "$(flags "$train" $training)" "$(listed kTrainFlags)" "flags of bantam-train and of $header"
  BANTAM="$train"
  printf 'max-tokens = 3\n[run]\nraw = true\n[serve]\n' >config.toml
  run 1 make no-such-recipe.toml --config config.toml
  for typo in 'epohs = 3' 'max-tokenz = 3' '[rnu]' '[train]\nepochz = 1'; do
    printf "$typo\n" >config.toml
    run 2 make no-such-recipe.toml --config config.toml
    err_has "expected perhaps"
  done
fi
finish
