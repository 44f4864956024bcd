#pragma once
// The last stage of `bantam make`: what was made, measured on the validation part, and the reports.

#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "cli/make_job.h"
#include "cli/make_recipe.h"
#include "eval/compare.h"
#include "formats/labelled.h"
#include "model/config.h"
#include "runtime/engine.h"

namespace bantam::cli {

/// The data of a job.
struct Parts {
  std::vector<std::string> labels;
  std::vector<formats::Example> train, calibration, validation;
  std::string sha256;
};

/// A model of the comparison: its file and what making it cost.
struct Made {
  std::string name, file;
  double cpu_seconds = 0;
};

struct AllMade {
  Made llm, slm;
  std::vector<Made> ablations;  // measured where the recipe wants them
};

std::string shape_text(const model::Config& shape);

/// For one thread.
Result<std::shared_ptr<const runtime::Engine>> load_made(const Made& model);

/// Measures, and writes report.txt, report.json, report.html and serve.toml. Errors: those of predict_all and
/// of writing.
Result<eval::Comparison> compare(const Recipe& recipe, const MakeOptions& options, const Parts& parts,
                                 const AllMade& made);

}  // namespace bantam::cli
