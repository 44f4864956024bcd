#include "model/task.h"

#include <cmath>
#include <set>

namespace bantam::model {
namespace {

using formats::GgufFile;

Status check_texts(const GgufFile& file, std::string_view key, const std::vector<std::string>& texts) {
  if (texts.empty())
    return fail(Code::kCorrupt, "{}: {}: found none, expected at least one", file.path(), key);
  std::set<std::string_view> seen;
  for (const auto& text : texts) {
    if (text.empty()) return fail(Code::kCorrupt, "{}: {}: found an empty text", file.path(), key);
    if (!seen.insert(text).second)
      return fail(Code::kCorrupt, "{}: {}: found \"{}\" twice", file.path(), key, text);
  }
  return {};
}

Result<Calibration> read_calibration(const GgufFile& file) {
  Calibration out;
  BANTAM_ASSIGN(out.temperature, file.get_float_or("bantam.calibration.temperature", out.temperature));
  BANTAM_ASSIGN(out.threshold, file.get_float_or("bantam.calibration.threshold", out.threshold));
  BANTAM_ASSIGN(out.target, file.get_float_or("bantam.calibration.target", out.target));
  BANTAM_ASSIGN(out.examples, file.get_uint_or("bantam.calibration.examples", out.examples));
  BANTAM_ASSIGN(out.ece_before, file.get_float_or("bantam.calibration.ece_before", out.ece_before));
  BANTAM_ASSIGN(out.ece_after, file.get_float_or("bantam.calibration.ece_after", out.ece_after));
  if (!(out.temperature > 0 && std::isfinite(out.temperature))) {
    return fail(Code::kCorrupt, "{}: bantam.calibration.temperature: found {}, expected a positive number",
                file.path(), out.temperature);
  }
  const std::pair<const char*, double> shares[] = {{"threshold", out.threshold},
                                                   {"target", out.target},
                                                   {"ece_before", out.ece_before},
                                                   {"ece_after", out.ece_after}};
  for (const auto& [name, share] : shares) {
    if (!(share >= 0 && share <= 1)) {
      return fail(Code::kCorrupt, "{}: bantam.calibration.{}: found {}, expected 0 to 1", file.path(), name,
                  share);
    }
  }
  return out;
}

}  // namespace

Result<std::optional<Task>> read_task(const GgufFile& file) {
  if (file.find("bantam.task.kind") == nullptr) return std::nullopt;
  Task task;
  BANTAM_ASSIGN(task.kind, file.get_string("bantam.task.kind"));
  if (task.kind != "classify") {
    return fail(Code::kUnsupported, "{}: bantam.task.kind: found \"{}\", expected \"classify\"", file.path(),
                task.kind);
  }
  BANTAM_ASSIGN(task.name, file.get_string_or("bantam.task.name", ""));
  BANTAM_ASSIGN(task.labels, file.get_strings("bantam.task.labels"));
  BANTAM_TRY(check_texts(file, "bantam.task.labels", task.labels));
  BANTAM_ASSIGN(task.choices, file.get_strings("bantam.task.choices"));
  BANTAM_TRY(check_texts(file, "bantam.task.choices", task.choices));
  if (task.labels.size() != task.choices.size()) {
    return fail(Code::kCorrupt, "{}: bantam.task.choices: found {}, expected one for each of {} labels",
                file.path(), task.choices.size(), task.labels.size());
  }
  BANTAM_ASSIGN(task.prompt, file.get_string("bantam.task.prompt"));
  if (task.prompt.find(kInputPlace) == std::string::npos) {
    return fail(Code::kCorrupt, "{}: bantam.task.prompt: found \"{}\", expected {} in it", file.path(),
                task.prompt, kInputPlace);
  }
  BANTAM_ASSIGN(task.calibration, read_calibration(file));
  BANTAM_ASSIGN(task.certificate, read_certificate(file));
  BANTAM_ASSIGN(task.provenance, file.get_string_or("bantam.provenance", ""));
  return task;
}

void write_task(const Task& task, formats::GgufWriter& file) {
  file.set("bantam.task.name", task.name);
  file.set("bantam.task.kind", task.kind);
  file.set("bantam.task.labels", formats::GgufArray(task.labels));
  file.set("bantam.task.choices", formats::GgufArray(task.choices));
  file.set("bantam.task.prompt", task.prompt);
  file.set("bantam.calibration.temperature", task.calibration.temperature);
  file.set("bantam.calibration.threshold", task.calibration.threshold);
  file.set("bantam.calibration.target", task.calibration.target);
  file.set("bantam.calibration.examples", task.calibration.examples);
  file.set("bantam.calibration.ece_before", task.calibration.ece_before);
  file.set("bantam.calibration.ece_after", task.calibration.ece_after);
  write_certificate(task.certificate, file);
  file.set("bantam.provenance", task.provenance);
}

}  // namespace bantam::model
