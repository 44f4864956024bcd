// Bodies of requests to every endpoint. The first byte chooses the reader. What is refused says why; what is
// read can be answered in its form, whole and as a stream, by text and by calls.

#include <cstdlib>
#include <nlohmann/json.hpp>
#include <string>

#include "net/sse.h"
#include "server/chat_request.h"
#include "server/embeddings_wire.h"
#include "server/messages_request.h"
#include "server/responses_request.h"
#include "server/text_request.h"
#include "server/tokens_wire.h"

namespace {

namespace chat = bantam::chat;
using namespace bantam::server;

void require(bool holds) {
  if (!holds) std::abort();
}

template <class T>
void has_message(const std::expected<T, ApiError>& read) {
  if (read) return;
  require(!read.error().message.empty() && read.error().status == 400);
  for (ErrorForm form : {ErrorForm::kOpenAi, ErrorForm::kAnthropic})
    require(nlohmann::json::accept(read.error().json(form)));
}

chat::Reply reply(bool calls) {
  chat::Reply out;
  out.text = "h\xC3\xA9";
  out.logprobs = {{"h", -1, {{"a", -2}}}, {"\xC3", -1}, {"\xA9", -1}};
  if (!calls) return out;
  out.tool_calls = {{"c1", "f", "{}"}, {"c2", "g", "{\"a\":"}};
  out.finish_reason = "length";
  return out;
}

void answer(Generation& generation) {
  require(!generation.chats.empty() && generation.chats.size() <= WireLimits{}.max_answers);
  require(generation.prompt_ids.empty() || generation.prompt_ids.size() == generation.chats.size());
  std::vector<chat::Reply> replies;
  std::string stream = generation.format->begin();
  for (uint32_t i = 0; i < generation.chats.size(); ++i) {
    replies.push_back(reply(i == 0));
    stream += generation.format->event(i, chat::TextDelta("h", {}));
    if (i == 0) stream += generation.format->event(i, chat::ToolCallDelta(0, "c1", "f", "{"));
    stream += generation.format->finish(i, replies.back());
  }
  stream += generation.format->end(replies);
  bantam::net::SseParser parser;
  auto events = parser.feed(stream, [](bantam::net::SseEvent&& event) {
    require(event.data == "[DONE]" || nlohmann::json::accept(event.data));
    return true;
  });
  require(events.has_value());
}

void generation(std::expected<Generation, ApiError> (*read)(std::string_view, const WireLimits&),
                std::string_view body) {
  auto first = read(body, {});
  has_message(first);
  if (!first) return;
  answer(*first);
  auto again = read(body, {});
  std::vector<chat::Reply> replies;
  for (size_t i = 0; i < again->chats.size(); ++i) replies.push_back(reply(i % 2 == 0));
  require(nlohmann::json::accept(again->format->whole(replies)));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  std::string_view body(reinterpret_cast<const char*>(data) + 1, size - 1);
  switch (data[0] % 9) {
    case 0:
      generation(read_chat_request, body);
      break;
    case 1:
      generation(read_text_request, body);
      break;
    case 2:
      generation(read_responses_request, body);
      break;
    case 3:
      generation(read_messages_request, body);
      break;
    case 4:
      has_message(read_count_request(body, {}));
      break;
    case 5: {
      auto read = read_embeddings_request(body);
      has_message(read);
      if (read) require(read->ids.empty() != read->embed.inputs.empty());
      break;
    }
    case 6: {
      auto read = read_rerank_request(body);
      has_message(read);
      if (read) require(read->embed.inputs.size() > 1 && read->top_n < read->embed.inputs.size());
      break;
    }
    case 7:
      has_message(read_tokenize_request(body));
      break;
    default:
      has_message(read_detokenize_request(body));
  }
  return 0;
}
