#pragma once
// Result<T>: the return type of everything that can fail. Exceptions of libraries stop where the library is
// called.

#include <fmt/core.h>

#include <expected>
#include <string>
#include <string_view>
#include <utility>

namespace bantam {

enum class Code {
  kInvalidArgument,  // the caller's request makes no sense as it stands
  kNotFound,         // a file, key, model or column that does not exist
  kCorrupt,          // bytes that are not what their format promises
  kIo,               // the operating system refused: open, read, write
  kNoSpace,          // a full disk
  kQuota,            // a budget has not so much left
  kDenied,           // a policy forbids it
  kLimit,            // larger than a configured or built-in limit (context, memory, depth)
  kUnsupported,      // well-formed, but not something this build does
  kCancelled,        // the caller asked to stop, or the deadline passed
  kUnavailable,      // a remote side failed; trying again may help
  kBusy,             // as many wait already as may; trying again later helps
  kInternal,         // a bug of ours
};

/// The lower-case name of a code, such as "not_found".
std::string_view code_name(Code code);

struct Error {
  Code code = Code::kInternal;
  std::string message;  // one sentence: file, field, found, expected

  /// The same error with "context: " before its message.
  Error in(std::string_view context) && { return {code, fmt::format("{}: {}", context, message)}; }
};

template <class T>
using Result = std::expected<T, Error>;
using Status = std::expected<void, Error>;

template <class... Args>
[[nodiscard]] std::unexpected<Error> fail(Code code, fmt::format_string<Args...> text, Args&&... args) {
  return std::unexpected(Error{code, fmt::format(text, std::forward<Args>(args)...)});
}

/// An error from errno: "what: No space left on device", kNoSpace for ENOSPC and EDQUOT, kNotFound for
/// ENOENT, else kIo.
[[nodiscard]] std::unexpected<Error> fail_errno(std::string_view what, int error_number);

#define BANTAM_CONCAT_INNER(a, b) a##b
#define BANTAM_CONCAT(a, b) BANTAM_CONCAT_INNER(a, b)
/// Returns the error of `expr` (a Status or Result) from the enclosing function, if it has one.
#define BANTAM_TRY(expr)                                        \
  do {                                                          \
    if (auto bantam_status = (expr); !bantam_status) {          \
      return std::unexpected(std::move(bantam_status).error()); \
    }                                                           \
  } while (0)
/// `BANTAM_ASSIGN(auto x, expr)`: x = the value of `expr`, or the enclosing function returns its error.
#define BANTAM_ASSIGN(lhs, expr) BANTAM_ASSIGN_IMPL(BANTAM_CONCAT(bantam_result_, __LINE__), lhs, expr)
#define BANTAM_ASSIGN_IMPL(tmp, lhs, expr)                  \
  auto tmp = (expr);                                        \
  if (!tmp) return std::unexpected(std::move(tmp).error()); \
  lhs = std::move(*tmp)

}  // namespace bantam
