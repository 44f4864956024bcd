#include "model/learned_confidence.h"

#include <algorithm>
#include <cmath>

#include "model/certificate_at.h"

namespace bantam::model {
namespace {

constexpr const char* kLearnedKeys[] = {"weights",
                                        "samples",
                                        "sample_temperature",
                                        "agreement",
                                        "agreement_bound",
                                        "self_check",
                                        "self_check_prompt",
                                        "yes",
                                        "no",
                                        "fitted",
                                        "tested",
                                        "ece_before",
                                        "ece_after"};
constexpr const char* kCertificate = "bantam.confidence.certificate";
constexpr uint64_t kMostSamples = 64;

std::string key(std::string_view name) { return fmt::format("bantam.confidence.{}", name); }

Status check_learned(const formats::GgufFile& file, const LearnedConfidence& c, uint64_t samples) {
  if (c.weights.empty() || !std::ranges::all_of(c.weights, [](double w) { return std::isfinite(w); }))
    return fail(Code::kCorrupt, "{}: {}: expected finite numbers", file.path(), key("weights"));
  if (samples > kMostSamples)
    return fail(Code::kCorrupt, "{}: {}: found {}, expected at most {}", file.path(), key("samples"), samples,
                kMostSamples);
  if (!(c.sample_temperature > 0 && c.sample_temperature <= 10))
    return fail(Code::kCorrupt, "{}: {}: found {}, expected above 0 and at most 10", file.path(),
                key("sample_temperature"), c.sample_temperature);
  if (c.agreement != "normalised" && c.agreement != "equal" && c.agreement != "words")
    return fail(Code::kCorrupt, "{}: {}: found \"{}\", expected \"normalised\", \"equal\" or \"words\"",
                file.path(), key("agreement"), c.agreement);
  const std::pair<const char*, double> shares[] = {
      {"agreement_bound", c.agreement_bound}, {"ece_before", c.ece_before}, {"ece_after", c.ece_after}};
  for (const auto& [name, share] : shares) {
    if (!(share >= 0 && share <= 1))
      return fail(Code::kCorrupt, "{}: {}: found {}, expected 0 to 1", file.path(), key(name), share);
  }
  return {};
}

}  // namespace

Result<std::optional<LearnedConfidence>> read_learned_confidence(const formats::GgufFile& file) {
  if (file.find(key("weights")) == nullptr) return std::nullopt;
  LearnedConfidence c;
  BANTAM_ASSIGN(auto weights, file.get_floats(key("weights")));
  c.weights.assign(weights.begin(), weights.end());
  BANTAM_ASSIGN(const uint64_t samples, file.get_uint(key("samples")));
  BANTAM_ASSIGN(c.sample_temperature, file.get_float(key("sample_temperature")));
  BANTAM_ASSIGN(c.agreement, file.get_string(key("agreement")));
  BANTAM_ASSIGN(c.agreement_bound, file.get_float(key("agreement_bound")));
  BANTAM_ASSIGN(c.self_check, file.get_bool(key("self_check")));
  BANTAM_ASSIGN(c.self_check_prompt, file.get_string_or(key("self_check_prompt"), ""));
  BANTAM_ASSIGN(c.yes, file.get_string_or(key("yes"), c.yes));
  BANTAM_ASSIGN(c.no, file.get_string_or(key("no"), c.no));
  BANTAM_ASSIGN(c.fitted, file.get_uint(key("fitted")));
  BANTAM_ASSIGN(c.tested, file.get_uint(key("tested")));
  BANTAM_ASSIGN(c.ece_before, file.get_float(key("ece_before")));
  BANTAM_ASSIGN(c.ece_after, file.get_float(key("ece_after")));
  BANTAM_TRY(check_learned(file, c, samples));
  c.samples = static_cast<uint32_t>(samples);
  BANTAM_ASSIGN(c.certificate, read_certificate_at(file, kCertificate));
  return c;
}

void write_learned_confidence(const std::optional<LearnedConfidence>& learned, formats::GgufWriter& file) {
  for (const char* name : kLearnedKeys) file.remove(key(name));
  write_certificate_at(learned ? learned->certificate : std::nullopt, file, kCertificate);
  if (!learned) return;
  const LearnedConfidence& c = *learned;
  std::vector<float> weights(c.weights.begin(), c.weights.end());
  file.set(key("weights"), formats::GgufArray(std::move(weights)));
  file.set(key("samples"), c.samples);
  file.set(key("sample_temperature"), c.sample_temperature);
  file.set(key("agreement"), c.agreement);
  file.set(key("agreement_bound"), c.agreement_bound);
  file.set(key("self_check"), c.self_check);
  file.set(key("self_check_prompt"), c.self_check_prompt);
  file.set(key("yes"), c.yes);
  file.set(key("no"), c.no);
  file.set(key("fitted"), c.fitted);
  file.set(key("tested"), c.tested);
  file.set(key("ece_before"), c.ece_before);
  file.set(key("ece_after"), c.ece_after);
}

}  // namespace bantam::model
