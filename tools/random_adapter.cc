// random_adapter MODEL OUT [--rank N] [--alpha X] [--seed N] [--type T] [--table]: a low-rank adapter of
// random values for every matrix of a model (for the table of embeddings only with --table), as llama.cpp's
// are. Keys and names are written out here once more, not taken from src/model: what reads them is tested so.

#include <fmt/format.h>

#include <cmath>
#include <cstring>
#include <span>
#include <string>
#include <vector>

#include "base/rng.h"
#include "formats/gguf.h"

namespace {

using bantam::Status;
using bantam::formats::GgmlType;
using bantam::formats::GgufFile;

struct Options {
  std::string model, out, type = "F32";
  uint64_t rank = 8, seed = 1;
  double alpha = 16;
  bool table = false;
};

/// binary16 of numbers that are normal in it, cut rather than rounded.
uint16_t half(float x) {
  uint32_t bits;
  std::memcpy(&bits, &x, sizeof bits);
  const int exponent = static_cast<int>(bits >> 23 & 255) - 112;
  if (exponent <= 0) return 0;
  return static_cast<uint16_t>((bits >> 16 & 0x8000) | (static_cast<uint32_t>(exponent) << 10) |
                               (bits >> 13 & 1023));
}

Status add(bantam::formats::GgufWriter& out, const std::string& name, uint64_t columns, uint64_t rows,
           double deviation, const Options& options, bantam::Rng& rng) {
  std::vector<float> x(columns * rows);
  for (float& value : x) value = static_cast<float>(deviation * rng.normal());
  if (options.type == "F32")
    return out.add_tensor(name, GgmlType::kF32, {columns, rows}, std::as_bytes(std::span(x)));
  std::vector<uint16_t> halves(x.size());
  for (size_t i = 0; i < x.size(); ++i) halves[i] = half(x[i]);
  return out.add_tensor(name, GgmlType::kF16, {columns, rows}, std::as_bytes(std::span(halves)));
}

Status write(const Options& options) {
  BANTAM_ASSIGN(auto model, GgufFile::open(options.model));
  BANTAM_ASSIGN(auto architecture, model.get_string("general.architecture"));
  bantam::formats::GgufWriter out;
  out.set("general.type", std::string("adapter"));
  out.set("general.architecture", architecture);
  out.set("adapter.type", std::string("lora"));
  if (options.alpha != 0) out.set("adapter.lora.alpha", static_cast<float>(options.alpha));
  bantam::Rng rng(options.seed);
  for (const auto& tensor : model.tensors()) {
    if (tensor.shape.size() != 2) continue;
    const bool table = tensor.name == "token_embd.weight";
    if (table && !options.table) continue;
    const uint64_t columns = tensor.shape[0], rows = tensor.shape[1], r = options.rank;
    // So that what is added is of a quarter of the weights' size, were they normal with deviation 1 /
    // sqrt(columns).
    const double each = 0.25 / std::sqrt(static_cast<double>(columns)) /
                        (options.alpha != 0 ? options.alpha / static_cast<double>(r) : 1) /
                        std::sqrt(static_cast<double>(r));
    const double side = std::sqrt(each);
    BANTAM_TRY(table ? add(out, tensor.name + ".lora_a", r, rows, side, options, rng)
                     : add(out, tensor.name + ".lora_a", columns, r, side, options, rng));
    BANTAM_TRY(add(out, tensor.name + ".lora_b", r, table ? columns : rows, side, options, rng));
  }
  return out.write(options.out);
}

}  // namespace

int main(int argc, char** argv) {
  const std::span<char*> args(argv, static_cast<size_t>(argc));
  Options options;
  bool wrong = argc < 3;
  for (size_t i = 3; !wrong && i < args.size(); ++i) {
    const std::string_view name = args[i];
    if (name == "--table") {
      options.table = true;
      continue;
    }
    wrong = i + 1 == args.size();
    if (wrong) break;
    const std::string value = args[++i];
    if (name == "--rank")
      options.rank = std::stoull(value);
    else if (name == "--seed")
      options.seed = std::stoull(value);
    else if (name == "--alpha")
      options.alpha = std::stod(value);
    else if (name == "--type")
      options.type = value;
    else
      wrong = true;
  }
  if (wrong) {
    fmt::print(
        stderr,
        "usage: random_adapter MODEL OUT [--rank N] [--alpha X] [--seed N] [--type F32|F16] [--table]\n");
    return 2;
  }
  options.model = args[1];
  options.out = args[2];
  if (Status status = write(options); !status) {
    fmt::print(stderr, "random_adapter: {}\n", status.error().message);
    return 1;
  }
  return 0;
}
