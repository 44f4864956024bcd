#pragma once
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "chat/chat_model.h"
#include "runtime/engine.h"
#include "runtime/grammar/grammar.h"

namespace bantam::chat {

/// The grammars of response formats, kept for requests that ask for the same again. Safe to use from many
/// threads. Internal to chat.
class LocalFormats {
 public:
  explicit LocalFormats(std::shared_ptr<const runtime::Engine> engine) : engine_(std::move(engine)) {}

  /// Null for plain text. Adds to `notes` what of a schema had no effect. Errors: those of
  /// Grammar::json_schema, opened by "response_format: ".
  Result<std::shared_ptr<const runtime::Grammar>> grammar(const ResponseFormat& format,
                                                          std::vector<std::string>& notes);
  /// The same for the arguments of calls: {"name": one of the tools, "arguments": by its schema}. With
  /// kFunction that tool only. Errors: as grammar(), opened by "tools: "; kInvalidArgument for a function
  /// that is none of them.
  Result<std::shared_ptr<const runtime::Grammar>> call_grammar(const std::vector<Tool>& tools,
                                                               const ToolChoice& choice,
                                                               std::vector<std::string>& notes);

 private:
  Result<std::shared_ptr<const runtime::Grammar>> compiled(const std::string& schema);

  std::shared_ptr<const runtime::Engine> engine_;
  std::mutex mutex_;
  std::list<std::pair<std::string, std::shared_ptr<const runtime::Grammar>>> kept_;  // used last in front
};

}  // namespace bantam::chat
