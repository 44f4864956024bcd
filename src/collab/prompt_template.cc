#include "collab/prompt_template.h"

#include <algorithm>

namespace bantam::collab {
namespace {

std::string listed(std::span<const std::string_view> names) {
  std::string out;
  for (std::string_view name : names) out += fmt::format("{}{{{}}}", out.empty() ? "" : ", ", name);
  return out;
}

}  // namespace

Result<PromptTemplate> PromptTemplate::parse(std::string_view text, std::span<const std::string_view> known,
                                             std::span<const std::string_view> required) {
  PromptTemplate out;
  std::string plain;
  auto end_plain = [&] {
    if (!plain.empty()) out.parts_.push_back({false, std::exchange(plain, {})});
  };
  for (size_t at = 0; at < text.size(); ++at) {
    char c = text[at];
    bool doubled = at + 1 < text.size() && text[at + 1] == c;
    if (c != '{' && c != '}') {
      plain += c;
    } else if (doubled) {
      plain += c;
      ++at;
    } else {
      size_t end = c == '{' ? text.find('}', at) : text.npos;
      if (end == text.npos)
        return fail(Code::kInvalidArgument, "found a single '{}' at byte {}, expected one of {}, or '{}{}'",
                    c, at, listed(known), c, c);
      std::string_view name = text.substr(at + 1, end - at - 1);
      if (std::ranges::find(known, name) == known.end())
        return fail(Code::kInvalidArgument, "found {{{}}}, expected one of {}", name.substr(0, 40),
                    listed(known));
      end_plain();
      out.parts_.push_back({true, std::string(name)});
      at = end;
    }
  }
  end_plain();
  for (std::string_view name : required) {
    if (!out.has(name)) return fail(Code::kInvalidArgument, "found no {{{}}}, which has to be in it", name);
  }
  return out;
}

std::string PromptTemplate::fill(
    std::initializer_list<std::pair<std::string_view, std::string_view>> values) const {
  std::string out;
  for (const Part& part : parts_) {
    if (!part.place) {
      out += part.text;
      continue;
    }
    for (auto [name, value] : values) {
      if (name == part.text) out += value;
    }
  }
  return out;
}

bool PromptTemplate::has(std::string_view place) const {
  return std::ranges::any_of(parts_, [&](const Part& part) { return part.place && part.text == place; });
}

}  // namespace bantam::collab
