#include "train/chat_form.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "text/chat_template.h"

namespace bantam::train {
namespace {

using nlohmann::json;
using text::TokenId;

constexpr std::array<std::string_view, 4> kControls{"<|system|>", "<|user|>", "<|assistant|>", "<|end|>"};

Result<std::vector<text::ChatTurn>> read_turns(std::string_view line) {
  const json document = json::parse(line, nullptr, /*allow_exceptions=*/false);
  const auto bad = [](std::string_view what) {
    return fail(Code::kCorrupt, "found {}, expected {{\"messages\": [{{\"role\": …, \"content\": …}}, …]}}",
                what);
  };
  if (!document.is_object()) return bad("no JSON object");
  const auto messages = document.find("messages");
  if (messages == document.end() || !messages->is_array() || messages->empty()) return bad("no messages");
  std::vector<text::ChatTurn> turns;
  for (const json& message : *messages) {
    if (!message.is_object() || !message.contains("role") || !message["role"].is_string() ||
        !message.contains("content") || !message["content"].is_string()) {
      return bad("a message without role or content");
    }
    text::ChatTurn turn;
    turn.role = message["role"].get<std::string>();
    turn.content = message["content"].get<std::string>();
    if (turn.role != "system" && turn.role != "user" && turn.role != "assistant") {
      return fail(Code::kInvalidArgument, "role: found '{}', expected system, user or assistant", turn.role);
    }
    turns.push_back(std::move(turn));
  }
  return turns;
}

}  // namespace

const std::string_view kChatTemplate =
    "{% for message in messages %}"
    "{% if message['role'] == 'system' %}{{ '<|system|>\\n' + message['content'] + '<|end|>\\n' }}"
    "{% elif message['role'] == 'user' %}{{ '<|user|>\\n' + message['content'] + '<|end|>\\n' }}"
    "{% elif message['role'] == 'assistant' %}{{ '<|assistant|>\\n' + message['content'] + '<|end|>\\n' }}"
    "{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>\\n' }}{% endif %}";

std::span<const std::string_view> chat_controls() { return kControls; }

Result<std::vector<TokenId>> encode_conversation(std::string_view line, const text::Tokenizer& tokenizer) {
  for (const std::string_view control : kControls) {
    if (!tokenizer.find(control)) {
      return fail(Code::kInvalidArgument, "tokenizer: found no token '{}', which conversations need",
                  control);
    }
  }
  BANTAM_ASSIGN(const auto turns, read_turns(line));
  BANTAM_ASSIGN(const auto prompt, text::render_chat(kChatTemplate, turns, /*add_generation_prompt=*/false));
  BANTAM_ASSIGN(auto ids, text::encode_chat(tokenizer, prompt));
  if (!ids.empty() && tokenizer.bos() == ids.front()) ids.erase(ids.begin());
  return ids;
}

AnswerMask::AnswerMask(const text::Tokenizer& tokenizer, TokenId start) : start_(start) {
  for (const std::string_view control : kControls) {
    const auto id = tokenizer.find(control);
    if (!id) {
      assistant_ = end_ = -1;
      roles_.clear();
      return;
    }
    if (control == "<|end|>") {
      end_ = *id;
    } else {
      roles_.push_back(*id);
      if (control == "<|assistant|>") assistant_ = *id;
    }
  }
}

void AnswerMask::apply(std::span<const int64_t> inputs, std::span<int64_t> targets) const {
  if (end_ < 0) return;
  const auto is_role = [&](int64_t id) { return std::ranges::find(roles_, id) != roles_.end(); };
  enum class In { kText, kAnswer, kOther } in = In::kText;
  // A row may begin inside a document. Where a turn's mark comes before the next document it was a
  // conversation; whose turn, nobody knows.
  for (const int64_t id : inputs) {
    if (id == start_) break;
    if (id == end_ || is_role(id)) {
      in = In::kOther;
      break;
    }
  }
  for (size_t t = 0; t < inputs.size(); ++t) {
    const int64_t id = inputs[t];
    if (id == start_) {
      in = In::kText;
      // The first token of a conversation is the mark of a turn: no text.
      if (is_role(targets[t])) in = In::kOther;
    } else if (id == assistant_) {
      in = In::kAnswer;
    } else if (id == end_ || is_role(id)) {
      in = In::kOther;
    }
    if (in == In::kOther) targets[t] = -1;
  }
}

}  // namespace bantam::train
