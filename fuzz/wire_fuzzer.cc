// What a remote API may answer, and recordings. The first byte chooses the reader, for streams the second the
// size of the pieces: how a stream is cut changes nothing.

#include <cstdlib>
#include <string>

#include "chat/openai_wire.h"
#include "chat/recorded.h"
#include "net/http.h"

namespace {

using bantam::Result;
using bantam::chat::Answer;
using bantam::chat::AnswerStream;

struct Read {
  std::string text, calls;  // as the events gave them
  Result<Answer> answer;
};

Read read_stream(std::string_view bytes, size_t piece, bool completion) {
  AnswerStream stream(completion);
  Read out;
  bool good = true;
  while (good && !bytes.empty()) {
    good = stream.feed(bytes.substr(0, piece));
    bytes.remove_prefix(std::min(piece, bytes.size()));
    for (const auto& event : stream.take()) {
      if (const auto* text = std::get_if<bantam::chat::TextDelta>(&event)) out.text += text->text;
      if (const auto* call = std::get_if<bantam::chat::ToolCallDelta>(&event))
        out.calls += call->name + call->arguments;
    }
  }
  out.answer = stream.finish();
  return out;
}

void stream(std::string_view bytes, bool completion) {
  if (bytes.empty()) return;
  size_t piece = 1 + static_cast<unsigned char>(bytes.front());
  bytes.remove_prefix(1);
  Read whole = read_stream(bytes, bytes.size() + 1, completion), cut = read_stream(bytes, piece, completion);
  if (whole.text != cut.text || whole.calls != cut.calls ||
      whole.answer.has_value() != cut.answer.has_value())
    std::abort();
  if (whole.answer && whole.answer->text != whole.text) std::abort();
}

template <class T>
void has_message(const Result<T>& result) {
  if (!result && result.error().message.empty()) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  switch (data[0] % 7) {
    case 0:
      stream(bytes, false);
      break;
    case 1:
      stream(bytes, true);
      break;
    case 2:
      has_message(bantam::chat::read_answer(bytes));
      break;
    case 3:
      has_message(bantam::chat::read_answer(bytes, true));
      break;
    case 4: {
      auto answer = bantam::chat::read_embeddings(bytes, 2);
      has_message(answer);
      if (answer && answer->vectors[0].size() != answer->vectors[1].size()) std::abort();
      break;
    }
    case 5:
      if (bantam::chat::read_error(400, bytes).message.empty()) std::abort();
      break;
    default:
      has_message(bantam::chat::parse_recorded(bytes, "fuzz.jsonl", {.name = "m"}));
      has_message(bantam::net::parse_url(bytes));
  }
  return 0;
}
