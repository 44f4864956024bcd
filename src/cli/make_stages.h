#pragma once
// The stages of `bantam make`: each writes one file and, after it, a record of what it was made from. A stage
// whose record fits is skipped when the job is started again; one whose record does not (another recipe,
// other data) is made anew.

#include <nlohmann/json.hpp>

#include <functional>
#include <string>

#include "base/progress.h"
#include "base/result.h"

namespace bantam::cli {

class Stages {
 public:
  /// Records lie in `folder`/state. `say` receives one line per stage.
  Stages(std::string folder, std::function<void(const std::string&)> say);

  /// Makes folder/file by `work` unless the record of an earlier run has the same fingerprint and the file's
  /// hash. `work` writes the file whole (atomically) and returns what to remember ("cpu_seconds" and such);
  /// that is also what is returned. When the fingerprint changed, left-overs of the old run (the file, its
  /// checkpoint) are removed first.
  Result<nlohmann::json> run(const std::string& name, const std::string& file, const std::string& fingerprint,
                             const std::function<Result<nlohmann::json>(const std::string& path)>& work);

  std::string path(const std::string& file) const { return folder_ + "/" + file; }

 private:
  std::string folder_;
  std::function<void(const std::string&)> say_;
};

}  // namespace bantam::cli
