// round_trip A B [exact|close|values]: B is what A became at Hugging Face and back. Tensors must be the same
// bits; "close": norms may differ by 2^-24 (Gemma's, stored as w there and as w + 1 here); "values": the same
// values, whatever the types. The config, the chat template, the pooling, the tokens that end an answer and the
// ids of texts must be the same in any case.
// round_trip dress A B: B is A with a chat template, a pooling and more tokens that end an answer.

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <span>
#include <string>
#include <vector>

#include "formats/gguf.h"
#include "kernels/convert.h"
#include "model/config.h"
#include "text/tokenizer.h"

namespace {

using bantam::formats::GgufFile;
using bantam::formats::GgufTensor;

std::vector<float> values(const GgufFile& file, const GgufTensor& tensor) {
  std::vector<float> out(tensor.elements());
  const auto bytes = file.data(tensor);
  const uint64_t columns = tensor.shape[0], rows = out.size() / columns;
  for (uint64_t row = 0; row < rows; ++row) {
    bantam::kernels::dequantize_row(bantam::kernels::ref::table(), tensor.type,
                                    bytes.data() + row * (bytes.size() / rows), columns,
                                    out.data() + row * columns);
  }
  return out;
}

int compare_tensors(const GgufFile& a, const GgufFile& b, std::string_view how) {
  int different = a.tensors().size() == b.tensors().size() ? 0 : 1;
  if (different) fmt::print("{} tensors, then {}\n", a.tensors().size(), b.tensors().size());
  for (const auto& tensor : a.tensors()) {
    const auto* other = b.find_tensor(tensor.name);
    if (other == nullptr || other->shape != tensor.shape) {
      fmt::print("{}: missing or of another shape\n", tensor.name);
      ++different;
      continue;
    }
    bool same = other->type == tensor.type && std::ranges::equal(a.data(tensor), b.data(*other));
    const bool near = how == "values" || (how == "close" && tensor.shape.size() == 1);
    if (!same && near) {
      const auto x = values(a, tensor), y = values(b, *other);
      const float most = how == "values" ? 0 : 0x1p-24F;
      same = std::ranges::equal(x, y, [most](float p, float q) { return std::abs(p - q) <= most; });
    }
    if (same) continue;
    fmt::print("{}: other bits\n", tensor.name);
    ++different;
  }
  return different;
}

std::string architecture(const GgufFile& file) { return file.get_string("general.architecture").value_or(""); }

int dress(const char* from, const char* to) {
  const auto file = GgufFile::open(from);
  if (!file) return 1;
  bantam::formats::GgufWriter out;
  out.copy_metadata(*file);
  out.set("tokenizer.chat_template", std::string("{% for m in messages %}{{ m.content }}{% endfor %}"));
  out.set(architecture(*file) + ".pooling_type", uint32_t{3});
  out.set("tokenizer.ggml.eot_token_id", uint32_t{65});
  out.set("tokenizer.ggml.eos_token_ids", bantam::formats::GgufArray(std::vector<int32_t>{65, 66, 67, 68}));
  for (const auto& tensor : file->tensors()) {
    if (!out.borrow_tensor(tensor.name, tensor.type, tensor.shape, file->data(tensor))) return 1;
  }
  return out.write(to) ? 0 : 1;
}

int compare_texts(const GgufFile& a, const GgufFile& b) {
  const auto before = bantam::text::load_tokenizer(a), after = bantam::text::load_tokenizer(b);
  if (!before || !after) {
    fmt::print("{}\n", (before ? after : before).error().message);
    return 1;
  }
  int different = 0;
  const char* const texts[] = {"",
                               "the quick brown fox",
                               " leading and trailing ",
                               "two  blanks\n\nand\tlines\r\n",
                               "Numbers 1, 22, 333 and 4444; it's we'LL",
                               "<|end|> <s> [CLS] </s>",
                               "caf\xC3\xA9 \xE4\xBD\xA0\xE5\xA5\xBD \xF0\x9F\x98\x80 \xEF\xAC\x81",
                               "int main() { return 0; }  // x_y-z"};
  for (const char* text : texts) {
    for (bool special : {false, true}) {
      const auto x = (*before)->encode(text, {.add_special = special, .parse_special = special}),
                 y = (*after)->encode(text, {.add_special = special, .parse_special = special});
      if (x && y && *x == *y) continue;
      fmt::print("\"{}\": other ids\n", text);
      ++different;
    }
  }
  if ((*before)->bos() != (*after)->bos() || (*before)->eos() != (*after)->eos()) {
    fmt::print("other BOS or EOS\n");
    ++different;
  }
  for (bantam::text::TokenId id = 0; static_cast<size_t>(id) < (*before)->vocab_size(); ++id) {
    if ((*before)->is_end(id) == (*after)->is_end(id)) continue;
    fmt::print("token {}: ends an answer in one only\n", id);
    ++different;
  }
  return different;
}

}  // namespace

int main(int argc, char** argv) {
  const std::span<char*> args(argv, static_cast<size_t>(argc));
  if (argc < 3) return 2;
  if (args[1] == std::string_view("dress")) return argc == 4 ? dress(args[2], args[3]) : 2;
  const auto a = GgufFile::open(args[1]), b = GgufFile::open(args[2]);
  if (!a || !b) {
    fmt::print("{}\n", (a ? b : a).error().message);
    return 1;
  }
  int different = compare_tensors(*a, *b, argc > 3 ? args[3] : "exact");
  const auto before = bantam::model::read_config(*a), after = bantam::model::read_config(*b);
  if (!before || !after || *before != *after) {
    fmt::print("other config{}\n", after ? "" : ": " + after.error().message);
    ++different;
  }
  for (const std::string& name : {std::string("tokenizer.chat_template"), architecture(*a) + ".pooling_type"}) {
    const auto *x = a->find(name), *y = b->find(name);
    if ((x == nullptr) == (y == nullptr) && (x == nullptr || *x == *y)) continue;
    fmt::print("{}: another value\n", name);
    ++different;
  }
  different += compare_texts(*a, *b);
  return different > 0 ? 1 : 0;
}
