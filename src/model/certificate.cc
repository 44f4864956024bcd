#include "model/certificate.h"

#include "model/certificate_at.h"

#include <cmath>
#include <numeric>

namespace bantam::model {
namespace {

constexpr std::string_view kPrefix = "bantam.certificate";
constexpr size_t kMostEdges = 4096;
constexpr const char* kCertificateKeys[] = {"error",       "confidence",  "threshold", "reference",
                                            "examples",    "kept",        "errors",    "bound",
                                            "drift_edges", "drift_counts"};

/// Keys of one certificate.
struct CertificateKeys {
  std::string_view prefix;
  std::string operator()(std::string_view name) const { return fmt::format("{}.{}", prefix, name); }
};

Status check_drift(const Certificate& c) {
  if (c.drift_edges.empty() && c.drift_counts.empty()) return {};
  if (c.drift_edges.size() > kMostEdges || c.drift_counts.size() != c.drift_edges.size() + 1) {
    return fail(Code::kCorrupt, "drift_counts: found {} for {} edges, expected one more than at most {}",
                c.drift_counts.size(), c.drift_edges.size(), kMostEdges);
  }
  for (size_t i = 0; i < c.drift_edges.size(); ++i) {
    const double edge = c.drift_edges[i];
    if (!(edge >= 0 && edge <= 1) || (i > 0 && edge <= c.drift_edges[i - 1])) {
      return fail(Code::kCorrupt, "drift_edges[{}]: found {}, expected ascending numbers in 0 to 1", i, edge);
    }
  }
  uint64_t sum = 0;
  for (uint64_t count : c.drift_counts) {
    if (count > c.examples - sum) {
      return fail(Code::kCorrupt, "drift_counts: found more than the {} examples", c.examples);
    }
    sum += count;
  }
  if (sum != c.examples) {
    return fail(Code::kCorrupt, "drift_counts: found a sum of {}, expected the {} examples", sum, c.examples);
  }
  return {};
}

}  // namespace

Status check(const Certificate& c) {
  const std::pair<const char*, double> shares[] = {
      {"error", c.error}, {"confidence", c.confidence}, {"threshold", c.threshold}, {"bound", c.bound}};
  for (const auto& [name, value] : shares) {
    if (!(value >= 0 && value <= 1))
      return fail(Code::kCorrupt, "{}: found {}, expected 0 to 1", name, value);
  }
  if (c.reference != "data" && c.reference != "llm") {
    return fail(Code::kCorrupt, "reference: found \"{}\", expected \"data\" or \"llm\"", c.reference);
  }
  if (c.kept > c.examples || c.errors > c.kept) {
    return fail(Code::kCorrupt, "kept: found {} errors of {} kept of {} examples", c.errors, c.kept,
                c.examples);
  }
  return check_drift(c);
}

Result<std::optional<Certificate>> read_certificate_at(const formats::GgufFile& file,
                                                       std::string_view prefix) {
  const CertificateKeys key{prefix};
  if (file.find(key("error")) == nullptr) return std::nullopt;
  Certificate c;
  BANTAM_ASSIGN(c.error, file.get_float(key("error")));
  BANTAM_ASSIGN(c.confidence, file.get_float(key("confidence")));
  BANTAM_ASSIGN(c.threshold, file.get_float(key("threshold")));
  BANTAM_ASSIGN(c.reference, file.get_string(key("reference")));
  BANTAM_ASSIGN(c.examples, file.get_uint(key("examples")));
  BANTAM_ASSIGN(c.kept, file.get_uint(key("kept")));
  BANTAM_ASSIGN(c.errors, file.get_uint(key("errors")));
  BANTAM_ASSIGN(c.bound, file.get_float(key("bound")));
  if (file.find(key("drift_counts")) != nullptr) {
    BANTAM_ASSIGN(auto edges, file.get_floats(key("drift_edges")));
    BANTAM_ASSIGN(auto counts, file.get_ints(key("drift_counts")));
    c.drift_edges.assign(edges.begin(), edges.end());
    for (int64_t count : counts) {
      if (count < 0) return fail(Code::kCorrupt, "{}: {}: found {}", file.path(), key("drift_counts"), count);
      c.drift_counts.push_back(static_cast<uint64_t>(count));
    }
  }
  if (auto sound = check(c); !sound) {
    return std::unexpected(std::move(sound).error().in(fmt::format("{}: {}", file.path(), prefix)));
  }
  return c;
}

void write_certificate_at(const std::optional<Certificate>& certificate, formats::GgufWriter& file,
                          std::string_view prefix) {
  const CertificateKeys key{prefix};
  for (const char* name : kCertificateKeys) file.remove(key(name));
  if (!certificate) return;
  const Certificate& c = *certificate;
  file.set(key("error"), c.error);
  file.set(key("confidence"), c.confidence);
  file.set(key("threshold"), c.threshold);
  file.set(key("reference"), c.reference);
  file.set(key("examples"), c.examples);
  file.set(key("kept"), c.kept);
  file.set(key("errors"), c.errors);
  file.set(key("bound"), c.bound);
  if (c.drift_counts.empty()) return;
  std::vector<float> edges(c.drift_edges.begin(), c.drift_edges.end());
  std::vector<int64_t> counts(c.drift_counts.begin(), c.drift_counts.end());
  file.set(key("drift_edges"), formats::GgufArray(std::move(edges)));
  file.set(key("drift_counts"), formats::GgufArray(std::move(counts)));
}

Result<std::optional<Certificate>> read_certificate(const formats::GgufFile& file) {
  return read_certificate_at(file, kPrefix);
}

void write_certificate(const std::optional<Certificate>& certificate, formats::GgufWriter& file) {
  write_certificate_at(certificate, file, kPrefix);
}

}  // namespace bantam::model
