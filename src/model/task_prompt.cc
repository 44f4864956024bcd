#include "model/task_prompt.h"

#include <map>

namespace bantam::model {
namespace {

constexpr text::EncodeOptions kTemplate{.add_special = false, .parse_special = true};

}  // namespace

Result<TaskPrompt> TaskPrompt::create(const Task& task, const text::Tokenizer& tokenizer) {
  const std::string_view prompt = task.prompt;
  const size_t at = prompt.find(kInputPlace);
  if (at == std::string_view::npos) {
    return fail(Code::kInvalidArgument, "the task's prompt: found \"{}\", expected {} in it", prompt,
                kInputPlace);
  }
  TaskPrompt out;
  out.tokenizer_ = &tokenizer;
  out.before_ = prompt.substr(0, at);
  out.after_ = prompt.substr(at + kInputPlace.size());
  // Whether BOS belongs in front is the vocabulary's to say; EOS, which it may add to a whole text, does not
  // belong here.
  BANTAM_ASSIGN(auto special, tokenizer.encode("", {.add_special = true, .parse_special = false}));
  if (!special.empty() && special.front() == tokenizer.bos()) out.bos_ = special.front();
  return out;
}

std::array<text::Segment, 3> TaskPrompt::segments(std::string_view input) const {
  return {{{.text = before_, .parse_special = true},
           {.text = input, .parse_special = false},
           {.text = after_, .parse_special = true}}};
}

Result<std::vector<text::TokenId>> TaskPrompt::encode(std::string_view input) const {
  BANTAM_ASSIGN(auto out, tokenizer_->encode_segments(segments(input), false));
  if (bos_) out.insert(out.begin(), *bos_);
  return out;
}

Result<std::vector<std::vector<text::TokenId>>> encode_choices(const Task& task,
                                                               const text::Tokenizer& tokenizer) {
  std::vector<std::vector<text::TokenId>> out;
  std::map<std::vector<text::TokenId>, std::string_view> seen;
  for (const auto& choice : task.choices) {
    BANTAM_ASSIGN(auto tokens, tokenizer.encode(choice, kTemplate));
    // A label's own token, which no text merges to, is found by name only.
    const auto whole = tokens.size() == 1 ? std::nullopt : tokenizer.find(choice);
    if (whole) tokens = {*whole};
    if (tokens.empty()) return fail(Code::kInvalidArgument, "choice \"{}\" has no tokens", choice);
    const auto [other, fresh] = seen.try_emplace(tokens, choice);
    if (!fresh) {
      return fail(Code::kInvalidArgument, "choices \"{}\" and \"{}\" have the same tokens", other->second,
                  choice);
    }
    out.push_back(std::move(tokens));
  }
  return out;
}

}  // namespace bantam::model
