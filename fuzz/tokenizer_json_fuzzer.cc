// A tokenizer.json, then up to 64 bytes of text behind its last brace: what loads must encode to ids of its
// own and decode them.

#include <algorithm>
#include <cstdlib>

#include "text/pipeline/pipeline.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view all(reinterpret_cast<const char*>(data), size);
  const size_t end = all.rfind('}');
  if (end == std::string_view::npos) return 0;
  auto tokenizer = bantam::text::tokenizer_from_json(all.substr(0, end + 1), "fuzz.json");
  if (!tokenizer) return 0;
  const std::string_view text = all.substr(end + 1, 64);
  for (bool parse : {false, true}) {
    auto ids = (*tokenizer)->encode(text, {.add_special = true, .parse_special = parse});
    if (!ids) continue;
    for (auto id : *ids) {
      if (id < 0 || static_cast<size_t>(id) >= (*tokenizer)->vocab_size()) std::abort();
      (*tokenizer)->piece(id, parse);
      (*tokenizer)->is_end(id);
    }
    (*tokenizer)->decode(*ids, parse);
  }
  (*tokenizer)->find(text);
  return 0;
}
