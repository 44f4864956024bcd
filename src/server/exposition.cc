#include "server/exposition.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace bantam::server {
namespace {

std::string number(double value) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value > 0 ? "+Inf" : "-Inf";
  return fmt::format("{}", value);
}

/// Back-slashes and line ends are escaped everywhere, quotes within labels.
std::string escaped(std::string_view text, bool label) {
  std::string out;
  for (char c : text) {
    if (c == '\\')
      out += "\\\\";
    else if (c == '\n')
      out += "\\n";
    else if (c == '"' && label)
      out += "\\\"";
    else
      out += c;
  }
  return out;
}

constexpr std::string_view kind_name(MetricFamily::Kind kind) {
  switch (kind) {
    case MetricFamily::Kind::kCounter:
      return "counter";
    case MetricFamily::Kind::kGauge:
      return "gauge";
    case MetricFamily::Kind::kHistogram:
      return "histogram";
  }
  return "untyped";
}

}  // namespace

MetricFamily::MetricFamily(Kind kind, std::string name, std::string help, std::vector<double> bounds)
    : kind_(kind), name_(std::move(name)), help_(std::move(help)), bounds_(std::move(bounds)) {}

Metric::Metric(const std::vector<double>& bounds)
    : bounds_(bounds), buckets_(bounds.empty() ? 0 : bounds.size() + 1) {}

void Metric::observe(double value) {
  const auto bucket = static_cast<size_t>(std::ranges::lower_bound(bounds_, value) - bounds_.begin());
  buckets_[bucket].fetch_add(1, std::memory_order_relaxed);
  increment(value);
}

Metric& MetricFamily::add(const MetricLabels& labels) {
  std::lock_guard lock(mutex_);
  return metrics_.try_emplace(labels, bounds_).first->second;
}

std::string MetricFamily::line(std::string_view suffix, const MetricLabels& labels, double value,
                               const std::string& bound) const {
  std::string list;
  for (const auto& [name, text] : labels)
    list += fmt::format("{}{}=\"{}\"", list.empty() ? "" : ",", name, escaped(text, true));
  if (!bound.empty()) list += fmt::format("{}le=\"{}\"", list.empty() ? "" : ",", bound);
  if (!list.empty()) list = "{" + list + "}";
  return fmt::format("{}{}{} {}\n", name_, suffix, list, number(value));
}

void MetricFamily::print_buckets(const MetricLabels& labels, const Metric& metric, std::string& out) const {
  uint64_t count = 0;
  for (size_t i = 0; i < metric.buckets_.size(); ++i) {
    count += metric.buckets_[i];
    out +=
        line("_bucket", labels, static_cast<double>(count), i < bounds_.size() ? number(bounds_[i]) : "+Inf");
  }
  out += line("_sum", labels, metric.value_);
  out += line("_count", labels, static_cast<double>(count));
}

void MetricFamily::print(std::string& out) const {
  std::lock_guard lock(mutex_);
  if (metrics_.empty()) return;
  out += fmt::format("# HELP {} {}\n# TYPE {} {}\n", name_, escaped(help_, false), name_, kind_name(kind_));
  for (const auto& [labels, metric] : metrics_) {
    if (kind_ == Kind::kHistogram) {
      print_buckets(labels, metric, out);
    } else {
      out += line("", labels, metric.value_);
    }
  }
}

std::string Exposition::text() const {
  std::string out;
  for (const auto& family : families_) family.print(out);
  return out;
}

}  // namespace bantam::server
