#!/bin/bash
# Damaged files, wrong data, a full disk: a clear message, a non-zero exit code, nothing half-written.
. "$(dirname "$0")/lib.sh"
"$WRITE_MODEL" good.gguf --labels refund,login
size="$(stat -c %s good.gguf)"

run 1 show missing.gguf
err_has "missing.gguf"
run 1 show .
: > empty.gguf
run 1 show empty.gguf
err_has "empty.gguf"

# Cut off anywhere, it is refused, by every verb that reads a model.
for length in 3 20 200 $((size / 2)) $((size - 1)); do
  head -c "$length" good.gguf > cut.gguf
  run 1 show cut.gguf
  err_has "cut.gguf"
  out_empty
done
run 1 run cut.gguf hello
run 1 quantize cut.gguf out.gguf --type q8_0
[ ! -e out.gguf ] || complain "quantize left a file"

# Counts that lie: the tensor count and the length of the first key (GGUF: magic, version, tensors, pairs, key length).
lie() {
  cp good.gguf lie.gguf
  printf "$2" | dd of=lie.gguf bs=1 seek="$1" conv=notrunc status=none
  run 1 show lie.gguf
  err_has "lie.gguf"
  out_empty
}
lie 0 'GGUX'
lie 4 '\x63'
lie 8 '\xff\xff\xff\xff\xff\xff\xff\x7f'
lie 16 '\xff\xff\xff\xff\xff\xff\xff\xff'
lie 24 '\xff\xff\xff\xff\xff\xff\xff\x0f'

# Labelled data
bad() {
  printf "$2" > bad.csv
  run 1 eval good.gguf --data bad.csv
  err_has "bad.csv"
  err_has "$1"
  out_empty
}
bad "" ''
bad "" 'text,label\n'
bad "label" 'text,intent\nhello,login\n'
bad "2" 'text,label\nhello,login,more\n'
bad "2" 'text,label\nhello,unheard-of\n'
bad "UTF-8" 'text,label\nhel\xfflo,login\n'
bad "quote" 'text,label\n"hello,login\n'

# A full disk: /dev/full refuses every byte, so a folder on a tiny file system is needed; a file size limit does the same.
code=0
(ulimit -f 8; trap '' XFSZ; "$BANTAM" quantize good.gguf limited.gguf --type f32 > out 2> err) || code=$?
same "$code" 1 "exit code when the file cannot grow"
err_has "limited.gguf"
[ -z "$(ls | grep limited)" ] || complain "left behind: $(ls | grep limited)"
code=0
"$BANTAM" show good.gguf > /dev/full 2> err || code=$?
same "$code" 1 "exit code when standard output is full"
err_has "standard output"

finish
