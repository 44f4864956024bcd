// Audit logs: whatever the bytes and however they are cut, the verifier ends with the same findings, in order
// of what it read, and never calls a log intact that has a broken line.

#include <cstdlib>

#include "collab/audit.h"

using bantam::collab::AuditCheck;
using bantam::collab::AuditHead;
using bantam::collab::AuditVerifier;

namespace {

AuditCheck verify(std::string_view text, size_t step) {
  AuditVerifier verifier(AuditHead{"log", 3, std::string(64, 'a')});
  for (size_t i = 0; i < text.size(); i += step) verifier.feed(text.substr(i, step));
  return verifier.finish();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string_view text(reinterpret_cast<const char*>(data), size);
  AuditCheck whole = verify(text, size + 1), pieces = verify(text, 3);
  if (whole.lines != pieces.lines || whole.findings.size() != pieces.findings.size()) std::abort();
  for (size_t i = 0; i < whole.findings.size(); ++i) {
    if (whole.findings[i].line != pieces.findings[i].line || whole.findings[i].what.empty()) std::abort();
  }
  // Nobody finds a hash of 64 times 'a' for the third line.
  if (whole.findings.empty()) std::abort();
  return 0;
}
