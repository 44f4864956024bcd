#pragma once
// What the strategies share: making one request of another, asking many questions, handing an answer on.

#include <string>
#include <string_view>
#include <vector>

#include "chat/chat_model.h"
#include "collab/chunks.h"
#include "collab/llm_call.h"

namespace bantam::collab {

/// The last user message's text, or the prompt of a request without messages.
std::string question_of(const chat::Request& request);
/// The request with another text in that place.
chat::Request with_question(const chat::Request& request, std::string text);
/// A question beside the request: no messages but this one; whose it is, cancel and deadline stay.
chat::Request side_question(const chat::Request& request, std::string text,
                            std::vector<std::string> choices = {});
/// For the LLM: with the labels of the SLM's task as choices, unless the request has choices.
void add_labels(chat::Request& request, const chat::ChatModel& slm);

/// Asks all, at most `limit` at once; the replies in the order of the questions. Ends when all have ended.
chat::Awaitable<std::vector<Result<chat::Reply>>> ask_all(LlmCall& model,
                                                          std::vector<chat::Request> questions, size_t limit);

/// How far a yes-or-no answer says yes: its confidence, or where it has none 1 or 0.
double share_of_yes(const chat::Reply& reply, std::string_view yes);

/// Gives a whole reply to the sink. Errors: kCancelled when it takes no more.
chat::Awaitable<Result<chat::Reply>> hand_over(chat::Reply reply, const chat::EventSink& sink,
                                               const std::string& team);

// What teams are refused for when they are made; messages begin with the team's name.
/// A missing model.
Status check_models(const std::string& team, const std::shared_ptr<chat::ChatModel>& slm,
                    const std::shared_ptr<chat::ChatModel>& llm);
/// A number outside 0..1.
Status check_share(const std::string& team, std::string_view key, double value);
/// Options of teams that read material in parts and ask about them.
template <class Options>
Status check_reading(const Options& o) {
  if (o.chunk_bytes < 64)
    return fail(Code::kInvalidArgument, "team '{}': chunk_bytes is {}, expected at least 64", o.name,
                o.chunk_bytes);
  if (o.parallel == 0)
    return fail(Code::kInvalidArgument, "team '{}': parallel is 0, expected at least 1", o.name);
  if (o.yes == o.no) return fail(Code::kInvalidArgument, "team '{}': yes and no are the same", o.name);
  return {};
}

/// Texts of a request that answers may rest on, and where each is from: "message 2".
struct Sources {
  std::vector<std::string> texts, names;
  std::string_view of(const Chunk& chunk) const {
    return std::string_view(texts[chunk.source]).substr(chunk.begin, chunk.end - chunk.begin);
  }
};

}  // namespace bantam::collab
