#include "collab/drift_watch.h"

#include <utility>

namespace bantam::collab {

Result<std::unique_ptr<DriftWatch>> DriftWatch::create(const DriftRule& rule) {
  BANTAM_ASSIGN(auto monitor,
                compress::DriftMonitor::create(*rule.certificate, {.false_alarm = rule.false_alarm}));
  return std::unique_ptr<DriftWatch>(new DriftWatch(std::move(monitor)));
}

void DriftWatch::observe(double confidence) {
  std::lock_guard lock(mutex_);
  monitor_.observe(confidence);
}

chat::CertificateState DriftWatch::state() const {
  std::lock_guard lock(mutex_);
  return {!monitor_.alarmed(), monitor_.evidence(), monitor_.observed()};
}

std::string DriftWatch::message() const {
  const chat::CertificateState now = state();
  return fmt::format(
      "certificate: no longer holds: the confidences of {} answers are not distributed as those it was "
      "tested on (evidence {:.3g} to 1)",
      now.observed, now.evidence);
}

}  // namespace bantam::collab
