// What a model writes that may call functions, and templates that show how it does. The first byte chooses a
// form and a mode, or the template; the second the size of the pieces: how a text is cut changes nothing.

#include <cstdlib>
#include <string>

#include "chat/tool_calls.h"
#include "text/call_form.h"

namespace {

using bantam::chat::CallReader;
using bantam::text::CallForm;

struct Read {
  std::string text, calls;
};

void add(const std::vector<bantam::chat::Event>& events, Read& out) {
  for (const auto& event : events) {
    if (const auto* text = std::get_if<bantam::chat::TextDelta>(&event)) out.text += text->text;
    if (const auto* call = std::get_if<bantam::chat::ToolCallDelta>(&event))
      out.calls += call->name + call->arguments;
  }
}

Read read(const CallForm& form, CallReader::Mode mode, std::string_view written, size_t piece) {
  CallReader reader(form, {"f", "fg", "weather"}, mode);
  Read out;
  for (size_t i = 0; i < written.size(); i += piece) add(reader.push(written.substr(i, piece)), out);
  add(reader.finish(), out);
  std::string calls;
  for (const auto& call : reader.calls()) calls += call.name + call.arguments;
  if (reader.text() != out.text || calls != out.calls) std::abort();
  return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 2) return 0;
  std::string_view rest(reinterpret_cast<const char*>(data) + 2, size - 2);
  if (data[0] % 10 == 9) {
    const auto form = bantam::text::find_call_form(rest, {});
    if (!form) return 0;
    if (form->marker.empty() || form->open.find(form->marker) == std::string::npos) std::abort();
    return 0;
  }
  const std::string id = ",\"id\":\"" + std::string(9, bantam::text::kIdSlot) + "\"}";
  const CallForm forms[] = {bantam::chat::stated_form(),
                            {.open = "[C][{\"name\": \"",
                             .after_name = "\", \"arguments\": ",
                             .between = id + ",{\"name\": \"",
                             .close = id + "]",
                             .marker = "[C]"},
                            {.open = "{\"name\": \"",
                             .after_name = "\", \"parameters\": ",
                             .close = "}",
                             .marker = "{\"name\": \"",
                             .anywhere = false}};
  using Mode = CallReader::Mode;
  const Mode modes[] = {Mode::kRequired, Mode::kAfterText, Mode::kInsteadOfText};
  const CallForm& form = forms[data[0] % 10 / 3];
  const Mode mode = modes[data[0] % 10 % 3];
  const Read whole = read(form, mode, rest, rest.size() + 1), cut = read(form, mode, rest, 1 + data[1] % 8);
  if (whole.text != cut.text || whole.calls != cut.calls) std::abort();
  return 0;
}
