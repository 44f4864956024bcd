#pragma once
#include <string>

#include "base/progress.h"
#include "base/result.h"
#include "formats/gguf.h"

namespace bantam::compress {

struct QuantizeReport {
  uint64_t tensors = 0, quantized = 0, kept = 0;  // kept: norms, and matrices whose rows are not whole blocks
  uint64_t bytes_before = 0, bytes_after = 0;     // of the whole files
  double rmse = 0;                                // over the quantized weights
  std::string kept_names = {};                    // matrices that fell back, comma-separated: never silent
};

/// Rewrites the matrices of a GGUF as `type` (F16, Q8_0, Q4_0, or F32 to widen); one-dimensional tensors stay
/// F32; a matrix whose rows are not multiples of the block falls back to F16 and is named in the report.
/// Rounding is that of the reference implementation of the format (ggml). Metadata is copied;
/// general.file_type and quantization_version are set. Errors: those of GgufFile::open; kInvalidArgument for
/// a NaN or infinite weight (tensor and index named); kNoSpace.
Result<QuantizeReport> quantize_file(const std::string& in, const std::string& out, formats::GgmlType type,
                                     const ProgressSink& progress = {});

}  // namespace bantam::compress
