#include "text/call_form.h"

#include <nlohmann/json.hpp>

namespace bantam::text {
namespace {

using OrderedJson = nlohmann::ordered_json;

// None of these stands in a template, so that where they come out is where the template put them.
constexpr std::string_view kName = "bantam_probe", kKey = "\"bantam_key\"", kSaid = "bantam said this",
                           kResult = "bantam result", kIds[] = {"bantam001", "bantam002"},
                           kLongId = "call_bantam0123456789abcdef";
constexpr std::string_view kSpaces = " \t\r\n";

OrderedJson arguments() { return {{"bantam_key", "bantam value"}}; }

OrderedJson tools() {
  OrderedJson parameters = {{"type", "object"},
                            {"properties", {{"bantam_key", {{"type", "string"}, {"description", "A key."}}}}},
                            {"required", {"bantam_key"}}};
  return {{{"type", "function"},
           {"function", {{"name", kName}, {"description", "A probe."}, {"parameters", parameters}}}}};
}

OrderedJson call(std::string_view id) {
  return {
      {"id", id}, {"type", "function"}, {"function", {{"name", kName}, {"arguments", arguments().dump()}}}};
}

OrderedJson said(std::string_view role, std::string_view content) {
  return {{"role", role}, {"content", content}};
}

OrderedJson called(std::initializer_list<std::string_view> ids) {
  OrderedJson out = said("assistant", "");
  for (std::string_view id : ids) out["tool_calls"].push_back(call(id));
  return out;
}

OrderedJson result(std::string_view id) {
  OrderedJson out = said("tool", kResult);
  out["tool_call_id"] = id;
  out["name"] = kName;
  return out;
}

/// One template, asked again and again.
class Probe {
 public:
  Probe(std::string_view chat_template, const ChatOptions& options)
      : template_(chat_template), options_(options) {
    options_.tools = &tools_;
    options_.now = std::chrono::system_clock::time_point{};  // the same in all of them
  }

  /// After a question of the user. nullopt where the template refuses.
  std::optional<std::string> write(std::initializer_list<OrderedJson> turns, bool prompt) {
    OrderedJson messages = OrderedJson::array({said("user", "bantam question")});
    for (const OrderedJson& turn : turns) messages.push_back(turn);
    options_.add_generation_prompt = prompt;
    auto out = render_chat(template_, messages, options_);
    if (!out) return std::nullopt;
    return out->text();
  }

 private:
  std::string_view template_;
  const OrderedJson tools_ = tools();
  ChatOptions options_;
};

/// What stands before a call's name, between name and arguments, and where the arguments end.
struct Place {
  std::string before, between;
  size_t end = 0;
};

std::optional<Place> find_call(std::string_view text, size_t from) {
  const size_t name = text.find(kName, from);
  if (name == std::string_view::npos) return std::nullopt;
  const size_t behind = name + kName.size(), key = text.find(kKey, behind);
  if (key == std::string_view::npos) return std::nullopt;
  const size_t open = text.substr(0, key).find_last_not_of(kSpaces), close = text.find('}', key);
  if (open == std::string_view::npos || open < behind || text[open] != '{') return std::nullopt;
  if (close == std::string_view::npos) return std::nullopt;
  const std::string_view object = text.substr(open, close + 1 - open);
  if (OrderedJson::parse(object, nullptr, /*allow_exceptions=*/false) != arguments()) return std::nullopt;
  const std::string_view between = text.substr(behind, open - behind);
  if (between.empty() || between.find(kName) != std::string_view::npos) return std::nullopt;
  return Place{std::string(text.substr(from, name - from)), std::string(between), close + 1};
}

std::string with_slots(std::string text) {
  for (std::string_view id : kIds) {
    for (size_t at = text.find(id); at != std::string::npos; at = text.find(id, at))
      text.replace(at, id.size(), id.size(), kIdSlot);
  }
  return text;
}

/// The beginning of `open` that tells a call from text.
bool set_marker(CallForm& form) {
  const size_t begin = form.open.find_first_not_of(kSpaces);
  if (begin == std::string::npos) return false;
  std::string_view rest = std::string_view(form.open).substr(begin);
  const size_t first = rest.find_first_not_of("[ \t\r\n");
  form.anywhere = first != std::string_view::npos && rest[first] != '{' && rest[first] != '"';
  size_t length = rest.find(kIdSlot);
  if (form.anywhere && (rest[0] == '<' || rest[0] == '['))
    length = std::min(length, rest.find(rest[0] == '<' ? '>' : ']') + 1);  // all of it where there is none
  if (length == 0) length = rest.size();
  form.marker = rest.substr(0, length);
  return !form.marker.empty();
}

/// The form of one call, from where the assistant's turn begins; `end` is what ends a turn of text.
std::optional<CallForm> form_of_one(std::string_view turn, std::string_view end) {
  auto place = find_call(turn, 0);
  if (!place) return std::nullopt;
  std::string_view close = turn.substr(place->end);
  if (close.find(kName) != std::string_view::npos) return std::nullopt;
  if (close.ends_with(end)) close.remove_suffix(end.size());
  CallForm out;
  out.open = with_slots(place->before);
  out.after_name = with_slots(place->between);
  out.close = with_slots(std::string(close));
  if (!set_marker(out)) return std::nullopt;
  return out;
}

/// What stands between two calls; empty where the rest is not as with one.
std::string between_two(const CallForm& form, std::string_view turn, std::string_view end) {
  const auto first = find_call(turn, 0);
  const auto second = first ? find_call(turn, first->end) : std::nullopt;
  if (!second) return "";
  std::string_view close = turn.substr(second->end);
  if (close.ends_with(end)) close.remove_suffix(end.size());
  const bool same = with_slots(first->before) == form.open && with_slots(first->between) == form.after_name &&
                    with_slots(second->between) == form.after_name &&
                    with_slots(std::string(close)) == form.close;
  return same ? with_slots(second->before) : "";
}

}  // namespace

std::optional<CallForm> find_call_form(std::string_view chat_template, const ChatOptions& options) {
  if (chat_template.empty()) return std::nullopt;
  Probe probe(chat_template, options);
  const auto prompt = probe.write({}, true), text = probe.write({said("assistant", kSaid)}, false),
             one = probe.write({called({kIds[0]})}, false);
  if (!prompt || !text || !one || prompt->find(kName) == std::string::npos) return std::nullopt;
  const size_t place = text->rfind(kSaid);
  if (place == std::string::npos) return std::nullopt;
  const std::string_view before = std::string_view(*text).substr(0, place),
                         end = std::string_view(*text).substr(place + kSaid.size());
  // Some templates open a turn of text otherwise than one of calls; the prompt is what both begin with.
  const std::string_view begin = one->starts_with(before) ? before : std::string_view(*prompt);
  if (!one->starts_with(begin)) return std::nullopt;
  auto form = form_of_one(std::string_view(*one).substr(begin.size()), end);
  if (!form) return std::nullopt;
  const auto told = probe.write({called({kIds[0]}), result(kIds[0])}, true);
  if (!told || told->find(kResult) == std::string::npos) return std::nullopt;
  form->short_ids = !probe.write({called({kLongId}), result(kLongId)}, true);
  const auto two = probe.write({called({kIds[0], kIds[1]})}, false);
  if (two && two->starts_with(begin))
    form->between = between_two(*form, std::string_view(*two).substr(begin.size()), end);
  return form;
}

}  // namespace bantam::text
