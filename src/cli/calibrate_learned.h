#pragma once
// `bantam calibrate --learned`: one confidence out of all that can be measured of an answer.

#include <string>

#include "cli/app.h"
#include "cli/output.h"
#include "compress/learn.h"
#include "formats/gguf.h"
#include "runtime/engine.h"

namespace bantam::cli {

struct LearnedOptions {
  std::string suffix;            // put behind each text
  uint32_t max_tokens = 0;       // of an answer; 0: up to the context's end
  model::LearnedConfidence how;  // how the signals are measured
};

struct LearnedJob {
  std::string model, data, input, label, out;  // `out` empty: the model itself is replaced
  runtime::EngineOptions engine;
  compress::LearnOptions learn;
  LearnedOptions options;
};

/// Answers every example, learns from what was measured, writes the model with it, and prints what it is
/// worth. An exit code.
int calibrate_learned(const LearnedJob& job, const Common& common);

/// The model at `from` with other metadata, written to `to` (empty: in its place).
Status rewrite_model(const std::string& from, const std::string& to,
                     const std::function<Status(formats::GgufFile&, formats::GgufWriter&)>& change);

// Shared with the other forms of the verb.
Json certificate_json(const model::Certificate& certificate);
std::string certificate_text(const model::Certificate& certificate);

}  // namespace bantam::cli
