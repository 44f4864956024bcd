#pragma once
#include <utility>

#include "chat/chat_model.h"

namespace bantam::collab {

/// Passes an answer's events on, and knows whether there were any: what was passed on is not taken back.
class PassOn {
 public:
  /// Borrows the sink.
  explicit PassOn(const chat::EventSink& sink) : sink_(sink) {}
  PassOn(const PassOn&) = delete;
  PassOn& operator=(const PassOn&) = delete;

  /// Empty for an empty sink; lives as long as this.
  chat::EventSink sink() {
    if (!sink_) return {};
    return [this](chat::Event event) {
      begun_ = true;
      return sink_(std::move(event));
    };
  }
  bool begun() const { return begun_; }

 private:
  const chat::EventSink& sink_;
  bool begun_ = false;
};

}  // namespace bantam::collab
