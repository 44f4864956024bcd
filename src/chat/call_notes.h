#pragma once
// What was noted of the model calls made for one request, for ledger and budgets: also of calls whose answer
// was lost on the way, of which a Reply says nothing.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "chat/chat_model.h"

namespace bantam::chat {

struct CallNote {
  std::string model;
  bool remote = false;
  uint64_t sent = 1;    // requests that left for it, its retries among them
  std::string outcome;  // "answered", "denied", "refused", "cancelled", "failed: …"
  Usage usage;
  double cost = 0;
  bool estimated = false;  // usage and cost are the most it can have been
  double seconds = 0;
  uint64_t redactions = 0;
  std::string reservation;  // to be settled at the request's end; empty: none
};

/// For the I/O thread of the request alone.
struct CallNotes {
  std::vector<CallNote> calls;
  /// Requests that a remote model sent for the call these notes were given to; none where it does not count
  /// them.
  std::optional<uint64_t> sent = {};
};

}  // namespace bantam::chat
