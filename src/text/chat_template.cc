#include "text/chat_template.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "text/jinja/interpreter.h"

namespace bantam::text {
namespace {

using OrderedJson = nlohmann::ordered_json;
using Kind = PromptPart::Kind;
using jinja::Value;

constexpr std::string_view kWhere = "tokenizer.chat_template";

const std::string* string_at(const OrderedJson& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get_ptr<const std::string*>() : nullptr;
}

Status check(const OrderedJson& messages) {
  if (!messages.is_array() || messages.empty())
    return fail(Code::kInvalidArgument, "chat: found no messages, expected one or more");
  for (const auto& message : messages) {
    const auto* role = message.is_object() ? string_at(message, "role") : nullptr;
    if (role == nullptr || role->empty())
      return fail(Code::kInvalidArgument,
                  "chat: found a message without a role, expected system, user, assistant or tool");
  }
  return {};
}

Result<ChatPrompt> plain(const OrderedJson& messages) {
  ChatPrompt out;
  for (const auto& message : messages) {
    const auto* content = string_at(message, "content");
    if (content == nullptr) continue;
    if (!out.parts.empty()) out.parts.push_back({Kind::kMarkup, "\n"});
    out.parts.push_back({Kind::kContent, *content});
  }
  return out;
}

/// Texts that end a turn in well-known forms; the template says which it uses.
std::vector<std::string> turn_ends(std::string_view chat_template) {
  auto holds = [&](std::string_view text) { return chat_template.find(text) != std::string_view::npos; };
  std::vector<std::string> out;
  if (holds("<|return|>")) return out;  // there <|end|> ends a message of which a turn may have several
  for (std::string_view end : {"<|im_end|>", "<|eot_id|>", "<end_of_turn>", "<|end|>"}) {
    if (holds(end)) out.emplace_back(end);
  }
  return out;
}

/// One rendering: the heap, the variables, the program.
class Rendering {
 public:
  explicit Rendering(const ChatOptions& options)
      : options_(options),
        heap_({}),
        interpreter_(heap_, options.now.value_or(std::chrono::system_clock::now())) {}

  Result<jinja::TracedText> run(const jinja::Block& program, const OrderedJson& messages) {
    BANTAM_TRY(set_messages(messages));
    for (const char* name : {"range", "namespace", "dict", "raise_exception", "strftime_now"})
      globals_.set(name,
                   Value::of(heap_.function({jinja::Function::Kind::kGlobal, name, {}, nullptr, nullptr})));
    globals_.set("bos_token", heap_.text(options_.bos, jinja::kFromBos));
    globals_.set("eos_token", heap_.text(options_.eos, jinja::kFromEos));
    globals_.set("add_generation_prompt", Value::of(options_.add_generation_prompt));
    if (options_.tools != nullptr && !options_.tools->empty()) {
      BANTAM_ASSIGN(const Value tools, jinja::from_json(*options_.tools, heap_, jinja::kFromData));
      globals_.set("tools", tools);
    } else {
      globals_.set("tools", Value::none());
    }
    if (options_.variables != nullptr && options_.variables->is_object()) {
      for (const auto& [name, json] : options_.variables->items()) {
        BANTAM_ASSIGN(const Value value, jinja::from_json(json, heap_, jinja::kFromData));
        globals_.set(heap_.text(name).text->bytes(), value);
      }
    }
    return interpreter_.run(program, globals_);
  }
  bool raised() const { return interpreter_.raised(); }

 private:
  Status set_messages(const OrderedJson& messages) {
    jinja::List* list = heap_.list();
    for (size_t i = 0; i < messages.size(); ++i) {
      const auto source = static_cast<jinja::Source>(jinja::kFirstMessage + i);
      BANTAM_ASSIGN(const Value message, jinja::from_json(messages[i], heap_, source));
      // A role is one of the API's words, not what somebody wrote.
      message.dict->set(heap_.text("role"),
                        heap_.text(*string_at(messages[i], "role"),
                                   known_role(messages[i]) ? jinja::kFromTemplate : source));
      BANTAM_TRY(parse_arguments(message, source));
      list->items.push_back(message);
    }
    globals_.set("messages", Value::of(list));
    return {};
  }

  static bool known_role(const OrderedJson& message) {
    constexpr std::string_view kRoles[] = {"system", "developer", "user",   "assistant",
                                           "tool",   "function",  "ipython"};
    return std::ranges::find(kRoles, *string_at(message, "role")) != std::end(kRoles);
  }

  /// tool_calls[].function.arguments as an object where they are one in a text.
  Status parse_arguments(const Value& message, jinja::Source source) {
    const Value* calls = message.dict->find("tool_calls");
    if (calls == nullptr || !calls->is(jinja::Kind::kList)) return {};
    for (const Value& call : calls->list->items) {
      if (!call.is(jinja::Kind::kDict)) continue;
      const Value* inner = call.dict->find("function");
      jinja::Dict* function = inner != nullptr && inner->is(jinja::Kind::kDict) ? inner->dict : call.dict;
      const Value* arguments = function->find("arguments");
      if (arguments == nullptr || !arguments->is(jinja::Kind::kText)) continue;
      const auto json = OrderedJson::parse(arguments->text->bytes(), nullptr, /*allow_exceptions=*/false);
      if (!json.is_object()) continue;
      const auto* text = arguments->text;
      BANTAM_ASSIGN(const Value object, jinja::from_json(json, heap_, source));
      object.dict->json = text;
      function->set(heap_.text("arguments"), object);
    }
    return {};
  }

  const ChatOptions& options_;
  jinja::Heap heap_;
  jinja::Interpreter interpreter_;
  jinja::Scope globals_;
};

ChatPrompt as_prompt(const jinja::TracedText& text, const OrderedJson& messages) {
  ChatPrompt out;
  std::vector<bool> used(messages.size(), false);
  size_t begin = 0;
  for (const auto& run : text.runs()) {
    const Kind kind = run.source == jinja::kFromTemplate ? Kind::kMarkup
                      : run.source == jinja::kFromBos    ? Kind::kBos
                      : run.source == jinja::kFromEos    ? Kind::kEos
                                                         : Kind::kContent;
    if (run.source >= jinja::kFirstMessage) used[run.source - jinja::kFirstMessage] = true;
    std::string bytes = text.bytes().substr(begin, run.length);
    begin += run.length;
    if (kind == Kind::kContent && !out.parts.empty() && out.parts.back().kind == kind) {
      out.parts.back().text += bytes;
    } else {
      out.parts.push_back({kind, std::move(bytes)});
    }
  }
  for (size_t i = 0; i < messages.size(); ++i) {
    const auto* content = string_at(messages[i], "content");
    const bool says = content != nullptr && content->find_first_not_of(" \t\r\n\v\f") != std::string::npos;
    out.unused_turns += says && !used[i] ? 1 : 0;
  }
  return out;
}

/// Without its system messages, whose texts stand before the first user's; nullopt where that cannot be.
std::optional<OrderedJson> without_system(const OrderedJson& messages) {
  OrderedJson out = OrderedJson::array();
  std::string system;
  bool placed = false;
  for (const auto& message : messages) {
    const auto* content = string_at(message, "content");
    const std::string& role = *string_at(message, "role");
    if (role == "system") {
      if (content == nullptr || placed) return std::nullopt;
      system.append(*content).append("\n\n");
      continue;
    }
    out.push_back(message);
    if (role == "user" && !placed) {
      if (content == nullptr) return std::nullopt;
      out.back()["content"] = system + *content;
      placed = true;
    }
  }
  return placed && !system.empty() ? std::optional(std::move(out)) : std::nullopt;
}

}  // namespace

std::string ChatPrompt::text() const {
  std::string out;
  for (const auto& part : parts) out += part.text;
  return out;
}

ChatOptions chat_options(const Tokenizer& tokenizer) {
  ChatOptions out;
  if (tokenizer.bos()) out.bos = tokenizer.piece(*tokenizer.bos(), /*special=*/true);
  if (tokenizer.eos()) out.eos = tokenizer.piece(*tokenizer.eos(), /*special=*/true);
  return out;
}

Result<ChatPrompt> render_chat(std::string_view chat_template, const OrderedJson& messages,
                               const ChatOptions& options) {
  BANTAM_TRY(check(messages));
  if (chat_template.empty()) return plain(messages);
  OrderedJson list = messages;
  if (chat_template.find("developer") == std::string_view::npos) {
    for (auto& message : list) {
      if (message["role"] == "developer") message["role"] = "system";
    }
  }
  auto program = jinja::parse(chat_template);
  if (!program) return std::unexpected(std::move(program).error().in(kWhere));
  std::vector<std::string> notes;
  Rendering first(options);
  auto text = first.run(*program, list);
  if (!text && first.raised()) {
    if (auto folded = without_system(list)) {
      Rendering second(options);
      if (auto again = second.run(*program, *folded)) {
        text = std::move(again);
        list = std::move(*folded);
        notes.emplace_back(
            "the model's template takes no system message: its text stands before the first user's");
      }
    }
  }
  if (!text) return std::unexpected(std::move(text).error().in(kWhere));
  ChatPrompt out = as_prompt(*text, list);
  out.stop = turn_ends(chat_template);
  out.notes = std::move(notes);
  return out;
}

Result<ChatPrompt> render_chat(std::string_view chat_template, std::span<const ChatTurn> turns,
                               bool add_generation_prompt) {
  OrderedJson messages = OrderedJson::array();
  for (const auto& turn : turns) messages.push_back({{"role", turn.role}, {"content", turn.content}});
  ChatOptions options;
  options.add_generation_prompt = add_generation_prompt;
  return render_chat(chat_template, messages, options);
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
    const bool leads = &part == &prompt.parts.front() && out.size() == 1;  // right behind a BOS
    if (part.kind == Kind::kMarkup || part.kind == Kind::kContent) {
      std::string_view rest = part.text;
      if (leads && part.kind == Kind::kMarkup && rest.starts_with(tokenizer.piece(*tokenizer.bos(), true)))
        rest.remove_prefix(tokenizer.piece(*tokenizer.bos(), true).size());
      text.push_back({rest, part.kind == Kind::kMarkup});
      continue;
    }
    BANTAM_TRY(flush());
    auto id = part.kind == Kind::kBos ? tokenizer.bos() : tokenizer.eos();
    if (id && !(leads && out[0] == id)) out.push_back(*id);
  }
  BANTAM_TRY(flush());
  return out;
}

}  // namespace bantam::text
