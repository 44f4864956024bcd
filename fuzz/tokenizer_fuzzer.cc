// A GGUF file with a vocabulary, then up to 64 bytes of text behind it: what loads must encode to ids of its
// own and decode them.

#include <algorithm>
#include <cstdlib>

#include "text/chat_template.h"
#include "text/tokenizer.h"

namespace {

constexpr size_t kTextBytes = 64;

void check(const bantam::text::Tokenizer& tokenizer, std::string_view text, bool parse_special) {
  auto ids = tokenizer.encode(text, {.add_special = true, .parse_special = parse_special});
  if (!ids) return;
  for (auto id : *ids) {
    if (id < 0 || static_cast<size_t>(id) >= tokenizer.vocab_size()) std::abort();
    tokenizer.is_end(id);
  }
  bantam::text::Utf8Stream stream;
  stream.push(tokenizer.decode(*ids, true));
  stream.finish();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  size_t length = std::min(size / 2, kTextBytes);
  std::string_view text(reinterpret_cast<const char*>(data) + size - length, length);
  auto file = bantam::formats::GgufFile::parse(std::as_bytes(std::span(data, size)), "fuzz.gguf");
  if (!file) return 0;
  auto tokenizer = bantam::text::load_tokenizer(*file);
  if (!tokenizer) return 0;
  check(**tokenizer, text, false);
  check(**tokenizer, text, true);
  (*tokenizer)->find(text);
  bantam::formats::GgufWriter writer;
  (*tokenizer)->save(writer);
  std::vector<bantam::text::ChatTurn> turns = {{"user", std::string(text)}};
  auto prompt =
      bantam::text::render_chat(file->get_string_or("tokenizer.chat_template", "").value_or(""), turns, true);
  if (prompt) (void)bantam::text::encode_chat(**tokenizer, *prompt);
  return 0;
}
