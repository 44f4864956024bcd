#pragma once
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "chat/chat_model.h"
#include "chat/tool_calls.h"
#include "runtime/engine.h"
#include "runtime/grammar/grammar.h"

namespace bantam::chat {

/// The grammars of response formats and tools, kept for requests that ask for the same again. Safe to use
/// from many threads. Internal to chat.
class LocalFormats {
 public:
  explicit LocalFormats(std::shared_ptr<const runtime::Engine> engine) : engine_(std::move(engine)) {}

  /// Null for plain text. Adds to `notes` what of a schema had no effect. Errors: those of
  /// Grammar::json_schema, opened by "response_format: ".
  Result<std::shared_ptr<const runtime::Grammar>> grammar(const ResponseFormat& format,
                                                          std::vector<std::string>& notes);

  /// How the model calls functions: as its chat template has it or, failing that, the stated form. Found out
  /// at the first call. Lives as long as this.
  const CallStyle& call_style();
  /// The stated form, whatever the template has.
  const CallStyle& stated_style();

  /// What may be written where tools may be called: text (of the response format) or calls, their arguments
  /// by the tools' schemas. A schema that is not implemented leaves any object, with a note, unless it is
  /// strict. Errors: those of Grammar::calls, opened by "tools: ". REQUIRES: may_call(request), a choice that
  /// leaves a tool.
  Result<std::shared_ptr<const runtime::Grammar>> call_grammar(const Request& request, const CallStyle& style,
                                                               std::vector<std::string>& notes);

 private:
  using Made = Result<std::shared_ptr<const runtime::Grammar>>;
  Made kept(const std::string& key, const std::function<Made()>& make);
  Made compiled(const std::string& schema);
  Result<std::string> arguments_schema(const Tool& tool, std::vector<std::string>& notes);
  bool fit(text::CallForm form, CallStyle& out) const;
  void find_styles();

  std::shared_ptr<const runtime::Engine> engine_;
  std::once_flag styles_found_;
  CallStyle native_, stated_;
  std::mutex mutex_;
  std::list<std::pair<std::string, std::shared_ptr<const runtime::Grammar>>> kept_;  // used last in front
};

}  // namespace bantam::chat
