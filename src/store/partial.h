#pragma once
// What a pull has on disk of a file: bytes, their hash, and what is known of the whole. Internal to store.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/hash.h"
#include "base/result.h"

namespace bantam::store {

/// What the server said of the file whose beginning is there; it must be the same when the pull goes on.
struct PartialState {
  std::string url;        // that was asked for, before redirects; without its query
  std::string query;      // that it had, as a hash: signatures are not kept
  std::string validator;  // a strong ETag, else Last-Modified; empty: none was given
  std::string sha256;     // that the whole must have; empty: not known
  std::string hash_from;  // who said so
  uint64_t bytes = 0;     // of the whole; 0: not known
  uint64_t synced = 0;    // of what is there, certainly on the disk
  std::string boot;       // of the run of the system that wrote; in another one only what is synced counts
};

/// The file .FILE.partial, open, locked against other pulls and removals. For one thread.
class Partial {
 public:
  /// Opens what an earlier pull left, or nothing, and hashes what is there. Errors: kBusy where another
  /// process fetches it, kInvalidArgument for a file of that name that no pull made, kIo, kNoSpace.
  static Result<std::unique_ptr<Partial>> open(const std::string& file);
  ~Partial();
  Partial(const Partial&) = delete;
  Partial& operator=(const Partial&) = delete;

  uint64_t size() const { return size_; }
  const PartialState& state() const { return state_; }
  /// Remembers it, on disk too. Errors: kIo, kNoSpace.
  Status set_state(PartialState state);
  Status append(std::string_view bytes);
  /// Back to nothing.
  Status restart();
  /// Of what is there.
  std::string sha256() const;
  /// Makes it FILE, durably, and removes the state; `source` is kept beside. Wherever the process ends in
  /// between, no note of one file stands beside another.
  Status finish(const std::string& source);
  /// Removes it: it is of no use to a later pull.
  void discard();

 private:
  explicit Partial(std::string file) : file_(std::move(file)) {}
  Status open_locked();
  Status rehash();
  Status sync();

  std::string file_;
  int fd_ = -1;
  uint64_t size_ = 0, hashed_ = 0;
  std::unique_ptr<Sha256> hash_;
  PartialState state_;
};

/// Bytes that may still be written beside `path`; nullopt where the system does not say.
std::optional<uint64_t> free_bytes(const std::string& path);

}  // namespace bantam::store
