#include "chat_forms.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "base/utf8.h"

namespace bantam::forms {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return out;
}

/// "FindRestaurants" -> "find restaurants", "party_size" -> "party size".
std::string words_of(std::string_view name) {
  std::string out;
  for (size_t i = 0; i < name.size(); ++i) {
    const char c = name[i];
    const bool upper = c >= 'A' && c <= 'Z';
    if (upper && i > 0 && name[i - 1] >= 'a' && name[i - 1] <= 'z') out += ' ';
    out += c == '_' ? ' ' : upper ? static_cast<char>(c - 'A' + 'a') : c;
  }
  return out;
}

template <class T>
const T& pick(const std::vector<T>& from, Rng& rng) {
  return from[rng.below(from.size())];
}

std::string pick_of(std::initializer_list<const char*> from, Rng& rng) {
  return std::data(from)[rng.below(from.size())];
}

Conversation asked(std::string question, std::string answer) {
  return {{"user", std::move(question)}, {"assistant", std::move(answer)}};
}

struct Function {
  std::string service, name, description;
  std::vector<std::string> required, optional;
};

}  // namespace

struct Services::State {
  std::map<std::string, std::map<std::string, std::string>> slots;  // service -> slot -> what it is
  std::vector<Function> functions;
  std::map<std::pair<std::string, std::string>, size_t> by_name;

  const Function* find(const std::string& service, const std::string& name) const {
    auto at = by_name.find({service, name});
    return at == by_name.end() ? nullptr : &functions[at->second];
  }
  /// `own` and up to `others` functions of other names, in random order.
  std::vector<const Function*> among(const Function& own, size_t others, Rng& rng) const {
    std::vector<const Function*> out{&own};
    std::set<std::string> names{own.name};
    for (size_t tries = 0; tries < 4 * others && out.size() < others + 1; ++tries) {
      const Function& other = pick(functions, rng);
      if (names.insert(other.name).second) out.push_back(&other);
    }
    rng.shuffle(out);
    return out;
  }

  Conversation classify(const std::string& message, const Function& own, Rng& rng) const;
  Conversation extract(const std::string& message, const std::string& service, const json& slots,
                       Rng& rng) const;
  Conversation call(const json& turns, size_t until, const json& call, Rng& rng) const;
  Conversation look_up(const std::string& service, const json& record, Rng& rng) const;
};

Conversation Services::State::classify(const std::string& message, const Function& own, Rng& rng) const {
  const auto candidates = among(own, 2 + rng.below(10), rng);
  const uint64_t style = rng.below(3);
  const auto label = [&](const Function& f) {
    std::string words = words_of(f.name);
    if (style == 1) std::ranges::replace(words, ' ', '_');
    return style == 2 ? f.name : words;
  };
  std::vector<std::string> labels;
  for (const auto* f : candidates) labels.push_back(label(*f));
  const std::string list = rng.chance(0.5) ? fmt::format("{}", fmt::join(labels, ", "))
                                           : fmt::format("- {}", fmt::join(labels, "\n- "));
  const std::string head = pick_of({"Classify the message. Answer with one of these labels:",
                                    "Which of these labels fits the message? Answer with the label alone.",
                                    "What does the user want? Choose one of:", "Classify the text. Labels:"},
                                   rng);
  const std::string question = rng.chance(0.7) ? fmt::format("{}\n{}\n\nMessage: {}", head, list, message)
                                               : fmt::format("Message: {}\n\n{}\n{}", message, head, list);
  return asked(question, label(own));
}

Conversation Services::State::extract(const std::string& message, const std::string& service,
                                      const json& slots, Rng& rng) const {
  const auto known = this->slots.find(service);
  if (known == this->slots.end()) return {};
  std::vector<std::pair<std::string, std::string>> fields;  // and their values, empty: not in the message
  const std::string folded = lower(message);
  for (const auto& [slot, value] : slots.items()) {
    if (value.is_string() && folded.find(lower(value.get<std::string>())) != std::string::npos)
      fields.emplace_back(slot, value.get<std::string>());
  }
  if (fields.empty()) return {};
  for (size_t tries = 0; tries < 2; ++tries) {
    auto other = std::next(known->second.begin(), static_cast<long>(rng.below(known->second.size())));
    if (slots.contains(other->first)) continue;
    if (std::ranges::none_of(fields, [&](const auto& f) { return f.first == other->first; }))
      fields.emplace_back(other->first, "");
  }
  rng.shuffle(fields);
  std::vector<std::string> names, described;
  ordered_json answer = ordered_json::object();
  for (const auto& [slot, value] : fields) {
    names.push_back(slot);
    auto what = known->second.find(slot);
    described.push_back(fmt::format("{}: {}", slot, what == known->second.end() ? "" : what->second));
    if (value.empty()) {
      answer[slot] = nullptr;
    } else {
      // As the message writes it, not as the annotation does.
      answer[slot] = message.substr(folded.find(lower(value)), value.size());
    }
  }
  const std::string question =
      rng.chance(0.5)
          ? fmt::format(
                "{} {}. {}\n\nText: {}",
                pick_of({"Extract these fields as JSON:", "Give these fields of the text as JSON:"}, rng),
                fmt::join(names, ", "), "Use null for what the text does not say.", message)
          : fmt::format("Extract from the text as JSON, null for what is not there:\n- {}\n\nText: {}",
                        fmt::join(described, "\n- "), message);
  return asked(question, answer.dump());
}

Conversation Services::State::call(const json& turns, size_t until, const json& call, Rng& rng) const {
  const std::string service = call.value("service", ""), method = call.value("method", "");
  const Function* own = find(service, method);
  if (own == nullptr) return {};
  std::string system = "You can call these functions:\n";
  for (const Function* f : among(*own, 1 + rng.below(4), rng)) {
    std::vector<std::string> arguments = f->required;
    for (const auto& name : f->optional) arguments.push_back(name + "?");
    system += fmt::format("- {}({}): {}\n", f->name, fmt::join(arguments, ", "), f->description);
  }
  system += "To call one, answer with JSON: {\"name\": …, \"arguments\": {…}}";
  Conversation out{{"system", system}};
  for (size_t i = 0; i < until; ++i) {
    const bool user = turns[i].value("s", "") == "U";
    out.push_back({user ? "user" : "assistant", turns[i].value("t", "")});
  }
  if (out.back().role != "user") return {};
  ordered_json answer{{"name", method}, {"arguments", ordered_json::object()}};
  const auto parameters = call.find("parameters");
  if (parameters != call.end()) {
    for (const auto& [name, value] : parameters->items()) answer["arguments"][name] = value;
  }
  out.push_back({"assistant", answer.dump()});
  return out;
}

Conversation Services::State::look_up(const std::string& service, const json& record, Rng& rng) const {
  const auto known = slots.find(service);
  if (known == slots.end() || record.size() < 3) return {};
  std::vector<std::pair<std::string, std::string>> fields;
  for (const auto& [name, value] : record.items()) {
    if (value.is_string()) fields.emplace_back(name, value.get<std::string>());
  }
  if (fields.empty()) return {};
  rng.shuffle(fields);
  const auto& [wanted, value] = pick(fields, rng);
  const auto what = known->second.find(wanted);
  std::string text;
  for (const auto& [name, held] : fields) text += fmt::format("{}: {}\n", words_of(name), held);
  const std::string name =
      what != known->second.end() && rng.chance(0.4) ? lower(what->second) : words_of(wanted);
  const std::string question = pick_of({"What is the {}?", "Give the {}.", "{}?"}, rng);
  std::string filled = question;
  filled.replace(filled.find("{}"), 2, name);
  return rng.chance(0.5) ? asked(fmt::format("Answer from this text.\n\n{}\n{}", text, filled), value)
                         : asked(fmt::format("{}\n\nText:\n{}", filled, text), value);
}

Services::Services() : state_(std::make_unique<State>()) {}
Services::~Services() = default;

void Services::add(const json& schema) {
  const std::string service = schema.value("service", "");
  for (const json& slot : schema.value("slots", json::array()))
    state_->slots[service][slot.value("name", "")] = slot.value("description", "");
  for (const json& intent : schema.value("intents", json::array())) {
    Function f{service, intent.value("name", ""), intent.value("description", ""), {}, {}};
    for (const json& name : intent.value("required", json::array())) f.required.push_back(name);
    const json optional = intent.value("optional", json::object());
    for (const auto& [name, fallback] : optional.items()) f.optional.push_back(name);
    if (state_->by_name.emplace(std::pair{service, f.name}, state_->functions.size()).second)
      state_->functions.push_back(std::move(f));
  }
}

std::vector<Conversation> Services::ask(const json& dialogue, Rng& rng) const {
  std::vector<Conversation> out;
  if (state_->functions.empty()) return out;
  const json turns = dialogue.value("turns", json::array());
  std::vector<size_t> user_turns, calls;
  for (size_t i = 0; i < turns.size(); ++i) {
    if (turns[i].value("s", "") == "U" && turns[i].contains("state")) user_turns.push_back(i);
    if (i > 0 && turns[i].contains("calls") && !turns[i]["calls"].empty()) calls.push_back(i);
  }
  const auto keep = [&](Conversation c) {
    if (!c.empty()) out.push_back(std::move(c));
  };
  for (int kind = 0; kind < 2 && !user_turns.empty(); ++kind) {
    const json& turn = turns[pick(user_turns, rng)];
    for (const json& state : turn["state"]) {
      const std::string service = state.value("service", "");
      const Function* own = state_->find(service, state.value("intent", ""));
      // What a reply such as "yes, please" wants is not in it.
      if (kind == 0 && own != nullptr && turn.value("t", "").size() > 25)
        keep(state_->classify(turn.value("t", ""), *own, rng));
      if (kind == 1)
        keep(state_->extract(turn.value("t", ""), service, state.value("slots", json::object()), rng));
      break;
    }
  }
  if (!calls.empty()) {
    const size_t at = pick(calls, rng);
    const json& call = turns[at]["calls"][0];
    if (rng.chance(0.6)) keep(state_->call(turns, at, call, rng));
    const json results = call.value("results", json::array());
    if (!results.empty() && results[0].is_object())
      keep(state_->look_up(call.value("service", ""), results[0], rng));
  }
  return out;
}

Conversation talk(std::string_view document) {
  Conversation out;
  while (!document.empty()) {
    const size_t end = std::min(document.find('\n'), document.size());
    const std::string_view line = document.substr(0, end);
    document.remove_prefix(std::min(end + 1, document.size()));
    const bool user = line.starts_with("User: "), assistant = line.starts_with("Assistant: ");
    if (user || assistant) {
      const std::string role = user ? "user" : "assistant";
      const std::string said(line.substr(user ? 6 : 11));
      if (!out.empty() && out.back().role == role) {
        out.back().content += "\n" + said;
      } else {
        out.push_back({role, said});
      }
    } else if (!out.empty() && !line.empty()) {
      out.back().content += "\n" + std::string(line);
    }
  }
  if (!out.empty() && out.back().role == "user") out.pop_back();
  if (!out.empty() && out.front().role == "assistant") out.erase(out.begin());
  return out.size() < 2 ? Conversation{} : out;
}

std::vector<Conversation> explain(std::string_view document, size_t most, Rng& rng) {
  std::vector<std::string_view> lines;
  for (std::string_view rest = document; !rest.empty();) {
    const size_t end = std::min(rest.find('\n'), rest.size());
    if (end > 0) lines.push_back(rest.substr(0, end));
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  struct Entry {
    std::string term, meaning;
    size_t line;
  };
  std::vector<Entry> terms, facts;
  for (size_t i = 1; i < lines.size(); ++i) {
    const size_t colon = lines[i].find(": ");
    if (colon == std::string_view::npos || colon < 3 || colon > 40 || lines[i][0] == '-') continue;
    Entry entry{std::string(lines[i].substr(0, colon)), std::string(lines[i].substr(colon + 2)), i};
    const bool starts_lower = lines[i][0] >= 'a' && lines[i][0] <= 'z';
    const bool sentence = entry.meaning.size() > 40 && entry.meaning[0] >= 'a' && entry.meaning[0] <= 'z';
    if (starts_lower && sentence && entry.meaning.size() < 400) {
      terms.push_back(std::move(entry));
    } else if (entry.meaning.size() > 2 && entry.meaning.size() < 160) {
      facts.push_back(std::move(entry));
    }
  }
  rng.shuffle(terms);
  rng.shuffle(facts);
  std::vector<Conversation> out;
  for (size_t i = 0; i < std::min(most, terms.size()); ++i) {
    const std::string& term = terms[i].term;
    std::string meaning = terms[i].meaning;
    if (rng.chance(0.5)) {
      meaning[0] = static_cast<char>(meaning[0] - 'a' + 'A');
      if (!meaning.ends_with('.')) meaning += '.';
    }
    const std::string head = pick_of({"What is ", "Define ", "Explain ", "What does this mean: "}, rng);
    out.push_back(asked(head + term + (head.starts_with("What") ? "?" : "."), meaning));
  }
  for (size_t i = 0; i < std::min(most, facts.size()); ++i) {
    // The fact's neighbours stand around it, so that it has to be found.
    const size_t first = facts[i].line - std::min(facts[i].line, rng.below(4));
    const size_t last = std::min(lines.size(), facts[i].line + 1 + rng.below(4));
    std::string text(lines[0]);
    for (size_t l = std::max<size_t>(1, first); l < last; ++l)
      text += "\n" + std::string(lines[l].substr(0, utf8_cut(lines[l], 600)));
    // A piece that was cut inside a character would not be UTF-8.
    while (!text.empty() && (static_cast<unsigned char>(text.back()) & 0x80) != 0) text.pop_back();
    out.push_back(asked(fmt::format("Answer from this text.\n\n{}\n\n{}: {}?", text, lines[0], facts[i].term),
                        facts[i].meaning));
  }
  return out;
}

}  // namespace bantam::forms
