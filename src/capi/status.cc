#include <string>

#include "capi/handles.h"

namespace bantam::capi {
namespace {

/// One for each thread. Kept out of any object that a failing allocation could leave half made.
std::string& error_text() {
  thread_local std::string text;
  return text;
}

bantam_status status_of(Code code) {
  switch (code) {
    case Code::kInvalidArgument:
      return BANTAM_INVALID_ARGUMENT;
    case Code::kNotFound:
      return BANTAM_NOT_FOUND;
    case Code::kCorrupt:
      return BANTAM_CORRUPT;
    case Code::kIo:
    case Code::kNoSpace:
      return BANTAM_IO;
    case Code::kLimit:
      return BANTAM_LIMIT;
    case Code::kUnsupported:
      return BANTAM_UNSUPPORTED;
    case Code::kCancelled:
      return BANTAM_CANCELLED;
    case Code::kBusy:
      return BANTAM_BUSY;
    case Code::kQuota:
    case Code::kDenied:
    case Code::kUnavailable:
    case Code::kInternal:
      break;
  }
  return BANTAM_INTERNAL;
}

bantam_status set_error(bantam_status status, std::string_view message) noexcept {
  try {
    error_text() = message;
  } catch (...) {  // no memory for the text: the status still says what it was
    error_text().clear();
  }
  return status;
}

}  // namespace

void clear_error() noexcept { error_text().clear(); }
bantam_status report(Code code, std::string_view message) noexcept {
  return set_error(status_of(code), message);
}

}  // namespace bantam::capi

extern "C" {

uint32_t bantam_api_version(void) { return BANTAM_API_VERSION; }
const char* bantam_release(void) { return BANTAM_VERSION; }
const char* bantam_last_error(void) { return bantam::capi::error_text().c_str(); }

}  // extern "C"
