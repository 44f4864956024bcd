// Texts for tokenizers: real lines and odd ones, the same in every run.
import {existsSync, readFileSync} from "node:fs";
import {join} from "node:path";

const odd = [
  "Hello world", " Hello", "Hello  world ", "\n", "\n\n\n", "\t\t x", "3", "33", "333", "3333", "33333333", "1234567890123",
  "1,234.50 €", "I'm you're we'll they've it's he'd", "I'M YOU'RE", "don't", "HTTPServer getUserName iPhone", "ÄÖÜ äöü ß ẞ",
  "e\u0301 café", "你好，世界！", "日本語とカタカナ", "한국어 텍스트", "Привет, мир", "नमस्ते दुनिया", "สวัสดีครับ", "مرحبا بالعالم ١٢٣",
  "😀 👩‍👩‍👧‍👦 🇩🇪", "a\u00a0b\u2003c\u3000d", "x\r\ny\rz", "!!! ??? ... ---", "$100 + 50% = ~x^2|y`", "(a)[b]{c}<d>", "foo_bar-baz/qux.cc",
  "  if (x == 1) {\n    return x;\n  }\n", "½ ² ₃ Ⅷ ①", "ﬁ ﬂ ﬀ", "\u200bzero\u200dwidth", "ᾳ ῲ ǅ", "𝔘𝔫𝔦 𝟙𝟚", "a　b 。 ！", "''' \"\"\"", "end ",
];

export function texts(data, count = 1000) {
  const out = [...odd];
  const book = join(data, "tinyshakespeare", "input.txt");
  if (existsSync(book)) out.push(...readFileSync(book, "utf8").split("\n").filter((line) => line).slice(0, count / 2));
  let state = 7;
  const next = (n) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return (state >>> 8) % n;
  };
  for (let i = 0; i < count / 2; i++) {
    let text = "";
    for (let n = 1 + next(8); n > 0; n--) text += odd[next(odd.length)].slice(0, 1 + next(12)) + " \n\t"[next(3)].repeat(next(3));
    out.push(text.toWellFormed ? text.toWellFormed() : text);
  }
  return out;
}
