#pragma once
// How a model was taught to call functions, found out by having its chat template write calls.

#include <optional>
#include <string>
#include <string_view>

#include "text/chat_template.h"

namespace bantam::text {

/// In a literal of CallForm: one letter or digit of a call's id, which is the model's to choose.
inline constexpr char kIdSlot = '\0';

/// A turn with calls is: open NAME after_name ARGUMENTS (between NAME after_name ARGUMENTS)* close. The
/// arguments are a JSON object.
struct CallForm {
  std::string open = {}, after_name = {};
  std::string between = {};  // empty: one call to a turn
  std::string close = {};   // may hold the token that ends a turn of calls, where that is not the one of text
  std::string marker = {};  // a part of `open`, from its first letter on: what begins so is a call
  bool anywhere = true;     // text may stand before the marker; else it begins the turn, or is text
  bool short_ids = false;   // ids of earlier calls have nine letters and digits, or the template refuses them
};

/// The form of a template; nullopt for one that has no place for tools, calls or results, or writes
/// arguments otherwise than as one JSON object behind the name. Of `options`, bos, eos and variables count.
std::optional<CallForm> find_call_form(std::string_view chat_template, const ChatOptions& options);

}  // namespace bantam::text
