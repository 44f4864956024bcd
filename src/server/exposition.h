#pragma once
// Counters, gauges and histograms as text: Prometheus's exposition format, version 0.0.4
// (https://prometheus.io/docs/instrumenting/exposition_formats/).

#include <atomic>
#include <cstdint>
#include <deque>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

namespace bantam::server {

/// Names with their values, in the order they are printed in.
using MetricLabels = std::map<std::string, std::string>;

/// One value. Safe to use from many threads.
class Metric {
 public:
  /// `bounds` outlive it; empty but of a histogram.
  explicit Metric(const std::vector<double>& bounds);
  /// Of a counter (`by` is not negative).
  void increment(double by = 1) { value_.fetch_add(by, std::memory_order_relaxed); }
  void set(double value) { value_.store(value, std::memory_order_relaxed); }
  /// Of a histogram.
  void observe(double value);

 private:
  friend class MetricFamily;
  const std::vector<double>& bounds_;
  std::atomic<double> value_ = 0;               // of a histogram: the sum of what was observed
  std::vector<std::atomic<uint64_t>> buckets_;  // not cumulative; the last one is without bound
};

/// All values of one name, one for each set of labels. Safe to use from many threads.
class MetricFamily {
 public:
  enum class Kind { kCounter, kGauge, kHistogram };
  /// `bounds`: of a histogram, the largest value of each bucket, ascending; one without bound is added.
  MetricFamily(Kind kind, std::string name, std::string help, std::vector<double> bounds = {});

  /// The value of these labels, made where there is none; stays where it is.
  Metric& add(const MetricLabels& labels);
  void print(std::string& out) const;

 private:
  std::string line(std::string_view suffix, const MetricLabels& labels, double value,
                   const std::string& bound = {}) const;
  void print_buckets(const MetricLabels& labels, const Metric& metric, std::string& out) const;

  Kind kind_;
  std::string name_, help_;
  std::vector<double> bounds_;
  mutable std::mutex mutex_;
  std::map<MetricLabels, Metric> metrics_;
};

/// Families stay where they are as long as the object lives.
class Exposition {
 public:
  template <class... Args>
  MetricFamily& add(Args&&... args) {
    return families_.emplace_back(std::forward<Args>(args)...);
  }
  std::string text() const;

 private:
  std::deque<MetricFamily> families_;
};

}  // namespace bantam::server
