#!/bin/bash
# ledger, key and audit: what they print and how they end.
source "$(dirname "$0")/lib.sh"

run 1 ledger none.db
err_has "none.db: there is no such ledger"
[ ! -e none.db ] || complain "reading made a ledger"
run 0 key add ci --ledger l.db --team support --money 2.5 --requests 10 --json
key=$(sed -n 's/.*"key": *"\(bt-[0-9a-f-]*\)".*/\1/p' out)
[ ${#key} = 84 ] || complain "found the key '$key'"
run 1 key add ci --ledger l.db
err_has "there is a key 'ci' already"
run 0 key add plain --ledger l.db --quiet
err_empty
run 0 key ls --ledger l.db
out_has "support"
out_has "2.5 money, 10 requests"
out_has "no limit"
! grep -q "$key" out || complain "the key itself is shown"
! grep -qr -- "${key##*-}" l.db || complain "the key's secret is stored"
run 0 key rm ci --ledger l.db
run 1 key rm ci --ledger l.db
run 2 key add --ledger l.db
run 2 key ls extra --ledger l.db
run 2 key mend --ledger l.db
run 0 ledger l.db
out_has "requests"
run 0 ledger l.db --json
out_has "[]"
run 0 ledger l.db --by outcome,team
run 2 ledger l.db --by colour
err_has "expected day, key"

run 1 audit verify none.jsonl
printf '{"seq":1}\n' > bad.jsonl
run 1 audit verify bad.jsonl
out_has "bad.jsonl: line 1: edited"
out_has "no anchor"
run 1 audit verify bad.jsonl --json
out_has '"intact":false'
: > empty.jsonl
run 0 audit verify empty.jsonl
run 1 audit verify empty.jsonl --head "3:$(printf %064d 0)"
out_has "truncated"
run 1 audit verify empty.jsonl --head 3
err_has "expected NUMBER:HASH"
run 2 audit head empty.jsonl
run 1 audit head empty.jsonl --ledger l.db
finish
