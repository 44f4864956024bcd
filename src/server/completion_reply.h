#pragma once
#include <string>
#include <string_view>

#include "chat/chat_model.h"

namespace bantam::server {

/// A reply as the API gives it, whole or in the chunks of a stream. `model` is the name that was asked for.
class CompletionReply {
 public:
  CompletionReply(std::string model, bool include_usage);

  std::string whole(const chat::Reply& reply) const;
  /// The data of a stream's events, in order: first(), a text() for each piece, last().
  std::string first() const;
  std::string text(std::string_view piece) const;
  /// The events after the text, "[DONE]" included. Ours, the object "bantam", is in the last of them before
  /// it.
  std::vector<std::string> last(const chat::Reply& reply) const;

  const std::string& id() const { return id_; }

 private:
  std::string chunk(std::string_view delta_json, std::string_view finish_reason,
                    std::string_view more = "") const;
  std::string id_, model_;
  bool include_usage_;
  int64_t created_;
};

}  // namespace bantam::server
