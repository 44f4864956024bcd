// Models and texts of the C API.

#include <algorithm>

#include "base/utf8.h"
#include "capi/handles.h"

namespace {

using bantam::Code;
using bantam::fail;
using bantam::Result;
using bantam::Status;
using namespace bantam::capi;
using bantam::runtime::Engine;

Result<bantam::runtime::EngineOptions> engine_options(const bantam_load_options* given) {
  BANTAM_ASSIGN(const bantam_load_options options, options_of("bantam_load_options", given));
  bantam::runtime::EngineOptions out;
  out.threads = options.threads;
  out.context_length = options.context_length;
  if (options.batch != 0) out.batch = options.batch;
  constexpr uint32_t kMostThreads = 1024;
  if (out.threads > kMostThreads)
    return fail(Code::kInvalidArgument, "threads: found {}, expected at most {}", out.threads, kMostThreads);
  BANTAM_ASSIGN(const auto adapters, list_of("adapters", options.adapters, options.adapter_count));
  for (const char* text : adapters) {
    BANTAM_TRY(check_given("adapters", text));
    BANTAM_ASSIGN(auto adapter, bantam::runtime::parse_adapter(text));
    out.adapters.push_back(std::move(adapter));
  }
  return out;
}

/// Copies a list to the caller's buffer and says how long it is.
template <class T>
Status give_list(std::span<const T> items, T* to, size_t capacity, size_t* count, size_t ending = 0) {
  BANTAM_TRY(check_given("the size's place", count));
  *count = items.size();
  if (to == nullptr) return {};
  BANTAM_TRY(check_room(capacity, items.size() + ending));
  std::ranges::copy(items, to);
  return {};
}

/// Errors: kInvalidArgument for a bit without a meaning.
Status check_flags(uint32_t flags) {
  if ((flags & ~uint32_t{BANTAM_NO_SPECIAL | BANTAM_PARSE_SPECIAL}) == 0) return {};
  return fail(Code::kInvalidArgument, "flags: found {:#x}, expected BANTAM_NO_SPECIAL, BANTAM_PARSE_SPECIAL",
              flags);
}

template <class F>
bantam_status load(const F& open, const bantam_load_options* given, bantam_model** model) noexcept {
  return guarded([&]() -> Status {
    BANTAM_TRY(check_given("model", model));
    *model = nullptr;
    BANTAM_ASSIGN(const auto options, engine_options(given));
    BANTAM_ASSIGN(auto engine, open(options));
    *model = new bantam_model{std::move(engine)};
    return {};
  });
}

}  // namespace

extern "C" {

bantam_status bantam_model_load(const char* path, const bantam_load_options* options, bantam_model** model) {
  return load(
      [path](const auto& engine_options) -> Result<std::shared_ptr<const Engine>> {
        BANTAM_TRY(check_given("path", path));
        return Engine::load(path, engine_options);
      },
      options, model);
}

bantam_status bantam_model_load_memory(const void* bytes, size_t length, const bantam_load_options* options,
                                       bantam_model** model) {
  return load(
      [=](const auto& engine_options) -> Result<std::shared_ptr<const Engine>> {
        BANTAM_ASSIGN(const auto file, list_of("bytes", static_cast<const std::byte*>(bytes), length));
        return Engine::load(file, "memory", engine_options);
      },
      options, model);
}

void bantam_model_free(bantam_model* model) { delete model; }

bantam_status bantam_model_describe(const bantam_model* model, bantam_model_info* info) {
  return guarded([&]() -> Status {
    BANTAM_TRY(check_given("model", model));
    BANTAM_TRY(check_given("info", info));
    const Engine& engine = *model->engine;
    const auto& task = engine.task();
    bantam_model_info out{};
    out.context_length = engine.context_length();
    out.vocabulary = engine.config().vocab_size;
    out.dim = engine.config().dim;
    out.labels = task ? static_cast<uint32_t>(task->labels.size()) : 0;
    out.adapters = static_cast<uint32_t>(engine.adapters().size());
    out.is_encoder = engine.config().encoder ? 1 : 0;
    out.has_chat_template = engine.chat_template().empty() ? 0 : 1;
    out.bos = engine.tokenizer().bos().value_or(-1);
    out.eos = engine.tokenizer().eos().value_or(-1);
    out.threshold = task && task->calibrated() ? task->calibration.threshold : 0;
    out.memory = engine.memory().total();
    return give("bantam_model_info", out, info);
  });
}

const char* bantam_model_label(const bantam_model* model, size_t index) {
  const char* label = nullptr;
  guarded([&]() -> Status {
    BANTAM_TRY(check_given("model", model));
    const auto& task = model->engine->task();
    const size_t labels = task ? task->labels.size() : 0;
    if (index >= labels)
      return fail(Code::kInvalidArgument, "index: found {}, expected less than the {} labels", index, labels);
    label = task->labels[index].c_str();
    return {};
  });
  return label;
}

bantam_status bantam_tokenize(const bantam_model* model, const char* text, size_t length, uint32_t flags,
                              bantam_token* tokens, size_t capacity, size_t* count) {
  return guarded([&]() -> Status {
    BANTAM_TRY(check_given("model", model));
    BANTAM_TRY(check_flags(flags));
    BANTAM_ASSIGN(const auto bytes, text_of("text", text, length));
    BANTAM_ASSIGN(const auto ids,
                  model->engine->tokenizer().encode(
                      bytes, {(flags & BANTAM_NO_SPECIAL) == 0, (flags & BANTAM_PARSE_SPECIAL) != 0}));
    return give_list(std::span<const bantam_token>(ids), tokens, capacity, count);
  });
}

bantam_status bantam_detokenize(const bantam_model* model, const bantam_token* tokens, size_t count,
                                uint32_t flags, char* text, size_t capacity, size_t* length) {
  return guarded([&]() -> Status {
    BANTAM_TRY(check_given("model", model));
    BANTAM_TRY(check_flags(flags));
    BANTAM_ASSIGN(const auto ids, list_of("tokens", tokens, count));
    const auto& tokenizer = model->engine->tokenizer();
    for (const bantam_token id : ids) {
      if (id < 0 || static_cast<size_t>(id) >= tokenizer.vocab_size()) {
        return fail(Code::kInvalidArgument, "tokens: found {}, expected 0 to {}", id,
                    tokenizer.vocab_size() - 1);
      }
    }
    bantam::text::Utf8Stream whole;
    std::string out = whole.push(tokenizer.decode(ids, (flags & BANTAM_PARSE_SPECIAL) != 0));
    out += whole.finish();
    BANTAM_TRY(give_list(std::span<const char>(out), text, capacity, length, 1));
    if (text != nullptr) text[out.size()] = '\0';
    return {};
  });
}

}  // extern "C"
