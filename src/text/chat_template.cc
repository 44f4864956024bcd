#include "text/chat_template.h"

#include <algorithm>

namespace bantam::text {
namespace {

using Kind = PromptPart::Kind;

std::string_view trim(std::string_view text) {
  constexpr std::string_view kSpace = " \t\r\n\v\f";
  size_t begin = text.find_first_not_of(kSpace);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kSpace) - begin + 1);
}

class Builder {
 public:
  explicit Builder(std::string form) { out_.form = std::move(form); }
  Builder& markup(std::string_view text) { return add(Kind::kMarkup, text); }
  Builder& content(std::string_view text) { return add(Kind::kContent, text); }
  Builder& bos() { return add(Kind::kBos, {}); }
  Builder& eos() { return add(Kind::kEos, {}); }
  Builder& stop(std::string_view text) {
    out_.stop.emplace_back(text);
    return *this;
  }
  Builder& unused(size_t turns) {
    out_.unused_turns = turns;
    return *this;
  }
  ChatPrompt take() { return std::move(out_); }

 private:
  Builder& add(Kind kind, std::string_view text) {
    out_.parts.push_back({kind, std::string(text)});
    return *this;
  }
  ChatPrompt out_;
};

using Turns = std::span<const ChatTurn>;

ChatPrompt plain(std::string_view, Turns turns, bool) {
  Builder out("plain");
  for (size_t i = 0; i < turns.size(); ++i) {
    if (i > 0) out.markup("\n");
    out.content(turns[i].content);
  }
  return out.take();
}

/// Models that write each turn as HEAD role TAIL content END.
struct Frame {
  std::string_view head, tail, end;
  bool trimmed = false;
};

void framed(Builder& out, const Frame& frame, Turns turns, bool prompt) {
  for (const auto& turn : turns) {
    out.markup(fmt::format("{}{}{}", frame.head, turn.role, frame.tail));
    out.content(frame.trimmed ? trim(turn.content) : std::string_view(turn.content));
    out.markup(frame.end);
  }
  if (prompt) out.markup(fmt::format("{}assistant{}", frame.head, frame.tail));
}

ChatPrompt chatml(std::string_view, Turns turns, bool prompt) {
  Builder out("chatml");
  framed(out, {"<|im_start|>", "\n", "<|im_end|>\n"}, turns, prompt);
  return out.stop("<|im_end|>").take();
}

ChatPrompt llama3(std::string_view, Turns turns, bool prompt) {
  Builder out("llama3");
  out.bos();
  framed(out, {"<|start_header_id|>", "<|end_header_id|>\n\n", "<|eot_id|>", true}, turns, prompt);
  return out.stop("<|eot_id|>").take();
}

ChatPrompt phi3(std::string_view, Turns turns, bool prompt) {
  Builder out("phi3");
  framed(out, {"<|", "|>\n", "<|end|>\n"}, turns, prompt);
  return out.stop("<|end|>").take();
}

/// As zephyr, whose turns end in EOS and a line end.
ChatPrompt zephyr(std::string_view, Turns turns, bool prompt) {
  Builder out("zephyr");
  for (const auto& turn : turns)
    out.markup(fmt::format("<|{}|>\n", turn.role)).content(turn.content).eos().markup("\n");
  if (prompt) out.markup("<|assistant|>\n");
  return out.take();
}

/// The system's text has no turn of its own: it stands before the first user's.
ChatPrompt gemma(std::string_view, Turns turns, bool prompt) {
  Builder out("gemma");
  out.bos();
  std::string system;
  for (const auto& turn : turns) {
    if (turn.role == "system") {
      system.append(trim(turn.content)).append("\n\n");
      continue;
    }
    out.markup(fmt::format("<start_of_turn>{}\n", turn.role == "assistant" ? "model" : turn.role));
    out.content(std::exchange(system, {}) + std::string(trim(turn.content))).markup("<end_of_turn>\n");
  }
  if (!system.empty()) out.markup("<start_of_turn>user\n").content(trim(system)).markup("<end_of_turn>\n");
  if (prompt) out.markup("<start_of_turn>model\n");
  return out.stop("<end_of_turn>").take();
}

/// [INST] with the system's text in the first user's turn; each exchange is a BOS … EOS of its own.
ChatPrompt llama2(std::string_view, Turns turns, bool) {
  Builder out("llama2");
  std::string system;
  bool open = false;  // within [INST] … [/INST]
  for (const auto& turn : turns) {
    if (turn.role == "system") {
      system += system.empty() ? turn.content : "\n" + turn.content;
    } else if (turn.role == "user") {
      out.bos().markup("[INST] ");
      if (!system.empty())
        out.markup("<<SYS>>\n").content(std::exchange(system, {})).markup("\n<</SYS>>\n\n");
      out.content(trim(turn.content)).markup(" [/INST]");
      open = true;
    } else {
      if (!open) out.bos();
      out.markup(" ").content(trim(turn.content)).markup(" ").eos();
      open = false;
    }
  }
  if (!system.empty()) out.bos().markup("[INST] <<SYS>>\n").content(system).markup("\n<</SYS>>\n\n [/INST]");
  return out.take();
}

/// TEXT{{ messages[-1]['content'] }}TEXT, the template of our task models: the last turn between two fixed
/// texts.
struct TaskTemplate {
  std::string_view before, after;
};

std::optional<TaskTemplate> as_task(std::string_view text) {
  size_t open = text.find("{{"), close = text.find("}}");
  if (open == std::string_view::npos || close == std::string_view::npos || close < open) return std::nullopt;
  std::string_view expression = text.substr(open + 2, close - open - 2);
  TaskTemplate out{text.substr(0, open), text.substr(close + 2)};
  if (trim(expression) != "messages[-1]['content']") return std::nullopt;
  for (std::string_view rest : {out.before, out.after}) {
    for (std::string_view marker : {"{{", "{%", "{#"}) {
      if (rest.find(marker) != std::string_view::npos) return std::nullopt;
    }
  }
  return out;
}

ChatPrompt task(std::string_view chat_template, Turns turns, bool) {
  auto [before, after] = *as_task(chat_template);
  Builder out("task");
  if (!before.empty()) out.markup(before);
  out.content(turns.back().content);
  if (!after.empty()) out.markup(after);
  return out.unused(turns.size() - 1).take();
}

/// A form and the texts that a template of it holds (`all`), and those of other forms that it does not
/// (`none`).
struct Form {
  ChatPrompt (*render)(std::string_view, Turns, bool);
  std::vector<std::string_view> all, none;
};

const std::vector<Form>& forms() {
  static const std::vector<Form> list = {
      {chatml, {"<|im_start|>", "<|im_end|>"}, {}},
      {llama3, {"<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"}, {}},
      {llama2, {"[INST]", "<<SYS>>"}, {}},
      {gemma, {"<start_of_turn>", "<end_of_turn>"}, {}},
      {phi3, {"<|user|>", "<|assistant|>", "<|end|>"}, {"\\n<|end|>", "\n<|end|>"}},
      {zephyr, {"<|user|>", "<|assistant|>", "eos_token"}, {"<|end|>", "[gMASK]"}},
  };
  return list;
}

Result<std::vector<ChatTurn>> checked(Turns turns) {
  if (turns.empty()) return fail(Code::kInvalidArgument, "chat: found no messages, expected one or more");
  std::vector<ChatTurn> out(turns.begin(), turns.end());
  for (auto& turn : out) {
    if (turn.role == "developer") turn.role = "system";
    if (turn.role != "system" && turn.role != "user" && turn.role != "assistant") {
      return fail(Code::kInvalidArgument,
                  "chat: role: found \"{}\", expected system, developer, user or assistant", turn.role);
    }
  }
  return out;
}

}  // namespace

Result<ChatPrompt> render_chat(std::string_view chat_template, std::span<const ChatTurn> turns,
                               bool add_generation_prompt) {
  BANTAM_ASSIGN(auto list, checked(turns));
  if (chat_template.empty()) return plain(chat_template, list, add_generation_prompt);
  if (as_task(chat_template)) return task(chat_template, list, add_generation_prompt);
  auto holds = [&](std::string_view text) { return chat_template.find(text) != std::string_view::npos; };
  for (const auto& form : forms()) {
    if (std::ranges::all_of(form.all, holds) && std::ranges::none_of(form.none, holds)) {
      return form.render(chat_template, list, add_generation_prompt);
    }
  }
  return fail(Code::kUnsupported,
              "tokenizer.chat_template: found a template of no known form, expected chatml, llama2, llama3, "
              "zephyr, gemma or phi3 "
              "(this version has no Jinja interpreter)");
}

Result<std::vector<TokenId>> encode_chat(const Tokenizer& tokenizer, const ChatPrompt& prompt) {
  std::vector<TokenId> out;
  std::vector<Segment> text;
  auto flush = [&]() -> Status {
    if (text.empty()) return {};
    BANTAM_ASSIGN(auto ids, tokenizer.encode_segments(text, false));
    out.insert(out.end(), ids.begin(), ids.end());
    text.clear();
    return {};
  };
  BANTAM_ASSIGN(auto lead, tokenizer.encode(""));  // what the vocabulary puts before every text, and after it
  if (!lead.empty() && lead[0] == tokenizer.bos()) out.push_back(lead[0]);
  for (const auto& part : prompt.parts) {
    if (part.kind == Kind::kMarkup || part.kind == Kind::kContent) {
      text.push_back({part.text, part.kind == Kind::kMarkup});
      continue;
    }
    BANTAM_TRY(flush());
    auto id = part.kind == Kind::kBos ? tokenizer.bos() : tokenizer.eos();
    bool there = part.kind == Kind::kBos && out.size() == 1 && out[0] == id && &part == &prompt.parts.front();
    if (id && !there) out.push_back(*id);
  }
  BANTAM_TRY(flush());
  return out;
}

}  // namespace bantam::text
