#include "text/jinja/filters.h"

#include <unordered_map>

namespace bantam::text::jinja {
namespace {

const std::unordered_map<std::string_view, Filter>& filters() {
  static const std::unordered_map<std::string_view, Filter> all = [] {
    std::unordered_map<std::string_view, Filter> out;
    for (const auto& part : {text_filters(), sequence_filters()}) out.insert(part.begin(), part.end());
    return out;
  }();
  return all;
}

}  // namespace

Result<const TracedText*> as_text(Interpreter& in, const Value& value) {
  if (value.is(Kind::kText)) return value.text;
  BANTAM_ASSIGN(TracedText text, to_text(value, in.heap()));
  return in.heap().text(std::move(text)).text;
}

bool flag(const Call& call, size_t index, std::string_view name, bool fallback) {
  const auto value = call.get(index, name);
  return value ? truthy(*value) : fallback;
}

Result<Value> Interpreter::filter(std::string_view name, const Value& value, const Call& call) {
  const Deeper deeper(*this);
  BANTAM_TRY(deeper.check());
  const auto found = filters().find(name);
  if (found == filters().end())
    return fail(Code::kUnsupported, "found the filter \"{}\", expected one of Jinja's", name);
  return found->second(*this, value, call, name);
}

}  // namespace bantam::text::jinja
