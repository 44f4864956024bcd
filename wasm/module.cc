// The engine behind the functions that wasm/page/src/bantam.ts calls: one model, one session, one call at a
// time. Texts are UTF-8; a pointer that is returned holds until the next call. What goes in and out as JSON
// is described there.

#include <nlohmann/json.hpp>

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "runtime/engine.h"
#include "text/chat_template.h"

/// Tells the page the next piece of the text. 0 ends the generation.
extern "C" __attribute__((import_module("bantam"), import_name("text"))) int bantam_on_text(const char* text,
                                                                                            size_t bytes);

namespace {

using bantam::Result;
using bantam::Status;
using json = nlohmann::ordered_json;

struct State {
  std::shared_ptr<const bantam::runtime::Engine> engine;
  std::unique_ptr<bantam::runtime::Session> session;
  std::string error, answer;
};

State& state() {
  static State all;
  return all;
}

/// Runs the call and keeps its JSON or its error: 0, or 1.
template <class Call>
int answer(Call call) {
  State& all = state();
  Result<json> found = call(all);
  if (!found) {
    all.error = found.error().message;
    return 1;
  }
  all.answer = found->dump();
  return 0;
}

Result<json> load(State& all, const std::string& path, uint32_t context) {
  all = {};  // before another takes memory
  BANTAM_ASSIGN(all.engine, bantam::runtime::Engine::load(path, {.threads = 1, .context_length = context}));
  BANTAM_ASSIGN(all.session, all.engine->new_session());
  const auto& config = all.engine->config();
  return json{{"architecture", config.architecture},
              {"layers", config.layers},
              {"dim", config.dim},
              {"vocabulary", config.vocab_size},
              {"context", all.engine->context_length()},
              {"chat", !all.engine->chat_template().empty()},
              {"memory", all.engine->memory().total()}};
}

/// The prompt's ids: given as such, or a conversation in the model's form, or a text: as it is (raw, or
/// without a chat template) or as a user's turn.
Result<std::vector<bantam::text::TokenId>> prompt_of(const State& all, const json& request) {
  if (request.contains("tokens") && request["tokens"].is_array()) {
    std::vector<bantam::text::TokenId> out;
    for (const json& id : request["tokens"]) {
      const uint32_t vocabulary = all.engine->config().vocab_size;
      if (!id.is_number_unsigned() || id.get<uint64_t>() >= vocabulary)
        return bantam::fail(bantam::Code::kInvalidArgument,
                            "tokens: found {}, expected an id below the vocabulary's {}", id.dump(),
                            vocabulary);
      out.push_back(id.get<bantam::text::TokenId>());
    }
    return out;
  }
  const auto& tokenizer = all.engine->tokenizer();
  const std::string& chat_template = all.engine->chat_template();
  json messages = json::array();
  if (request.contains("messages")) {
    messages = request["messages"];
  } else {
    const auto prompt = request.find("prompt");
    if (prompt == request.end() || !prompt->is_string())
      return bantam::fail(bantam::Code::kInvalidArgument,
                          "found neither messages nor tokens nor prompt, a text");
    const std::string text = *prompt;
    if (request.value("raw", false) || chat_template.empty()) return tokenizer.encode(text, {});
    messages.push_back({{"role", "user"}, {"content", text}});
  }
  BANTAM_ASSIGN(const auto prompt,
                bantam::text::render_chat(chat_template, messages, bantam::text::chat_options(tokenizer)));
  return bantam::text::encode_chat(tokenizer, prompt);
}

/// value() ends the module where a field is of another type than its default.
Status check_types(const json& request) {
  for (const char* name : {"raw", "ignore_end"})
    if (request.contains(name) && !request[name].is_boolean())
      return bantam::fail(bantam::Code::kInvalidArgument, "{}: found {}, expected true or false", name,
                          request[name].dump());
  for (const char* name : {"max_tokens", "seed", "top_k"})
    if (request.contains(name) && !request[name].is_number_unsigned())
      return bantam::fail(bantam::Code::kInvalidArgument, "{}: found {}, expected a whole number from 0 on",
                          name, request[name].dump());
  for (const char* name : {"temperature", "top_p", "min_p", "repeat_penalty"})
    if (request.contains(name) && !request[name].is_number())
      return bantam::fail(bantam::Code::kInvalidArgument, "{}: found {}, expected a number", name,
                          request[name].dump());
  return {};
}

Result<json> generate(State& all, const char* text) {
  using bantam::runtime::Finish;
  if (all.session == nullptr) return bantam::fail(bantam::Code::kInvalidArgument, "no model is loaded");
  const json request = json::parse(text, nullptr, false);
  if (!request.is_object())
    return bantam::fail(bantam::Code::kInvalidArgument, "the request is no JSON object");
  BANTAM_TRY(check_types(request));
  BANTAM_ASSIGN(const auto prompt, prompt_of(all, request));
  bantam::runtime::GenerateOptions options;
  options.max_tokens = request.value("max_tokens", 256U);
  options.ignore_end = request.value("ignore_end", false);
  options.sampling.temperature = request.value("temperature", 0.0F);
  options.sampling.top_k = request.value("top_k", 0U);
  options.sampling.top_p = request.value("top_p", 1.0F);
  options.sampling.min_p = request.value("min_p", 0.0F);
  options.sampling.repetition_penalty = request.value("repeat_penalty", 1.0F);
  options.sampling.seed = request.value("seed", uint64_t{0});
  options.on_text = [](std::string_view piece) { return bantam_on_text(piece.data(), piece.size()) != 0; };
  BANTAM_ASSIGN(const auto found, all.session->generate(prompt, options));
  const char* finish = found.finish == Finish::kStop     ? "stop"
                       : found.finish == Finish::kLength ? "length"
                                                         : "cancelled";
  return json{{"tokens", found.tokens},
              {"finish", finish},
              {"prompt_tokens", found.prompt_tokens},
              {"prefill_seconds", found.prefill_seconds},
              {"decode_seconds", found.decode_seconds}};
}

}  // namespace

#define EXPORTED(name) __attribute__((export_name(#name))) name

extern "C" {

/// The model at `path` of the page's file system; context 0: the model's own, at most 8,192.
int EXPORTED(bantam_load)(const char* path, uint32_t context) {
  return answer([&](State& all) { return load(all, path, context); });
}
int EXPORTED(bantam_generate)(const char* request) {
  return answer([&](State& all) { return generate(all, request); });
}
/// What the last call that returned 0 found, as JSON.
const char* EXPORTED(bantam_answer)() { return state().answer.c_str(); }
/// Why the last call that returned 1 failed.
const char* EXPORTED(bantam_error)() { return state().error.c_str(); }
}
