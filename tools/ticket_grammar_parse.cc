#include <charconv>
#include <cmath>
#include <optional>

#include "ticket_grammar.h"

namespace bantam::tools {
namespace {

bool is_name(std::string_view text) {
  if (text.empty() || text[0] < 'a' || text[0] > 'z') return false;
  return text.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_") == text.npos;
}

std::optional<double> to_number(std::string_view text) {
  double value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || !std::isfinite(value)) return std::nullopt;
  return value;
}

std::string_view trim(std::string_view text) {
  size_t first = text.find_first_not_of(" \t\r");
  if (first == text.npos) return {};
  return text.substr(first, text.find_last_not_of(" \t\r") - first + 1);
}

std::vector<std::string> words_of(std::string_view text) {
  std::vector<std::string> words;
  while (!(text = trim(text)).empty()) {
    size_t end = std::min(text.find_first_of(" \t"), text.size());
    words.emplace_back(text.substr(0, end));
    text.remove_prefix(end);
  }
  return words;
}

// Recursive descent over the text of one alternative.
class AlternativeParser {
 public:
  AlternativeParser(std::string_view text, std::string_view source, size_t line)
      : text_(text), source_(source), line_(line) {}

  Result<Alternative> parse() {
    Alternative out{.weight = 1.0, .line = line_, .parts = {}};
    size_t star = text_.find('*');
    if (star != text_.npos && star > 0 && text_.find_first_not_of("0123456789.") == star) {
      auto weight = to_number(text_.substr(0, star));
      if (!weight || *weight <= 0)
        return error("weight \"{}\" is not a positive number", text_.substr(0, star));
      out.weight = *weight;
      at_ = std::min(text_.find_first_not_of(' ', star + 1), text_.size());
    }
    BANTAM_ASSIGN(out.parts, sequence("", 0));
    return out;
  }

 private:
  static constexpr int kMaxDepth = 16;

  template <class... Args>
  std::unexpected<Error> error(fmt::format_string<Args...> text, Args&&... args) const {
    return fail(Code::kCorrupt, "{}:{}: {}", source_, line_, fmt::format(text, std::forward<Args>(args)...));
  }

  static Sequence text_part(std::string text) { return {Sequence::Kind::kText, std::move(text), {}, {}}; }

  // Reads parts up to one of the characters in `ends` (not consumed), or to the end of the line when `ends`
  // is empty.
  Result<std::vector<Sequence>> sequence(std::string_view ends, int depth) {
    if (depth > kMaxDepth) return error("brackets are nested deeper than {}", kMaxDepth);
    std::vector<Sequence> parts;
    std::string literal;
    auto flush = [&] {
      if (!literal.empty()) parts.push_back(text_part(std::exchange(literal, {})));
    };
    while (at_ < text_.size()) {
      char c = text_[at_];
      if (ends.find(c) != ends.npos) break;
      if (c == '\\') {
        if (at_ + 1 == text_.size()) return error("a line ends in \"\\\"; expected a character after it");
        literal += text_[at_ + 1] == 'n' ? '\n' : text_[at_ + 1];
        at_ += 2;
      } else if (c == '{' || c == '[' || c == '(') {
        flush();
        ++at_;
        BANTAM_ASSIGN(Sequence part, c == '{' ? reference() : c == '[' ? optional(depth) : choice(depth));
        parts.push_back(std::move(part));
      } else if (c == '}' || c == ']' || c == ')' || c == '|') {
        return error("\"{}\" at column {} closes nothing; write \"\\{}\" for the character", c, at_ + 1, c);
      } else {
        literal += c;
        ++at_;
      }
    }
    if (at_ == text_.size() && !ends.empty())
      return error("expected \"{}\" before the end of the line", ends.back());
    flush();
    return parts;
  }

  Result<Sequence> optional(int depth) {
    double percent = 50;
    size_t colon = text_.find_first_not_of("0123456789", at_);
    if (colon != text_.npos && colon > at_ && text_[colon] == ':') {
      percent = to_number(text_.substr(at_, colon - at_)).value_or(0);
      if (percent < 1 || percent > 99)
        return error("\"[{}:\" is not a percentage of 1 to 99", text_.substr(at_, colon - at_));
      at_ = colon + 1;
    }
    BANTAM_ASSIGN(Sequence out, choices("|]", depth));
    for (Alternative& each : out.choices) {
      if (each.parts.empty()) return error("\"[]\" holds nothing");
      each.weight = percent / static_cast<double>(out.choices.size());
    }
    out.choices.push_back({100 - percent, line_, {}});
    return out;
  }

  Result<Sequence> choice(int depth) {
    BANTAM_ASSIGN(Sequence out, choices("|)", depth));
    bool empty = out.choices[0].parts.empty();  // "()" prints nothing
    if (out.choices.size() < 2 && !empty)
      return error("\"(...)\" offers one choice; write \"\\(\" for the character");
    return out;
  }

  // What stands between "|" up to the closing bracket, the second character of `ends`, which is consumed.
  Result<Sequence> choices(std::string_view ends, int depth) {
    Sequence out{Sequence::Kind::kChoice, {}, {}, {}};
    for (;;) {
      BANTAM_ASSIGN(auto parts, sequence(ends, depth + 1));
      out.choices.push_back({1.0, line_, std::move(parts)});
      if (text_[at_++] == ends[1]) return out;
    }
  }

  Result<Sequence> reference() {
    size_t end = text_.find('}', at_);
    if (end == text_.npos) return error("\"{{\" is not closed");
    std::string_view body = text_.substr(at_, end - at_);
    at_ = end + 1;
    using Kind = Sequence::Kind;
    if (size_t set = body.find(":="); set != body.npos && is_name(body.substr(0, set))) {
      return Sequence{Kind::kSet, {}, std::string(body.substr(0, set)), {value(body.substr(set + 2))}};
    }
    if (size_t equals = body.find('='); equals != body.npos) {
      std::string_view name = body.substr(0, equals), rule = body.substr(equals + 1);
      if (is_name(name) && is_name(rule))
        return Sequence{Kind::kRemember, std::string(rule), std::string(name), {}};
    }
    if (body.starts_with("A.") || body.starts_with("B.")) {
      if (is_name(body.substr(2))) {
        return Sequence{Kind::kForm, std::string(body.substr(2)), std::string(body.substr(0, 1)), {}};
      }
    }
    if (body.starts_with('$') && is_name(body.substr(1))) {
      return Sequence{Kind::kVariable, {}, std::string(body.substr(1)), {}};
    }
    if (is_name(body)) return Sequence{Kind::kRule, std::string(body), {}, {}};
    return error("\"{{{}}}\" is none of {{rule}}, {{A.form}}, {{B.form}}, {{x=rule}}, {{x:=text}}, {{$x}}",
                 body);
  }

  // The value of {x:=value}: text with @rule and $variable in it.
  Alternative value(std::string_view body) const {
    Alternative out{.weight = 1.0, .line = line_, .parts = {}};
    while (!body.empty()) {
      size_t length = std::min(body.find_first_of("@$", 1), body.size());
      if (body[0] == '@' || body[0] == '$') {
        length = std::min(body.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_", 1), body.size());
        std::string name(body.substr(1, length - 1));
        out.parts.push_back(body[0] == '@' ? Sequence{Sequence::Kind::kRule, name, {}, {}}
                                           : Sequence{Sequence::Kind::kVariable, {}, name, {}});
      } else {
        out.parts.push_back(text_part(std::string(body.substr(0, length))));
      }
      body.remove_prefix(length);
    }
    return out;
  }

  std::string_view text_, source_;
  size_t line_, at_ = 0;
};

// Calls `visit` for every part of the alternatives, nested ones too.
template <class Visit>
Status for_each_part(const std::vector<Alternative>& alternatives, const Visit& visit) {
  for (const Alternative& alternative : alternatives) {
    for (const Sequence& part : alternative.parts) {
      BANTAM_TRY(visit(part, alternative.line));
      BANTAM_TRY(for_each_part(part.choices, visit));
    }
  }
  return {};
}

class GrammarParser {
 public:
  explicit GrammarParser(std::string_view source) { grammar_.source = source; }

  Result<Grammar> parse(std::string_view text) {
    while (!text.empty()) {
      size_t end = std::min(text.find('\n'), text.size());
      std::string_view line = text.substr(0, end);
      text.remove_prefix(std::min(end + 1, text.size()));
      ++line_;
      std::string_view content = trim(line);
      if (content.empty() || content[0] == '#') continue;
      BANTAM_TRY(line[0] == ' ' || line[0] == '\t' ? alternative(content) : directive(content));
    }
    BANTAM_TRY(check_rules());
    BANTAM_TRY(check_intents());
    BANTAM_TRY(check_forms());
    for (const auto& [name, rule] : grammar_.rules) {
      std::set<std::string> open;
      BANTAM_TRY(check_cycle(rule, open));
      if (!used_.contains(name)) return error(rule.line, "rule \"{}\" is used nowhere", name);
    }
    return std::move(grammar_);
  }

 private:
  template <class... Args>
  std::unexpected<Error> error(size_t line, fmt::format_string<Args...> text, Args&&... args) const {
    return fail(Code::kCorrupt, "{}:{}: {}", grammar_.source, line,
                fmt::format(text, std::forward<Args>(args)...));
  }

  Status alternative(std::string_view content) {
    if (!open_) return error(line_, "an alternative before any rule, form or frame");
    BANTAM_ASSIGN(Alternative parsed, AlternativeParser(content, grammar_.source, line_).parse());
    open_->alternatives.push_back(std::move(parsed));
    return {};
  }

  Status directive(std::string_view content) {
    std::vector<std::string> words = words_of(content);
    const std::string& kind = words[0];
    if (kind == "rule") return open_rule(words);
    if (kind == "intent") return open_intent(words);
    if (kind == "frame") return open_frame(words);
    if (kind == "set") return set(words);
    open_ = nullptr;
    if (kind == "keep" && words.size() > 1) {
      grammar_.keep.insert(words.begin() + 1, words.end());
      return {};
    }
    if (kind == "abbrev" && words.size() > 2) {
      auto& shorter = grammar_.abbreviations[words[1]];
      shorter.insert(shorter.end(), words.begin() + 2, words.end());
      return {};
    }
    if (kind[0] == '.') return intent_part(words);
    return error(
        line_,
        "\"{}\" is not a directive; expected rule, intent, frame, set, keep WORD..., abbrev WORD SHORT...",
        kind);
  }

  Status open_rule(const std::vector<std::string>& words) {
    if (words.size() != 2 || !is_name(words[1])) return error(line_, "expected \"rule name\"");
    auto [it, is_new] = grammar_.rules.try_emplace(words[1], Rule{words[1], line_, {}});
    if (!is_new) return error(line_, "rule \"{}\" is already defined in line {}", words[1], it->second.line);
    open_ = &it->second;
    return {};
  }

  Status open_intent(const std::vector<std::string>& words) {
    if (words.size() != 2 || !is_name(words[1])) return error(line_, "expected \"intent name\"");
    for (const Intent& other : grammar_.intents) {
      if (other.name == words[1])
        return error(line_, "intent \"{}\" is already defined in line {}", words[1], other.line);
    }
    open_ = nullptr;
    grammar_.intents.push_back(
        {.name = words[1], .line = line_, .share = 1, .near_names = {}, .near = {}, .forms = {}});
    return {};
  }

  Status open_frame(const std::vector<std::string>& words) {
    auto weight = words.size() == 3 ? to_number(words[2]) : std::nullopt;
    if (!weight || *weight <= 0 || !is_name(words[1]))
      return error(line_, "expected \"frame name weight\", the weight above 0");
    for (const Frame& other : grammar_.frames) {
      if (other.rule.name == words[1]) {
        return error(line_, "frame \"{}\" is already defined in line {}", words[1], other.rule.line);
      }
    }
    grammar_.frames.push_back({*weight, {words[1], line_, {}}});
    open_ = &grammar_.frames.back().rule;
    return {};
  }

  Status set(const std::vector<std::string>& words) {
    open_ = nullptr;
    Settings& s = grammar_.settings;
    const std::map<std::string, double*> settings = {{"near", &s.near},
                                                     {"typo", &s.typo},
                                                     {"lower", &s.lower},
                                                     {"upper", &s.upper},
                                                     {"apostrophe", &s.apostrophe},
                                                     {"abbreviate", &s.abbreviate},
                                                     {"run_on", &s.run_on},
                                                     {"bare", &s.bare},
                                                     {"near_duplicate", &s.near_duplicate}};
    auto value = words.size() == 3 ? to_number(words[2]) : std::nullopt;
    if (!value || *value < 0 || *value > 1)
      return error(line_, "expected \"set name value\", the value from 0 to 1");
    auto found = settings.find(words[1]);
    if (found == settings.end()) return error(line_, "there is no setting \"{}\"", words[1]);
    *found->second = *value;
    return {};
  }

  Status intent_part(const std::vector<std::string>& words) {
    if (grammar_.intents.empty()) return error(line_, "\"{}\" before any intent", words[0]);
    Intent& intent = grammar_.intents.back();
    std::string name = words[0].substr(1);
    if (name == "share") {
      auto share = words.size() == 2 ? to_number(words[1]) : std::nullopt;
      if (!share || *share <= 0) return error(line_, "expected \".share number\", the number above 0");
      intent.share = *share;
    } else if (name == "near") {
      if (words.size() < 2) return error(line_, "\".near\" names no intent");
      intent.near_names.assign(words.begin() + 1, words.end());
    } else {
      if (words.size() != 1 || !is_name(name))
        return error(line_, "expected \".form\", \".near name...\" or \".share number\"");
      auto [it, is_new] = intent.forms.try_emplace(name, Rule{intent.name + "." + name, line_, {}});
      if (!is_new)
        return error(line_, "form \"{}\" is already defined in line {}", it->second.name, it->second.line);
      open_ = &it->second;
    }
    return {};
  }

  // Every rule, form and frame has alternatives, and what they name exists.
  Status check_rules() {
    std::vector<std::pair<const Rule*, bool>> all;  // the rule, and whether it is a frame
    for (const auto& [name, rule] : grammar_.rules) all.emplace_back(&rule, false);
    for (const Intent& intent : grammar_.intents) {
      for (const auto& [name, rule] : intent.forms) all.emplace_back(&rule, false);
    }
    for (const Frame& frame : grammar_.frames) all.emplace_back(&frame.rule, true);
    std::set<std::string> variables;
    for (auto [rule, is_frame] : all) {
      if (rule->alternatives.empty()) return error(rule->line, "\"{}\" has no alternatives", rule->name);
      BANTAM_TRY(for_each_part(rule->alternatives, [&](const Sequence& part, size_t) -> Status {
        using Kind = Sequence::Kind;
        if (part.kind == Kind::kRemember || part.kind == Kind::kSet) variables.insert(part.name);
        return {};
      }));
    }
    for (auto [rule, is_frame] : all) {
      bool in_frame = is_frame;
      BANTAM_TRY(for_each_part(rule->alternatives, [&](const Sequence& part, size_t line) -> Status {
        using Kind = Sequence::Kind;
        if (part.kind == Kind::kRule || part.kind == Kind::kRemember) {
          if (!grammar_.rules.contains(part.text)) return error(line, "there is no rule \"{}\"", part.text);
          used_.insert(part.text);
        }
        if (part.kind == Kind::kVariable && !variables.contains(part.name)) {
          return error(line, "nothing sets the variable \"${}\"", part.name);
        }
        if (part.kind == Kind::kForm && !in_frame) {
          return error(line, "{{{}.{}}} outside a frame", part.name, part.text);
        }
        return {};
      }));
    }
    return {};
  }

  Status check_intents() {
    if (grammar_.intents.size() < 2) {
      return error(line_, "found {} intents; expected at least 2", grammar_.intents.size());
    }
    if (grammar_.frames.empty()) return error(line_, "found no frame; expected at least one");
    for (Intent& intent : grammar_.intents) {
      for (const std::string& name : intent.near_names) {
        size_t i = 0;
        while (i < grammar_.intents.size() && grammar_.intents[i].name != name) ++i;
        if (i == grammar_.intents.size() || &grammar_.intents[i] == &intent) {
          return error(intent.line, ".near of \"{}\" names \"{}\", which is not another intent", intent.name,
                       name);
        }
        intent.near.push_back(i);
      }
    }
    return {};
  }

  // B may be any intent, so all have its forms. A frame that needs a form only some intents have is for those
  // alone.
  Status check_forms() {
    std::map<std::string, size_t> needed;
    for (const Frame& frame : grammar_.frames) {
      BANTAM_TRY(for_each_part(frame.rule.alternatives, [&](const Sequence& part, size_t line) -> Status {
        if (part.kind != Sequence::Kind::kForm) return {};
        needed.emplace(part.text, line);
        size_t holders = 0;
        for (const Intent& intent : grammar_.intents) {
          bool has = intent.forms.contains(part.text);
          holders += has;
          if (!has && part.name == "B")
            return error(intent.line, "intent \"{}\" lacks .{}, which line {} needs", intent.name, part.text,
                         line);
        }
        if (holders == 0) return error(line, "no intent has the form .{}", part.text);
        return {};
      }));
    }
    for (const Intent& intent : grammar_.intents) {
      bool expressible = false;
      for (const auto& [name, rule] : intent.forms) {
        if (!needed.contains(name)) return error(rule.line, "no frame uses the form \"{}\"", rule.name);
      }
      for (const Frame& frame : grammar_.frames) {
        for (const Alternative& alternative : frame.rule.alternatives)
          expressible |= usable(alternative, intent);
      }
      if (!expressible) return error(intent.line, "no frame can express the intent \"{}\"", intent.name);
    }
    return {};
  }

  Status check_cycle(const Rule& rule, std::set<std::string>& open) {
    if (done_.contains(rule.name)) return {};
    if (!open.insert(rule.name).second) return error(rule.line, "rule \"{}\" contains itself", rule.name);
    BANTAM_TRY(for_each_part(rule.alternatives, [&](const Sequence& part, size_t) -> Status {
      using Kind = Sequence::Kind;
      if (part.kind != Kind::kRule && part.kind != Kind::kRemember) return {};
      return check_cycle(grammar_.rules.at(part.text), open);
    }));
    open.erase(rule.name);
    done_.insert(rule.name);
    return {};
  }

  Grammar grammar_;
  Rule* open_ = nullptr;
  size_t line_ = 0;
  std::set<std::string> used_, done_;
};

}  // namespace

Result<Grammar> parse_grammar(std::string_view text, std::string_view source) {
  return GrammarParser(source).parse(text);
}

}  // namespace bantam::tools
