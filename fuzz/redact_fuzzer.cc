// Redaction: any text comes back as it was, whole or in parts, nothing that is found stays in what is sent,
// and JSON stays JSON.

#include <cstdlib>
#include <nlohmann/json.hpp>

#include "collab/redact.h"

using bantam::collab::Redaction;
using bantam::collab::Redactor;
using bantam::collab::Restorer;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const auto redactor = *Redactor::create({{}, {"Zed Nolan"}, {"Mill 3"}, {{"ID", "x[0-9]+y"}}});
  std::string_view text(reinterpret_cast<const char*>(data), size);
  Redaction redaction(redactor);
  auto sent = redaction.text(text);
  if (!sent) return 0;  // refused: nothing is sent
  if (redaction.restore(*sent, false) != text) std::abort();
  Restorer restorer(redaction, false);
  std::string back;
  for (size_t i = 0; i < sent->size(); i += 2) back += restorer.feed(std::string_view(*sent).substr(i, 2));
  back += restorer.finish();
  if (back != text) std::abort();
  size_t end = 0;
  for (const auto& finding : redactor->find(text)) {
    if (finding.begin < end || finding.begin >= finding.end || finding.end > size) std::abort();
    end = finding.end;
  }
  Redaction again(redactor);
  auto json = again.json(text);
  if (json && size > 0 && !nlohmann::json::accept(*json)) std::abort();
  return 0;
}
