#pragma once
// What stands behind the C API's handles, and the border where errors and exceptions become statuses.
// Internal to capi.

#include <algorithm>
#include <atomic>
#include <cstring>
#include <exception>
#include <memory>
#include <mutex>
#include <new>
#include <span>
#include <stop_token>
#include <string_view>

#include "base/result.h"
#include "capi/bantam.h"
#include "runtime/engine.h"

struct bantam_model {
  std::shared_ptr<const bantam::runtime::Engine> engine;
};

struct bantam_session {
  std::shared_ptr<const bantam::runtime::Engine> engine;
  std::unique_ptr<bantam::runtime::Session> session;
  std::atomic_flag busy;
  std::mutex mutex;  // of `cancel`, which each call replaces
  std::stop_source cancel{std::nostopstate};
};

namespace bantam::capi {

/// The thread's error text and the status for it.
bantam_status report(Code code, std::string_view message) noexcept;
void clear_error() noexcept;

/// Runs `body`, which returns a Status; whatever leaves it becomes a bantam_status.
template <class F>
bantam_status guarded(const F& body) noexcept {
  clear_error();
  try {
    const Status status = body();
    if (!status) return report(status.error().code, status.error().message);
    clear_error();  // what a call from within a callback may have left
    return BANTAM_OK;
  } catch (const std::bad_alloc&) {
    return report(Code::kLimit, "no memory");
  } catch (const std::exception& e) {
    return report(Code::kInternal, e.what());
  } catch (...) {
    return report(Code::kInternal, "an exception of unknown type");
  }
}

/// The same for a call of a session: one at a time.
template <class F>
bantam_status guarded(bantam_session* session, const F& body) noexcept {
  return guarded([&]() -> Status {
    if (session == nullptr) return fail(Code::kInvalidArgument, "session: found NULL");
    if (session->busy.test_and_set()) return fail(Code::kBusy, "session: another call is running");
    struct Release {
      bantam_session& session;
      ~Release() { session.busy.clear(); }
    } release{*session};
    std::stop_source source;
    {
      std::lock_guard lock(session->mutex);
      session->cancel = source;
    }
    return body(source.get_token());
  });
}

inline Status check_given(std::string_view name, const void* pointer) {
  if (pointer != nullptr) return {};
  return fail(Code::kInvalidArgument, "{}: found NULL", name);
}

inline Status check_room(size_t capacity, size_t needed) {
  if (capacity >= needed) return {};
  return fail(Code::kLimit, "the buffer: found room for {}, expected {}", capacity, needed);
}

/// The list, which may be NULL only where it is empty.
template <class T>
Result<std::span<const T>> list_of(std::string_view name, const T* items, size_t count) {
  if (items == nullptr && count > 0)
    return fail(Code::kInvalidArgument, "{}: found NULL, expected {} items", name, count);
  if (count > static_cast<size_t>(PTRDIFF_MAX) / sizeof(T))
    return fail(Code::kInvalidArgument, "{}: found {} items, more than memory holds", name, count);
  return std::span<const T>(items, count);
}

/// A text with its length, or ended by a zero byte.
inline Result<std::string_view> text_of(std::string_view name, const char* text, size_t length) {
  if (text == nullptr && length != 0) return fail(Code::kInvalidArgument, "{}: found NULL", name);
  if (length == BANTAM_NUL) return std::string_view(text);
  BANTAM_ASSIGN(auto bytes, list_of(name, text, length));
  return std::string_view(bytes.data(), bytes.size());
}

/// Of version 1 of the API. Once a struct grows, its first size has to be written down here.
template <class T>
constexpr size_t kFirstSize = sizeof(T);

/// What the caller gave of a struct that begins with its size; the rest is zero. Errors: kInvalidArgument for
/// a size below the first version's, kUnsupported for what a newer one has that is not zero.
template <class T>
Result<T> options_of(std::string_view name, const T* given) {
  T out{};
  out.size = sizeof(T);
  if (given == nullptr) return out;
  const size_t size = given->size;
  constexpr size_t kMost = 1 << 16;
  if (size < kFirstSize<T> || size > kMost) {
    return fail(Code::kInvalidArgument, "{}: size: found {}, expected sizeof({}) ({})", name, size, name,
                sizeof(T));
  }
  const auto* bytes = reinterpret_cast<const unsigned char*>(given);
  for (size_t i = sizeof(T); i < size; ++i) {
    if (bytes[i] != 0)
      return fail(Code::kUnsupported, "{}: found an option that this library does not know", name);
  }
  std::memcpy(&out, given, std::min(size, sizeof(T)));
  out.size = sizeof(T);
  return out;
}

/// Whether a struct that is to be filled in, if there is one, tells its size. Errors: kInvalidArgument.
template <class T>
Status check_size(std::string_view name, const T* to) {
  if (to == nullptr || to->size >= sizeof(uint32_t)) return {};
  return fail(Code::kInvalidArgument, "{}: size: found {}, expected sizeof({}) ({})", name, to->size, name,
              sizeof(T));
}

/// Fills in as much of the caller's struct as it has. Errors: those of check_size.
template <class T>
Status give(std::string_view name, T value, T* to) {
  BANTAM_TRY(check_size(name, to));
  const size_t size = to->size;
  value.size = static_cast<uint32_t>(size);
  std::memcpy(to, &value, std::min(size, sizeof(T)));
  return {};
}

}  // namespace bantam::capi
