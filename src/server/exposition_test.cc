#include "server/exposition.h"

#include <gmock/gmock.h>

namespace bantam::server {
namespace {

using Kind = MetricFamily::Kind;

TEST(Exposition, CountersGaugesHistograms) {
  Exposition metrics;
  auto& calls = metrics.add(Kind::kCounter, "calls_total", "Calls.");
  metrics.add(Kind::kCounter, "unused_total", "Nothing yet.");
  auto& load = metrics.add(Kind::kGauge, "load", "Now.");
  auto& seconds = metrics.add(Kind::kHistogram, "seconds", "Time.", std::vector<double>{0.1, 1});
  calls.add({{"model", "a"}, {"kind", "x"}}).increment();
  calls.add({{"model", "a"}, {"kind", "x"}}).increment(2);
  calls.add({{"model", "b"}}).increment();
  load.add({}).set(7);
  load.add({}).set(0.25);
  for (double value : {0.05, 0.1, 0.5, 2.0}) seconds.add({{"m", "a"}}).observe(value);
  EXPECT_EQ(metrics.text(),
            "# HELP calls_total Calls.\n# TYPE calls_total counter\n"
            "calls_total{kind=\"x\",model=\"a\"} 3\n"
            "calls_total{model=\"b\"} 1\n"
            "# HELP load Now.\n# TYPE load gauge\nload 0.25\n"
            "# HELP seconds Time.\n# TYPE seconds histogram\n"
            "seconds_bucket{m=\"a\",le=\"0.1\"} 2\n"
            "seconds_bucket{m=\"a\",le=\"1\"} 3\n"
            "seconds_bucket{m=\"a\",le=\"+Inf\"} 4\n"
            "seconds_sum{m=\"a\"} 2.65\n"
            "seconds_count{m=\"a\"} 4\n");
}

TEST(Exposition, NoLabelEndsItsLine) {
  Exposition metrics;
  metrics.add(Kind::kGauge, "x", "A \\ and\na line.").add({{"l", "a\"b\\c\nd"}}).set(1);
  EXPECT_EQ(metrics.text(), "# HELP x A \\\\ and\\na line.\n# TYPE x gauge\nx{l=\"a\\\"b\\\\c\\nd\"} 1\n");
}

}  // namespace
}  // namespace bantam::server
