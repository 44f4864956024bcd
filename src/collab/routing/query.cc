#include "collab/routing/query.h"

#include <algorithm>

namespace bantam::collab::routing {
namespace {

void declare_needs(const chat::Request& request, Query& out) {
  out.tools = static_cast<uint32_t>(request.tools.size());
  out.schema = request.format.kind != chat::ResponseFormat::Kind::kText;
  out.max_tokens = request.max_tokens.value_or(0);
}

void append(std::string& to, const std::string& text) {
  if (!to.empty()) to += '\n';
  to += text;
}

}  // namespace

Query query_of(const chat::Request& request) {
  Query out;
  declare_needs(request, out);
  out.turns = 0;
  for (const chat::Message& message : request.messages) {
    const bool instructions = message.role == "system" || message.role == "developer";
    append(instructions ? out.system : out.text, message.content);
    out.turns += message.role == "user";
  }
  if (request.messages.empty()) out.text = request.prompt;
  out.turns = std::max(out.turns, 1u);
  return out;
}

Query last_turn_of(const chat::Request& request) {
  Query out;
  declare_needs(request, out);
  const auto last = std::find_if(request.messages.rbegin(), request.messages.rend(),
                                 [](const chat::Message& message) { return message.role == "user"; });
  out.text = last == request.messages.rend() ? request.prompt : last->content;
  return out;
}

}  // namespace bantam::collab::routing
