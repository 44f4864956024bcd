#include "train/job_log.h"

#include <cerrno>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "train/trainer.h"

namespace bantam::train {

using nlohmann::json;

Status JobLog::cut(uint64_t next_step) {
  std::string kept;
  if (std::filesystem::exists(path_)) {
    BANTAM_ASSIGN(const std::string text, read_file(path_));
    for (size_t at = 0; at < text.size();) {
      const size_t end = text.find('\n', at);
      if (end == std::string::npos) break;  // half a line of a killed run
      const std::string line = text.substr(at, end - at + 1);
      const json entry = json::parse(line, nullptr, false);
      if (entry.is_object() && entry.value("step", next_step) < next_step) kept += line;
      at = end + 1;
    }
  }
  BANTAM_TRY(write_file(path_, kept));
  out_.open(path_, std::ios::app);
  return {};
}

Status JobLog::add(const json& entry) {
  out_ << entry.dump() << '\n' << std::flush;
  if (!out_) return fail_errno(path_, errno);
  return {};
}

Status JobLog::add(const StepReport& s, double seconds) {
  return add({{"step", s.step},
              {"loss", s.loss},
              {"learning_rate", s.learning_rate},
              {"gradient_norm", s.gradient_norm},
              {"tokens", s.tokens},
              {"seconds", seconds}});
}

}  // namespace bantam::train
