// Sessions of the C API.

#include <algorithm>
#include <nlohmann/json.hpp>

#include "capi/handles.h"
#include "runtime/grammar/grammar.h"
#include "text/chat_template.h"

namespace {

using bantam::Code;
using bantam::fail;
using bantam::Result;
using bantam::Status;
using namespace bantam::capi;
using bantam::runtime::Finish;
using bantam::runtime::GenerateOptions;
using bantam::runtime::Generation;

Result<std::shared_ptr<const bantam::runtime::Grammar>> grammar_of(const bantam_session& session,
                                                                   const bantam_generate_options& given) {
  using bantam::runtime::Grammar;
  if (given.json_schema != nullptr && given.pattern != nullptr)
    return fail(Code::kInvalidArgument, "json_schema, pattern: found both, expected one of them");
  if (session.engine->config().encoder) return nullptr;  // generation says what is wrong
  if (given.json_schema != nullptr)
    return Grammar::json_schema(given.json_schema, session.engine->vocabulary());
  if (given.pattern != nullptr) return Grammar::pattern(given.pattern, session.engine->vocabulary());
  return nullptr;
}

Result<GenerateOptions> generate_options(const bantam_session& session,
                                         const bantam_generate_options& given) {
  GenerateOptions out;
  auto& sampling = out.sampling;
  sampling.seed = given.seed;
  sampling.temperature = given.temperature;
  sampling.top_k = given.top_k;
  if (given.top_p != 0) sampling.top_p = given.top_p;
  sampling.min_p = given.min_p;
  if (given.repeat_penalty != 0) sampling.repetition_penalty = given.repeat_penalty;
  sampling.frequency_penalty = given.frequency_penalty;
  sampling.presence_penalty = given.presence_penalty;
  if (given.max_tokens != 0) out.max_tokens = given.max_tokens;
  out.ignore_end = given.ignore_end != 0;
  if (given.context_shift != 0) out.shift = bantam::runtime::ContextShift{given.context_keep};
  if (given.context_shift == 0 && given.context_keep != 0)
    return fail(Code::kInvalidArgument, "context_keep: found {}, expected 0 without context_shift",
                given.context_keep);
  BANTAM_ASSIGN(const auto stops, list_of("stop", given.stop, given.stop_count));
  for (const char* stop : stops) {
    BANTAM_TRY(check_given("stop", stop));
    out.stop.emplace_back(stop);
  }
  BANTAM_ASSIGN(out.grammar, grammar_of(session, given));
  if (given.on_text != nullptr) {
    out.on_text = [given](std::string_view text) {
      const std::string piece(text);
      return given.on_text(piece.c_str(), piece.size(), given.user) == 0;
    };
  }
  return out;
}

int32_t finish_of(Finish finish) {
  switch (finish) {
    case Finish::kStop:
      return BANTAM_FINISH_STOP;
    case Finish::kLength:
      return BANTAM_FINISH_LENGTH;
    case Finish::kCancelled:
      break;
  }
  return BANTAM_FINISH_CANCELLED;
}

Status give_result(const Generation& generation, bantam_result* result) {
  if (result == nullptr) return {};
  bantam_result out{};
  out.finish = finish_of(generation.finish);
  out.prompt_tokens = generation.prompt_tokens;
  out.cached_tokens = generation.cached_tokens;
  out.tokens = static_cast<uint32_t>(generation.tokens.size());
  out.shifted = generation.shifted;
  out.prefill_seconds = generation.prefill_seconds;
  out.decode_seconds = generation.decode_seconds;
  return give("bantam_result", out, result);
}

/// Reads the options, generates and reports; `stop` are texts beside the caller's.
Status generate(bantam_session& session, std::span<const bantam_token> prompt,
                const std::vector<std::string>& stop, const bantam_generate_options* given,
                bantam_result* result, std::stop_token cancel) {
  BANTAM_TRY(check_size("bantam_result", result));  // before anything is generated for nothing
  BANTAM_ASSIGN(const auto options, options_of("bantam_generate_options", given));
  BANTAM_ASSIGN(auto wanted, generate_options(session, options));
  wanted.stop.insert(wanted.stop.end(), stop.begin(), stop.end());
  wanted.cancel = std::move(cancel);
  BANTAM_ASSIGN(const auto generation, session.session->generate(prompt, wanted));
  return give_result(generation, result);
}

Result<bantam::text::ChatPrompt> chat_prompt(const bantam_session& session,
                                             std::span<const bantam_message> messages) {
  auto turns = nlohmann::ordered_json::array();
  for (const auto& [role, content] : messages) {
    BANTAM_TRY(check_given("messages: role", role));
    BANTAM_TRY(check_given("messages: content", content));
    turns.push_back({{"role", role}, {"content", content}});
  }
  return bantam::text::render_chat(session.engine->chat_template(), turns,
                                   bantam::text::chat_options(session.engine->tokenizer()));
}

void give_choice(const bantam::runtime::Choice& choice, double* probabilities, size_t* best) {
  if (probabilities != nullptr) std::ranges::copy(choice.probabilities, probabilities);
  if (best != nullptr) *best = choice.best;
}

}  // namespace

extern "C" {

bantam_status bantam_session_new(const bantam_model* model, bantam_session** session) {
  return guarded([&]() -> Status {
    BANTAM_TRY(check_given("session", session));
    *session = nullptr;
    BANTAM_TRY(check_given("model", model));
    auto out = std::make_unique<bantam_session>();
    out->engine = model->engine;
    BANTAM_ASSIGN(out->session, model->engine->new_session());
    *session = out.release();
    return {};
  });
}

void bantam_session_free(bantam_session* session) { delete session; }

bantam_status bantam_generate(bantam_session* session, const bantam_token* prompt, size_t count,
                              const bantam_generate_options* options, bantam_result* result) {
  return guarded(session, [&](std::stop_token cancel) -> Status {
    BANTAM_ASSIGN(const auto tokens, list_of("prompt", prompt, count));
    return generate(*session, tokens, {}, options, result, std::move(cancel));
  });
}

bantam_status bantam_chat(bantam_session* session, const bantam_message* messages, size_t count,
                          const bantam_generate_options* options, bantam_result* result) {
  return guarded(session, [&](std::stop_token cancel) -> Status {
    BANTAM_ASSIGN(const auto turns, list_of("messages", messages, count));
    if (session->engine->chat_template().empty())
      return fail(Code::kUnsupported, "{}: the model has no chat template", session->engine->path());
    auto prompt = chat_prompt(*session, turns);
    if (!prompt) return std::unexpected(std::move(prompt).error().in("messages"));
    if (prompt->unused_turns > 0) {
      return fail(Code::kUnsupported, "messages: the model's template has no place for {} of the {} messages",
                  prompt->unused_turns, turns.size());
    }
    if (!prompt->notes.empty())  // nobody would read them
      return fail(Code::kUnsupported, "messages: {}", prompt->notes.front());
    auto tokens = bantam::text::encode_chat(session->engine->tokenizer(), *prompt);
    if (!tokens) return std::unexpected(std::move(tokens).error().in("messages"));
    return generate(*session, *tokens, prompt->stop, options, result, std::move(cancel));
  });
}

bantam_status bantam_choose(bantam_session* session, const bantam_token* prompt, size_t prompt_count,
                            const char* const* choices, size_t count, double* probabilities, size_t* best) {
  return guarded(session, [&](std::stop_token cancel) -> Status {
    BANTAM_ASSIGN(const auto tokens, list_of("prompt", prompt, prompt_count));
    BANTAM_ASSIGN(const auto texts, list_of("choices", choices, count));
    std::vector<std::vector<bantam_token>> ids;
    for (const char* text : texts) {
      BANTAM_TRY(check_given("choices", text));
      BANTAM_ASSIGN(auto encoded, session->engine->tokenizer().encode(text, {.add_special = false}));
      ids.push_back(std::move(encoded));
    }
    BANTAM_ASSIGN(const auto choice, session->session->choose(tokens, ids, 1.0, std::move(cancel)));
    give_choice(choice, probabilities, best);
    return {};
  });
}

bantam_status bantam_classify(bantam_session* session, const char* text, size_t length, double* probabilities,
                              size_t capacity, size_t* best) {
  return guarded(session, [&](std::stop_token cancel) -> Status {
    BANTAM_ASSIGN(const auto input, text_of("text", text, length));
    const auto& task = session->engine->task();
    if (task && probabilities != nullptr) BANTAM_TRY(check_room(capacity, task->labels.size()));
    BANTAM_ASSIGN(const auto choice, session->engine->classify(*session->session, input, std::move(cancel)));
    give_choice(choice, probabilities, best);
    return {};
  });
}

bantam_status bantam_embed(bantam_session* session, const bantam_token* tokens, size_t count, float* vector,
                           size_t capacity) {
  return guarded(session, [&](std::stop_token cancel) -> Status {
    BANTAM_TRY(check_given("vector", vector));
    BANTAM_ASSIGN(const auto ids, list_of("tokens", tokens, count));
    BANTAM_TRY(check_room(capacity, session->engine->config().dim));
    BANTAM_ASSIGN(const auto made, session->session->embed(ids, std::move(cancel)));
    std::ranges::copy(made, vector);
    return {};
  });
}

bantam_status bantam_session_set_adapters(bantam_session* session, const float* scales, size_t count) {
  return guarded(session, [&](const std::stop_token&) -> Status {
    BANTAM_ASSIGN(const auto wanted, list_of("scales", scales, count));
    return session->session->set_adapters(wanted);
  });
}

bantam_status bantam_session_save(bantam_session* session, const char* path) {
  return guarded(session, [&](const std::stop_token&) -> Status {
    BANTAM_TRY(check_given("path", path));
    return session->session->save(path);
  });
}

bantam_status bantam_session_restore(bantam_session* session, const char* path) {
  return guarded(session, [&](const std::stop_token&) -> Status {
    BANTAM_TRY(check_given("path", path));
    return session->session->restore(path);
  });
}

void bantam_cancel(bantam_session* session) {
  if (session == nullptr) return;
  try {
    std::lock_guard lock(session->mutex);
    session->cancel.request_stop();
  } catch (...) {  // a mutex that cannot be locked: nothing could be told to anyone
  }
}

}  // extern "C"
