#pragma once
// A training job's log: one JSON object a line. No Torch in this header. Private to train/.

#include <fstream>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "base/result.h"

namespace bantam::train {

struct StepReport;

class JobLog {
 public:
  explicit JobLog(std::string path) : path_(std::move(path)) {}
  /// Opens the log and drops the lines of steps that a resumed run will do again. Before any add().
  Status cut(uint64_t next_step);
  Status add(const nlohmann::json& entry);
  Status add(const StepReport& step, double seconds);

 private:
  std::string path_;
  std::ofstream out_;
};

}  // namespace bantam::train
