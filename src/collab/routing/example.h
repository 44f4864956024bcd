#pragma once
// What a router sees of a request, and what it learns from: requests with the graded answers of several
// models.

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"

namespace bantam::collab::routing {

/// A request as far as routing looks at it.
struct Query {
  std::string text;         // of the conversation: the turns of user, assistant and tools, a line each
  std::string system;       // instructions
  uint32_t turns = 1;       // of the user
  uint32_t tools = 0;       // declared
  bool schema = false;      // the answer has to fit one
  uint32_t max_tokens = 0;  // of the answer; 0: not said
};

/// quality[m] in [0, 1] and cost[m] (any one currency) of model m's answer; NaN where it is not known.
struct Example {
  Query query;
  std::vector<float> quality, cost;
};

struct Dataset {
  std::vector<std::string> models;
  std::vector<Example> examples;
};

struct DataOptions {
  std::string data;                 // CSV with a column of prompts and one for each model, or JSON lines
  std::string input = "prompt";     // the column of prompts (CSV), or of the keys when `texts` is set
  std::vector<std::string> models;  // empty: every column whose values are all grades
  double scale = 1;                 // grades are divided by it; below 0 counts as 0
  std::string texts,
      key = "id",
      text = "prompt";  // JSON lines with the prompts: text of the object whose key is `input`'s value
  std::string outputs;  // JSON lines {key, "model", "output"}: lengths of answers, for costs
  std::string
      prices;  // TOML, [[models]] name, prompt, completion (per million tokens); only these models are read
};

/// Reads graded answers.
///
/// JSON lines: {"prompt": "…"} or {"messages": [{"role", "content"}]}, with "quality": {model: number or
/// boolean}, and optionally "cost": {model: number}, "tools": [...], "response_format": {...}, "max_tokens":
/// n; a line may grade any of the models, so a log of single answers is data too. CSV cells are numbers,
/// True, False, or empty for unknown. Costs come from prices and lengths (a token is counted as 4 bytes)
/// where `prices` is set. Errors: those of reading; kCorrupt naming file, line, field, found and expected;
/// kNotFound for a missing column, key or model; kInvalidArgument for fewer than two models.
Result<Dataset> load_graded(const DataOptions& options);

}  // namespace bantam::collab::routing
