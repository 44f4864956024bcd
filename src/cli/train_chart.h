#pragma once
#include <string>

#include "base/result.h"

namespace bantam::cli {

/// Draws a training log (pretrain.h) as SVG: the loss of each step, smoothed, and below it the held-back bits
/// per byte of each part. Errors: those of the files; kCorrupt for a log without steps.
Status draw_losses(const std::string& log, const std::string& svg);

}  // namespace bantam::cli
