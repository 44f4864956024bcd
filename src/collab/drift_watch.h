#pragma once
// Whether a team's live confidences still look as those that its threshold's certificate was tested on.

#include <memory>
#include <mutex>
#include <string>

#include "chat/chat_model.h"
#include "compress/drift.h"

namespace bantam::collab {

enum class OnDrift {
  kWarn,    // answers say so (Reply::notes)
  kSendUp,  // and no answer of the SLM stands any more
};

struct DriftRule {
  std::shared_ptr<const model::Certificate> certificate;  // null: nothing is watched
  OnDrift then = OnDrift::kWarn;
  double false_alarm = 0.01;  // probability of an alarm without drift, however long it runs
};

/// Safe to use from many threads. It begins anew with each process.
class DriftWatch {
 public:
  /// Errors: those of compress::DriftMonitor::create.
  static Result<std::unique_ptr<DriftWatch>> create(const DriftRule& rule);
  void observe(double confidence);
  chat::CertificateState state() const;
  /// For people; says that the certificate no longer holds.
  std::string message() const;

 private:
  explicit DriftWatch(compress::DriftMonitor monitor) : monitor_(std::move(monitor)) {}
  mutable std::mutex mutex_;
  compress::DriftMonitor monitor_;
};

}  // namespace bantam::collab
