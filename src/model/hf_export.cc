#include "model/hf_export.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include "base/file.h"
#include "formats/safetensors.h"
#include "kernels/convert.h"
#include "model/encoder.h"
#include "model/hf_config.h"
#include "model/hf_names.h"
#include "model/hf_source.h"
#include "model/weights.h"
#include "text/pipeline/to_json.h"

namespace bantam::model {
namespace {

namespace fs = std::filesystem;
using formats::GgmlType;
using formats::GgufTensor;
using OrderedJson = nlohmann::ordered_json;

std::string dtype_name(GgmlType type) { return formats::ggml_type_name(static_cast<uint32_t>(type)); }
bool is_float(GgmlType type) {
  return type == GgmlType::kF32 || type == GgmlType::kF16 || type == GgmlType::kBF16;
}

struct Item {
  HfTensor tensor;
  const GgufTensor* from;
  GgmlType type;  // as it is written
  uint64_t bytes = 0;
};

/// Bytes of one tensor as they are written. The result lives until the next call.
class Converter {
 public:
  Converter(const formats::GgufFile& file, uint64_t head_dim) : file_(file), head_dim_(head_dim) {}

  Result<std::span<const std::byte>> operator()(const Item& item) {
    std::span<const std::byte> bytes = file_.data(*item.from);
    const uint64_t rows = item.from->shape.size() > 1 ? item.from->shape[1] : 1;
    const bool vector = item.from->shape.size() == 1;
    const bool rotated = item.tensor.change == HfChange::kRotated;
    if (rotated && !vector) {
      turned_ = reorder_heads(bytes, bytes.size() / rows, head_dim_, /*to_gguf=*/false);
      bytes = turned_;
    }
    if (item.type == item.from->type && !(rotated && vector) && item.tensor.change != HfChange::kPlusOne)
      return bytes;
    return convert(item, bytes, rows, rotated && vector);
  }

 private:
  Result<std::span<const std::byte>> convert(const Item& item, std::span<const std::byte> bytes,
                                             uint64_t rows, bool turn_values) {
    const uint64_t columns = item.from->shape[0], row_bytes = item.bytes / rows;
    std::vector<float> values(columns);
    out_.resize(item.bytes);
    for (uint64_t row = 0; row < rows; ++row) {
      kernels::dequantize_row(kernels::ref::table(), item.from->type,
                              bytes.data() + row * (bytes.size() / rows), columns, values.data());
      if (item.tensor.change == HfChange::kPlusOne) std::ranges::for_each(values, [](float& x) { x -= 1; });
      if (item.type == GgmlType::kF16) BANTAM_TRY(check_half(item, values));
      kernels::quantize_row(item.type, values.data(), columns, out_.data() + row * row_bytes);
    }
    if (turn_values) out_ = reorder_heads(out_, sizeof(float), head_dim_, /*to_gguf=*/false);
    return std::span<const std::byte>(out_);
  }

  static Status check_half(const Item& item, const std::vector<float>& values) {
    constexpr float kBeyond = 65520;  // what would round to infinity
    for (float x : values) {
      if (std::isfinite(x) && std::abs(x) >= kBeyond)
        return fail(Code::kInvalidArgument,
                    "{}: found {}, expected values that F16 holds (--type bf16 or f32)", item.from->name, x);
    }
    return {};
  }

  const formats::GgufFile& file_;
  uint64_t head_dim_;
  std::vector<std::byte> turned_, out_;
};

/// Which projections have biases. Errors: kUnsupported where some layers have others than the rest.
Result<HfBiases> biases_of(const Weights& weights, const std::string& path) {
  size_t inputs = 0, outputs = 0;
  for (const auto& layer : weights.layers) {
    for (const auto* bias : {&layer.q_bias, &layer.k_bias, &layer.v_bias}) inputs += bias->empty() ? 0 : 1;
    outputs += layer.output_bias.empty() ? 0 : 1;
  }
  const size_t layers = weights.layers.size();
  if (inputs == 0 && outputs == 0) return HfBiases::kNone;
  if (inputs == 3 * layers && outputs == 0) return HfBiases::kQkv;
  if (inputs == 3 * layers && outputs == layers) return HfBiases::kAll;
  return fail(Code::kUnsupported,
              "{}: biases of attention: found {} of queries, keys and values and {} of outputs, expected those of "
              "all {} layers or none",
              path, inputs, outputs, layers);
}

Result<HfConfig> read_source(const formats::GgufFile& file) {
  HfConfig out;
  BANTAM_ASSIGN(out.config, read_config(file));
  // Checks that every tensor is there, has its shape and is used.
  if (out.config.encoder) {
    BANTAM_TRY(map_encoder(file, out.config));
    if (const auto* types = file.find_tensor("token_types.weight")) out.token_types = types->shape[1];
    return out;
  }
  BANTAM_ASSIGN(auto weights, map_weights(file, out.config));
  BANTAM_ASSIGN(out.biases, biases_of(weights, file.path()));
  out.rope_factors = std::move(weights.rope_factors);
  out.rope_short = std::move(weights.rope_short);
  out.rope_long = std::move(weights.rope_long);
  return out;
}

Result<std::vector<Item>> plan(const formats::GgufFile& file, const HfConfig& hf,
                               const ExportOptions& options) {
  BANTAM_ASSIGN(auto tensors, hf_tensors(hf));
  std::set<std::string, std::less<>> known{"rope_freqs.weight", "rope_factors_short.weight",
                                           "rope_factors_long.weight"};
  std::vector<Item> out;
  for (auto& tensor : tensors) {
    known.insert(tensor.gguf);
    const GgufTensor* from = file.find_tensor(tensor.gguf);
    if (from == nullptr && tensor.optional) continue;
    if (from == nullptr) {
      return fail(Code::kUnsupported, "{}: {}: found no such tensor, expected one as {} has at Hugging Face",
                  file.path(), tensor.gguf, hf.config.architecture);
    }
    Item item{std::move(tensor), from, GgmlType::kF32};
    if (from->shape.size() > 1)
      item.type = options.type.value_or(is_float(from->type) ? from->type : GgmlType::kF16);
    item.bytes = from->elements() * (item.type == GgmlType::kF32 ? sizeof(float) : sizeof(uint16_t));
    out.push_back(std::move(item));
  }
  for (const auto& tensor : file.tensors()) {
    if (!known.contains(tensor.name))
      return fail(Code::kUnsupported, "{}: {}: found a tensor that {} has no name for at Hugging Face",
                  file.path(), tensor.name, hf.config.architecture);
  }
  return out;
}

/// Consecutive items that fit a file each; wide elements first in each, so that all are aligned.
std::vector<std::vector<const Item*>> split(const std::vector<Item>& items, uint64_t most) {
  std::vector<std::vector<const Item*>> out;
  uint64_t bytes = 0;
  for (const auto& item : items) {
    if (out.empty() || bytes + item.bytes > most) {
      out.emplace_back();
      bytes = 0;
    }
    out.back().push_back(&item);
    bytes += item.bytes;
  }
  for (auto& shard : out)
    std::ranges::stable_sort(shard, std::greater<>(),
                             [](const Item* i) { return i->type == GgmlType::kF32; });
  return out;
}

Status write_weights(const formats::GgufFile& file, const std::vector<Item>& items, const Config& config,
                     const std::string& directory, const ExportOptions& options, ExportReport& report) {
  const auto shards = split(items, options.shard_bytes);
  Converter convert(file, config.head_dim);
  OrderedJson map = OrderedJson::object();
  for (size_t shard = 0; shard < shards.size(); ++shard) {
    const std::string name = shards.size() == 1
                                 ? "model.safetensors"
                                 : fmt::format("model-{:05}-of-{:05}.safetensors", shard + 1, shards.size());
    std::vector<formats::SafeTensorShape> shapes;
    for (const Item* item : shards[shard]) {
      shapes.push_back({item->tensor.hf, dtype_name(item->type), item->tensor.shape});
      map[item->tensor.hf] = name;
      report.bytes += item->bytes;
      report.parameters += item->from->elements();
    }
    BANTAM_TRY(formats::write_safetensors(
        directory + "/" + name, shapes, {{"format", "pt"}},
        [&](size_t i) -> Result<std::span<const std::byte>> {
          if (options.progress)
            options.progress({.step = "export", .done = report.tensors, .total = items.size(), .note = {}});
          ++report.tensors;
          return convert(*shards[shard][i]);
        }));
  }
  report.files = shards.size();
  if (options.progress)
    options.progress({.step = "export", .done = items.size(), .total = items.size(), .note = {}});
  if (shards.size() == 1) return {};
  const OrderedJson index{{"metadata", {{"total_size", report.bytes}}}, {"weight_map", map}};
  return write_file(directory + "/model.safetensors.index.json", index.dump(2) + "\n");
}

/// How sentence-transformers is told to make one vector of a text.
Status export_pooling(const formats::GgufFile& file, const Config& config, const std::string& directory,
                      ExportReport& report) {
  BANTAM_ASSIGN(const uint64_t type, file.get_uint_or(config.architecture + ".pooling_type", 0));
  if (type == 0) return {};
  if (type > 3) {
    report.notes.push_back(fmt::format("the pooling type {} has no form at sentence-transformers", type));
    return {};
  }
  const OrderedJson pooling{{"word_embedding_dimension", config.dim},
                            {"pooling_mode_cls_token", type == 2},
                            {"pooling_mode_mean_tokens", type == 1},
                            {"pooling_mode_max_tokens", false},
                            {"pooling_mode_lasttoken", type == 3}};
  const auto module = [](int index, const char* path, const char* name) {
    return OrderedJson{{"idx", index},
                       {"name", std::to_string(index)},
                       {"path", path},
                       {"type", fmt::format("sentence_transformers.models.{}", name)}};
  };
  const OrderedJson modules =
      OrderedJson::array({module(0, "", "Transformer"), module(1, "1_Pooling", "Pooling")});
  std::error_code error;
  fs::create_directory(directory + "/1_Pooling", error);
  if (error) return fail_errno(directory + "/1_Pooling", error.value());
  BANTAM_TRY(write_file(directory + "/1_Pooling/config.json", pooling.dump(2) + "\n"));
  return write_file(directory + "/modules.json", modules.dump(2) + "\n");
}

void add_notes(const formats::GgufFile& file, const std::vector<Item>& items, ExportReport& report) {
  std::map<std::string, size_t> types;
  size_t quantised = 0;
  for (const auto& item : items) {
    if (item.from->shape.size() < 2) continue;
    ++types[dtype_name(item.type)];
    quantised += is_float(item.from->type) ? 0 : 1;
  }
  const auto most = std::ranges::max_element(types, {}, [](const auto& entry) { return entry.second; });
  report.dtype = most == types.end() ? "F32" : most->first;
  if (quantised > 0)
    report.notes.push_back(
        fmt::format("{} quantised matrices became {}: what quantisation took is not given back", quantised,
                    report.dtype));
  const bool own = std::ranges::any_of(file.metadata(),
                                       [](const auto& pair) { return pair.first.starts_with("bantam."); });
  if (own)
    report.notes.emplace_back(
        "the keys bantam.* (task, calibration, provenance) have no place in the directory");
}

/// What was written is what import_hf reads (the tokenizer has been read back already).
Status check_exported(const std::string& directory) {
  BANTAM_ASSIGN(const std::string text, read_file(directory + "/config.json"));
  BANTAM_ASSIGN(const HfConfig hf, read_hf_config(text));
  BANTAM_ASSIGN(HfSource source, HfSource::open(directory));
  BANTAM_ASSIGN(const auto tensors, hf_tensors(hf));
  for (const auto& tensor : tensors) BANTAM_TRY(source.take(tensor));
  return source.finish();
}

Status write_all(const formats::GgufFile& file, const std::string& directory, const ExportOptions& options,
                 ExportReport& report) {
  BANTAM_ASSIGN(const HfConfig hf, read_source(file));
  BANTAM_ASSIGN(const auto items, plan(file, hf, options));
  add_notes(file, items, report);
  BANTAM_ASSIGN(const auto tokenizer, text::tokenizer_to_hf(file, hf.config.context_length));
  report.notes.insert(report.notes.end(), tokenizer.notes.begin(), tokenizer.notes.end());
  report.chat_template = file.find("tokenizer.chat_template") != nullptr;
  const std::string dtype = report.dtype == "F16"    ? "float16"
                            : report.dtype == "BF16" ? "bfloat16"
                                                     : "float32";
  const HfTokenIds ids{.bos = tokenizer.bos, .padding = tokenizer.padding, .ends = tokenizer.ends};
  auto config = write_hf_config(hf, dtype, ids);
  if (!config) return std::unexpected(std::move(config).error().in(file.path()));
  BANTAM_TRY(write_file(directory + "/config.json", *config));
  BANTAM_TRY(write_file(directory + "/tokenizer.json", tokenizer.tokenizer));
  BANTAM_TRY(write_file(directory + "/tokenizer_config.json", tokenizer.config));
  BANTAM_TRY(export_pooling(file, hf.config, directory, report));
  if (!hf.config.encoder)
    BANTAM_TRY(write_file(directory + "/generation_config.json", write_hf_generation(ids)));
  BANTAM_TRY(write_weights(file, items, hf.config, directory, options, report));
  return check_exported(directory);
}

/// A new folder beside its target, under a name that nobody had. What is in it goes unless it takes the target's.
class NewFolder {
 public:
  static Result<NewFolder> create(const fs::path& target) {
    std::error_code error;
    if (target.has_parent_path()) fs::create_directories(target.parent_path(), error);
    if (error) return fail_errno(target.parent_path().string(), error.value());
    for (int i = 0;; ++i) {
      NewFolder out(target, fmt::format("{}.{}-{}.partial", target.string(), ::getpid(), i));
      // Not fs::create_directory, which takes one that is there for its own.
      if (::mkdir(out.path_.c_str(), 0777) == 0) return out;
      const int why = errno;
      const std::string name = std::exchange(out.path_, {});
      if (why != EEXIST) return fail_errno(name, why);
    }
  }
  NewFolder(NewFolder&& other) noexcept
      : target_(std::move(other.target_)), path_(std::exchange(other.path_, {})) {}
  NewFolder& operator=(NewFolder&&) = delete;
  ~NewFolder() {
    std::error_code ignored;
    if (!path_.empty()) fs::remove_all(path_, ignored);
  }

  const std::string& path() const { return path_; }
  /// The target is not there or an empty folder, which this replaces.
  Status take_name() {
    std::error_code error;
    fs::rename(path_, target_, error);
    if (error) return fail_errno(target_.string(), error.value());
    path_.clear();
    return {};
  }

 private:
  NewFolder(fs::path target, std::string path) : target_(std::move(target)), path_(std::move(path)) {}
  fs::path target_;
  std::string path_;  // empty once it is somebody else's
};

}  // namespace

Result<ExportReport> export_hf(const std::string& gguf, const std::string& directory,
                               const ExportOptions& options) {
  if (options.type && !is_float(*options.type)) {
    return fail(Code::kInvalidArgument, "type: found {}, expected F32, F16 or BF16",
                dtype_name(*options.type));
  }
  BANTAM_ASSIGN(const auto file, formats::GgufFile::open(gguf));
  std::error_code error;
  fs::path target = fs::weakly_canonical(directory, error);  // through links, which stay
  if (error) return fail_errno(directory, error.value());
  if (!target.has_filename()) target = target.parent_path();
  if (fs::exists(target, error) && (!fs::is_directory(target, error) || !fs::is_empty(target, error)))
    return fail(Code::kInvalidArgument, "{}: found files there, expected no such folder or an empty one",
                directory);
  BANTAM_ASSIGN(NewFolder folder, NewFolder::create(target));
  ExportReport report;
  BANTAM_TRY(write_all(file, folder.path(), options, report));
  BANTAM_TRY(folder.take_name());
  return report;
}

}  // namespace bantam::model
