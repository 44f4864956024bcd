// quantizers LIBGGML_BASE [MODEL]: our quantisers beside ggml's own, called in its library: the relative root mean squared error
// of both for normal, Laplace and Student's t values, or the matrices of a model. And: the blocks that ggml wrote are the same
// numbers to us. Fails where a number differs, or where our error is over 1.02 times ggml's.

#include <dlfcn.h>
#include <fmt/format.h>

#include <cmath>
#include <cstring>
#include <span>
#include <string>
#include <vector>

#include "base/rng.h"
#include "formats/gguf.h"
#include "kernels/convert.h"

namespace {

using bantam::tensor::DType;
namespace kernels = bantam::kernels;
namespace tensor = bantam::tensor;

// From ggml.h and ggml-quants.h.
using QuantizeChunk = size_t (*)(int type, const float* from, void* to, int64_t start, int64_t rows, int64_t columns,
                                 const float* importance);
using Dequantize = void (*)(const void* from, float* to, int64_t n);

struct Type {
  DType type;
  const char* dequantize;
};
constexpr Type kTypes[] = {{DType::kQ8_0, "q8_0"},     {DType::kQ4_0, "q4_0"},   {DType::kQ4_1, "q4_1"},   {DType::kQ5_0, "q5_0"},
                           {DType::kQ5_1, "q5_1"},     {DType::kIQ4_NL, "iq4_nl"}, {DType::kQ2_K, "q2_K"}, {DType::kQ3_K, "q3_K"},
                           {DType::kQ4_K, "q4_K"},     {DType::kQ5_K, "q5_K"},   {DType::kQ6_K, "q6_K"},   {DType::kIQ4_XS, "iq4_xs"},
                           {DType::kTQ1_0, "tq1_0"},   {DType::kTQ2_0, "tq2_0"}};

struct Data {
  std::string name;
  std::vector<float> x;
};

std::vector<Data> drawn() {
  constexpr size_t kCount = size_t{1} << 18;
  bantam::Rng rng(1);
  std::vector<Data> out{{"normal", {}}, {"Laplace", {}}, {"Student t4", {}}};
  for (size_t i = 0; i < kCount; ++i) {
    out[0].x.push_back(static_cast<float>(0.02 * rng.normal()));
    const double u = rng.uniform() - 0.5;
    out[1].x.push_back(static_cast<float>(0.02 * (u < 0 ? 1 : -1) * std::log(1 - 2 * std::fabs(u))));
    double squares = 0;
    for (int k = 0; k < 4; ++k) squares += std::pow(rng.normal(), 2);
    out[2].x.push_back(static_cast<float>(0.02 * rng.normal() / std::sqrt(squares / 4)));
  }
  return out;
}

/// The matrices of a model, cut to whole super-blocks.
Data weights_of(const bantam::formats::GgufFile& file) {
  Data out{"the model's", {}};
  for (const auto& tensor : file.tensors()) {
    if (tensor.shape.size() < 2) continue;
    const size_t begin = out.x.size(), n = tensor.elements();
    out.x.resize(begin + n);
    kernels::dequantize_row(kernels::ref::table(), tensor.type, file.data(tensor).data(), n, out.x.data() + begin);
  }
  out.x.resize(out.x.size() / tensor::kSuperBlock * tensor::kSuperBlock);
  return out;
}

double error_of(const std::vector<float>& x, const std::vector<float>& y) {
  double error = 0, all = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    error += std::pow(static_cast<double>(x[i]) - y[i], 2);
    all += std::pow(static_cast<double>(x[i]), 2);
  }
  return std::sqrt(error / all);
}

int compare(void* library, const Data& data) {
  const auto quantize = reinterpret_cast<QuantizeChunk>(::dlsym(library, "ggml_quantize_chunk"));
  int failed = 0;
  const size_t n = data.x.size();
  const auto& table = kernels::ref::table();
  for (const Type& type : kTypes) {
    const auto dequantize =
        reinterpret_cast<Dequantize>(::dlsym(library, fmt::format("dequantize_row_{}", type.dequantize).c_str()));
    if (quantize == nullptr || dequantize == nullptr) {
      fmt::print("{}: this ggml does not export it\n", type.dequantize);
      continue;
    }
    std::vector<std::byte> bytes(tensor::row_bytes(type.type, n));
    std::vector<float> theirs(n), same(n), ours(n);
    quantize(static_cast<int>(type.type), data.x.data(), bytes.data(), 0, 1, static_cast<int64_t>(n), nullptr);
    dequantize(bytes.data(), theirs.data(), static_cast<int64_t>(n));
    kernels::dequantize_row(table, type.type, bytes.data(), n, same.data());
    size_t different = 0;
    for (size_t i = 0; i < n; ++i) different += theirs[i] == same[i] ? 0 : 1;
    kernels::quantize_row(type.type, data.x.data(), n, bytes.data());
    kernels::dequantize_row(table, type.type, bytes.data(), n, ours.data());
    const double a = error_of(data.x, ours), b = error_of(data.x, theirs);
    fmt::print("{:12} {:7} ours {:.5f}  ggml {:.5f}  ratio {:.3f}  of {} numbers {} read differently\n", data.name,
               type.dequantize, a, b, a / b, n, different);
    failed += different > 0 || a > 1.02 * b ? 1 : 0;
  }
  return failed;
}

}  // namespace

int main(int argc, char** argv) {
  const std::span<char*> args(argv, static_cast<size_t>(argc));
  void* library = argc < 2 ? nullptr : ::dlopen(args[1], RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) {
    fmt::print(stderr, "usage: quantizers LIBGGML_BASE [MODEL]: {}\n", argc < 2 ? "" : ::dlerror());
    return 2;
  }
  std::vector<Data> all = drawn();
  if (argc > 2) {
    auto file = bantam::formats::GgufFile::open(args[2]);
    if (!file) {
      fmt::print(stderr, "quantizers: {}\n", file.error().message);
      return 1;
    }
    all.push_back(weights_of(*file));
  }
  int failed = 0;
  for (const Data& data : all) failed += compare(library, data);
  return failed > 0 ? 1 : 0;
}
