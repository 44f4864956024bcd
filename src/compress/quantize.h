#pragma once
#include <string>

#include "base/progress.h"
#include "base/result.h"
#include "compress/mix.h"
#include "formats/gguf.h"
#include "runtime/engine.h"

namespace bantam::compress {

struct QuantizeReport {
  uint64_t tensors = 0, quantized = 0, kept = 0;  // kept: norms, and matrices that fell back
  uint64_t bytes_before = 0, bytes_after = 0;     // of the whole files
  double rmse = 0;                                // over the weights of all matrices
  double relative_rmse = 0;                       // that over the root mean square of the weights
  /// Matrices whose rows are not whole blocks of what was wanted, and what they became: "a.weight
  /// (F16),b.weight (Q5_0)". Never silent.
  std::string kept_names = {};
};

/// Rewrites the matrices of a GGUF as `mix` says (mix.h), with the adapters added to them first;
/// one-dimensional tensors become F32. Rounding is that of kernels::quantize_row, on `threads` threads (0:
/// one per hardware thread). Metadata is copied; general.file_type and quantization_version are set. Errors:
/// those of GgufFile::open and AdapterFile::open; kInvalidArgument for a NaN or infinite weight (tensor and
/// index named); kNoSpace.
Result<QuantizeReport> quantize_file(const std::string& in, const std::string& out, const Mix& mix,
                                     const ProgressSink& progress = {}, unsigned threads = 0,
                                     const std::vector<runtime::AdapterOption>& adapters = {});
/// Every matrix as `type`.
Result<QuantizeReport> quantize_file(const std::string& in, const std::string& out, formats::GgmlType type,
                                     const ProgressSink& progress = {});

}  // namespace bantam::compress
