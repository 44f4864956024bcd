#include "server/text_request.h"

#include <algorithm>

#include "server/generation_reader.h"
#include "server/text_reply.h"

namespace bantam::server {
namespace {

constexpr uint32_t kDefaultMaxTokens = 16;  // the API's own

class TextReader final : public GenerationReader {
 public:
  using GenerationReader::GenerationReader;
  std::expected<Generation, ApiError> read(const json& body);

 private:
  static const Field<TextReader> kFields[];

  void prompt(const std::string& name, const json& value);
  void echo(const std::string& name, const json& value) { echo_ = flag(name, value).value_or(false); }
  void best_of(const std::string& name, const json& value) {
    best_of_ = static_cast<uint32_t>(whole(name, value, 1, limits_.max_answers).value_or(1));
  }
  void logprobs(const std::string& name, const json& value) {
    auto v = whole(name, value, 0, 5);
    if (!v) return;
    chat_.logprobs = true;  // 0: those of the chosen tokens alone
    chat_.top_logprobs = static_cast<uint32_t>(*v);
  }
  void suffix(const std::string& name, const json& value) { only(name, value, {""}); }

  std::vector<std::string> prompts_;
  std::vector<std::vector<int32_t>> ids_;  // or these
  bool echo_ = false;
  uint32_t best_of_ = 0;
};

const GenerationReader::Field<TextReader> TextReader::kFields[] = {
    {"model", &TextReader::model},
    {"prompt", &TextReader::prompt},
    {"max_tokens", &TextReader::max_tokens},
    {"temperature", &TextReader::temperature},
    {"top_p", &TextReader::top_p},
    {"n", &TextReader::n},
    {"best_of", &TextReader::best_of},
    {"stream", &TextReader::stream},
    {"stream_options", &TextReader::stream_options},
    {"logprobs", &TextReader::logprobs},
    {"echo", &TextReader::echo},
    {"stop", &TextReader::stop},
    {"presence_penalty", &TextReader::presence_penalty},
    {"frequency_penalty", &TextReader::frequency_penalty},
    {"logit_bias", &TextReader::logit_bias},
    {"seed", &TextReader::seed},
    {"suffix", &TextReader::suffix},
    {"user", &TextReader::label},
    {"guided_choice", &TextReader::guided_choice},
    {"top_k", &TextReader::top_k},
    {"min_p", &TextReader::min_p},
    {"lora", &TextReader::lora},
    {"context_shift", &TextReader::context_shift},
    {"n_keep", &TextReader::n_keep},
};

void TextReader::prompt(const std::string& name, const json& value) {
  if (is_token_ids(value))
    ids_ = token_ids(name, value, limits_.max_answers);
  else
    prompts_ = one_or_more(name, value, limits_.max_answers);
}

std::expected<Generation, ApiError> TextReader::read(const json& body) {
  for (const char* key : {"model", "prompt"}) required("", body, key);
  read_members(*this, "", body, kFields);
  check_together(body);
  if (best_of_ && best_of_ != n_)
    wrong_value("best_of", std::to_string(best_of_), fmt::format("{}, as many as 'n'", n_));
  const size_t prompts = std::max(prompts_.size(), ids_.size());
  if (n_ * prompts > limits_.max_answers) {
    wrong_value("n", fmt::format("{} for each of {} prompts", n_, prompts),
                fmt::format("at most {} answers", limits_.max_answers));
  }
  if (echo_ && !ids_.empty()) wrong_value("echo", "true", "false, since 'prompt' is ids of tokens");
  if (echo_ && chat_.logprobs) wrong_value("echo", "true", "false, since 'logprobs' is set");
  if (error_) return std::unexpected(*error_);
  if (!chat_.max_tokens && chat_.choices.empty()) chat_.max_tokens = kDefaultMaxTokens;
  Generation out;
  out.model = model_;
  out.stream = stream_;
  TextReplyOptions form{model_, include_usage_, chat_.logprobs, {}};
  for (size_t i = 0; i < prompts; ++i) {
    if (ids_.empty()) chat_.prompt = std::move(prompts_[i]);
    std::vector<chat::Request> wanted = answers(chat_);
    for (chat::Request& answer : wanted) {
      if (echo_) form.echo.push_back(answer.prompt);
      if (!ids_.empty()) out.prompt_ids.push_back(ids_[i]);
      out.chats.push_back(std::move(answer));
    }
  }
  out.format = make_text_reply(std::move(form));
  return out;
}

}  // namespace

std::expected<Generation, ApiError> read_text_request(std::string_view text, const WireLimits& limits) {
  return read_body(text, TextReader(limits));
}

}  // namespace bantam::server
