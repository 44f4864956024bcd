#include "runtime/engine.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <limits>

#include "base/file.h"
#include "base/usage.h"
#include "kernels/dispatch.h"
#include "runtime/grammar/vocabulary.h"
#include "runtime/memory.h"
#include "runtime/session.h"

namespace bantam::runtime {
namespace {

constexpr uint32_t kDefaultContext = 8192;
constexpr uint32_t kMostBatch = 1U << 16;

constexpr std::pair<std::string_view, tensor::DType> kCacheTypes[] = {
    {"f32", tensor::DType::kF32}, {"f16", tensor::DType::kF16}, {"q8_0", tensor::DType::kQ8_0}};

Result<EngineOptions> complete(EngineOptions options, const model::Config& config) {
  if (options.context_length > config.context_length) {
    return fail(Code::kInvalidArgument, "context length: found {}, expected at most the model's {}",
                options.context_length, config.context_length);
  }
  if (options.batch == 0 || options.batch > kMostBatch) {
    return fail(Code::kInvalidArgument, "batch: found {}, expected 1 to {}", options.batch, kMostBatch);
  }
  if (std::ranges::none_of(kCacheTypes, [&](const auto& type) { return type.second == options.kv_cache; })) {
    return fail(Code::kInvalidArgument, "KV cache: found type {}, expected F32, F16 or Q8_0",
                formats::ggml_type_name(static_cast<uint32_t>(options.kv_cache)));
  }
  if (options.context_length == 0) options.context_length = std::min(config.context_length, kDefaultContext);
  options.batch = std::min(options.batch, options.context_length);
  return options;
}

MemoryPlan plan_of(const Engine::Impl& engine, uint64_t weights, uint64_t text) {
  const auto& config = engine.config;
  const auto& options = engine.options;
  // Logits, candidates of the sampler and the last hidden state; of an encoder the hidden states of a whole
  // text.
  const uint64_t outputs = config.encoder ? uint64_t{options.context_length} * config.dim
                                          : 3 * uint64_t{config.vocab_size} + 2 * uint64_t{config.dim};
  return {.weights = weights,
          .text = text,
          .kv_cache = model::KvCache::bytes(config, options.kv_cache, options.context_length),
          .buffers = model::Workspace::bytes(config, options.batch, &engine.adapters) +
                     model::Transformer::rope_bytes(config, options.context_length) +
                     outputs * sizeof(float)};
}

/// The vocabulary must cover what the model can say; a model may have more rows than tokens (padding).
Status check_vocabulary(const Engine::Impl& engine) {
  if (engine.tokenizer->vocab_size() > engine.config.vocab_size) {
    return fail(Code::kCorrupt,
                "{}: tokenizer.ggml.tokens: found {}, expected at most the {} rows of token_embd.weight",
                engine.file.path(), engine.tokenizer->vocab_size(), engine.config.vocab_size);
  }
  return {};
}

/// Gives back what only loading needed: the file's pages that products no longer read (and those that the
/// system mapped beside them), and what the heap holds free.
void give_back(const formats::GgufFile& file) {
  for (const auto& tensor : file.tensors()) file.forget(file.data(tensor));
  if (!file.tensors().empty()) {
    const auto& first = file.tensors().front();
    file.forget({file.data(first).data() - first.offset, static_cast<size_t>(first.offset)});  // the head of the file
  }
  give_back_free_memory();
}

Status load_task(Engine::Impl& engine) {
  BANTAM_ASSIGN(engine.task, model::read_task(engine.file));
  if (!engine.task) return {};
  auto prompt = model::TaskPrompt::create(*engine.task, *engine.tokenizer);
  if (!prompt) return std::unexpected(std::move(prompt).error().in(engine.file.path()));
  engine.prompt = std::move(*prompt);
  auto choices = model::encode_choices(*engine.task, *engine.tokenizer);
  if (!choices) return std::unexpected(std::move(choices).error().in(engine.file.path()));
  engine.choices = std::move(*choices);
  BANTAM_ASSIGN(engine.ngrams, model::NgramPart::read(engine.file, engine.task->labels.size()));
  return {};
}

/// Errors: kUnsupported for an encoder, kInvalidArgument for a scale that is no number; those of
/// AdapterFile::open.
Status load_adapters(Engine::Impl& engine) {
  for (const auto& [path, scale] : engine.options.adapters) {
    if (engine.config.encoder)
      return fail(Code::kUnsupported, "{}: found an adapter, which {}, an encoder, cannot have", path,
                  engine.file.path());
    if (!std::isfinite(scale))
      return fail(Code::kInvalidArgument, "{}: found a scale of {}, expected a number", path, scale);
    BANTAM_ASSIGN(auto file, model::AdapterFile::open(path, engine.file));
    engine.adapters.add(std::move(file), engine.weights, engine.config);
    engine.adapter_scales.push_back(scale);
  }
  return {};
}

}  // namespace

Result<AdapterOption> parse_adapter(std::string_view text) {
  AdapterOption out;
  const size_t colon = text.rfind(':');
  if (colon != std::string_view::npos) {
    const std::string_view number = text.substr(colon + 1);
    const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), out.scale);
    if (error == std::errc() && end == number.data() + number.size() && !number.empty())
      text = text.substr(0, colon);
    else
      out.scale = 1;
  }
  if (text.empty()) return fail(Code::kInvalidArgument, "found no file, expected FILE or FILE:SCALE");
  out.path = text;
  return out;
}

Result<tensor::DType> parse_cache_type(std::string_view text) {
  for (const auto& [name, type] : kCacheTypes) {
    if (text == name) return type;
  }
  return fail(Code::kInvalidArgument, "found '{}', expected f32, f16 or q8_0", text);
}

Result<std::shared_ptr<const Engine>> Engine::load(const std::string& path, const EngineOptions& options) {
  const GiveBackAtOnce loading;
  const uint64_t before = own_memory();
  BANTAM_ASSIGN(auto file, formats::GgufFile::open(path));
  return make(std::move(file), options, before);
}

Result<std::shared_ptr<const Engine>> Engine::load(std::span<const std::byte> bytes, std::string name,
                                                   const EngineOptions& options) {
  const GiveBackAtOnce loading;
  const uint64_t before = own_memory();
  BANTAM_ASSIGN(auto file, formats::GgufFile::parse(bytes, std::move(name)));
  return make(std::move(file), options, before);
}

Result<std::shared_ptr<const Engine>> Engine::make(formats::GgufFile file, const EngineOptions& options,
                                                   uint64_t own_before) {
  BANTAM_ASSIGN(const kernels::Table* table, kernels::choose_table());
  auto impl = std::make_shared<Impl>(std::move(file));
  BANTAM_ASSIGN(impl->config, model::read_config(impl->file));
  BANTAM_ASSIGN(impl->options, complete(options, impl->config));
  BANTAM_ASSIGN(impl->tokenizer, text::load_tokenizer(impl->file));
  BANTAM_TRY(check_vocabulary(*impl));
  model::EncoderWeights encoder;
  if (impl->config.encoder) {
    BANTAM_ASSIGN(encoder, model::map_encoder(impl->file, impl->config));
  } else {
    BANTAM_ASSIGN(impl->weights, model::map_weights(impl->file, impl->config));
  }
  BANTAM_TRY(load_adapters(*impl));
  BANTAM_TRY(load_task(*impl));
  BANTAM_ASSIGN(impl->chat_template, impl->file.get_string_or("tokenizer.chat_template", ""));
  BANTAM_ASSIGN(impl->pooling, read_pooling(impl->file, impl->config.architecture));
  impl->table = table;
  const uint64_t own = own_memory();
  // The n-gram part's weights are keys of the file, which were measured with the rest of them.
  const uint64_t ngrams = impl->ngrams ? impl->ngrams->bytes() : 0, text = own - std::min(own, own_before);
  impl->plan = plan_of(
      *impl,
      ngrams + (impl->config.encoder ? encoder.bytes
                                     : impl->weights.bytes() + model::interleaving_bytes(impl->weights, *table) +
                                           impl->adapters.bytes()),
      text - std::min(text, ngrams));
  BANTAM_TRY(check_memory(impl->plan.computed(), impl->file.path()));
  impl->pool = std::make_unique<ThreadPool>(options.threads);
  if (impl->config.encoder) {
    BANTAM_ASSIGN(impl->panels, model::interleave(impl->file, encoder.products(), *table, *impl->pool));
    give_back(impl->file);
    impl->encoder = std::make_unique<model::Encoder>(impl->config, std::move(encoder), *table, *impl->pool,
                                                     impl->options.context_length);
    return std::shared_ptr<const Engine>(new Engine(std::move(impl)));
  }
  impl->transformer = std::make_unique<model::Transformer>(impl->config, impl->weights, *table, *impl->pool,
                                                           impl->options.context_length, &impl->adapters);
  return std::shared_ptr<const Engine>(new Engine(std::move(impl)));
}

Status Engine::Impl::prepare() const {
  std::call_once(prepared, [this] {
    if (config.encoder) return;  // which has them from the beginning
    auto made = model::interleave(file, weights.products(), *table, *pool);
    if (!made) {
      preparation = std::unexpected(std::move(made).error());
      return;
    }
    panels = std::move(*made);
    give_back(file);
  });
  return preparation;
}

Engine::Engine(std::shared_ptr<const Impl> impl) : impl_(std::move(impl)) {}
Engine::~Engine() = default;

Status Engine::prepare() const { return impl_->prepare(); }

Result<std::unique_ptr<Session>> Engine::new_session() const {
  BANTAM_ASSIGN(auto state, Session::State::create(impl_));
  return std::unique_ptr<Session>(new Session(std::move(state)));
}

std::shared_ptr<const grammar::Vocabulary> Engine::vocabulary() const {
  std::call_once(impl_->vocabulary_made,
                 [this] { impl_->vocabulary = std::make_shared<const grammar::Vocabulary>(tokenizer()); });
  return impl_->vocabulary;
}

std::shared_ptr<const grammar::Vocabulary> Engine::vocabulary(std::span<const TokenId> shown) const {
  return std::make_shared<const grammar::Vocabulary>(tokenizer(), shown);
}

const std::string& Engine::path() const { return impl_->file.path(); }
uint64_t Engine::file_bytes() const { return impl_->file.file_bytes(); }
const model::Config& Engine::config() const { return impl_->config; }
const text::Tokenizer& Engine::tokenizer() const { return *impl_->tokenizer; }
const std::optional<model::Task>& Engine::task() const { return impl_->task; }
uint32_t Engine::context_length() const { return impl_->options.context_length; }
uint64_t Engine::parameters() const {
  return model::parameter_count(impl_->config) + (impl_->ngrams ? impl_->ngrams->parameters() : 0);
}
MemoryPlan Engine::memory() const { return impl_->plan; }
kernels::Roofline Engine::roofline() const {
  const uint64_t half = available_memory().value_or(std::numeric_limits<uint64_t>::max()) / 2;  // the rest is others'
  return kernels::measure_roofline(*impl_->table, *impl_->pool, half);
}

TokenWork Engine::token_work() const {
  TokenWork out;
  for (const auto* matrix : impl_->weights.products()) {
    out.bytes += matrix->bytes();
    const bool head = matrix == &impl_->weights.output;
    (head ? out.head_multiply_adds : out.layer_multiply_adds) += uint64_t{matrix->rows} * matrix->columns;
  }
  return out;
}

const std::vector<AdapterOption>& Engine::adapters() const { return impl_->options.adapters; }
const std::string& Engine::chat_template() const { return impl_->chat_template; }
std::span<const std::vector<TokenId>> Engine::task_choices() const { return impl_->choices; }

Result<std::vector<TokenId>> Engine::task_prompt(std::string_view input) const {
  if (!impl_->prompt) return fail(Code::kInvalidArgument, "{}: the model has no task", path());
  return impl_->prompt->encode(input);
}

std::vector<double> Engine::task_prior(std::string_view input) const {
  return impl_->ngrams ? impl_->ngrams->scores(input) : std::vector<double>();
}

namespace {

Result<Choice> choose_label(const Engine& engine, Session& session, std::string_view input,
                            double temperature, std::stop_token cancel) {
  BANTAM_ASSIGN(const auto prompt, engine.task_prompt(input));
  return session.choose(prompt, engine.task_choices(), temperature, std::move(cancel),
                        engine.task_prior(input));
}

}  // namespace

Result<Choice> Engine::score(Session& session, std::string_view input, std::stop_token cancel) const {
  return choose_label(*this, session, input, 1.0, std::move(cancel));
}

Result<Choice> Engine::classify(Session& session, std::string_view input, std::stop_token cancel) const {
  const double temperature = task() ? task()->calibration.temperature : 1.0;  // without a task it is refused
  return choose_label(*this, session, input, temperature, std::move(cancel));
}

}  // namespace bantam::runtime
