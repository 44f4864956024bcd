#include "base/result.h"

#include <cerrno>
#include <cstring>

namespace bantam {

std::string_view code_name(Code code) {
  switch (code) {
    case Code::kInvalidArgument:
      return "invalid_argument";
    case Code::kNotFound:
      return "not_found";
    case Code::kCorrupt:
      return "corrupt";
    case Code::kIo:
      return "io";
    case Code::kNoSpace:
      return "no_space";
    case Code::kQuota:
      return "quota";
    case Code::kDenied:
      return "denied";
    case Code::kLimit:
      return "limit";
    case Code::kUnsupported:
      return "unsupported";
    case Code::kCancelled:
      return "cancelled";
    case Code::kUnavailable:
      return "unavailable";
    case Code::kBusy:
      return "busy";
    case Code::kInternal:
      return "internal";
  }
  return "internal";
}

std::unexpected<Error> fail_errno(std::string_view what, int error_number) {
  Code code = Code::kIo;
  if (error_number == ENOSPC || error_number == EDQUOT) code = Code::kNoSpace;
  if (error_number == ENOENT) code = Code::kNotFound;
  return fail(code, "{}: {}", what, std::strerror(error_number));
}

}  // namespace bantam
