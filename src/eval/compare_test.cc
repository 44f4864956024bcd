#include "eval/compare.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <regex>

#include "base/utf8.h"
#include "eval/report_format.h"
#include "eval/summary.h"
#include "eval/svg.h"

namespace bantam::eval {
namespace {

using testing::HasSubstr;
using testing::Not;

Prediction answer(int32_t label, double confidence, double cpu) {
  return {.label = label, .confidence = confidence, .latency = cpu, .cpu = cpu, .prompt_tokens = 10};
}

/// Ten requests of label 0. The LLM is right on the first nine; the SLM on the first eight, less sure of the
/// last three.
Comparison small() {
  Comparison comparison;
  comparison.task = "tickets";
  comparison.data = "data.csv";
  comparison.n = 10;
  comparison.labels = {"pay", "card & <b>bold</b>"};
  comparison.gold.assign(10, 0);
  comparison.candidates.resize(2);
  auto& llm = comparison.candidates[0];
  auto& slm = comparison.candidates[1];
  llm = {"teacher", "large", 1000000, 4000000, 5000000, 3600, {}};
  slm = {"student", "small", 50000, 100000, 200000, 360, {}};
  for (int i = 0; i < 10; ++i) {
    llm.predictions.push_back(answer(i < 9 ? 0 : 1, 0.9, 0.1));
    slm.predictions.push_back(answer(i < 8 ? 0 : 1, i < 7 ? 0.95 : 0.4, 0.001));
  }
  comparison.llm = 0;
  comparison.slm = 1;
  comparison.threshold = 0.75;
  comparison.target = 0.99;
  comparison.cost = {.cpu_hour_price = 3.6, .currency = "EUR"};
  return comparison;
}

TEST(ReportFormat, Numbers) {
  EXPECT_EQ(grouped(1234567), "1,234,567");
  EXPECT_EQ(grouped(12), "12");
  EXPECT_EQ(significant(0.04341), "0.0434");
  EXPECT_EQ(significant(9.996), "10.0");
  EXPECT_EQ(significant(1234.5), "1234");
  EXPECT_EQ(significant(0), "0");
  EXPECT_EQ(count_text(7412992), "7.41 M");
  EXPECT_EQ(count_text(9999), "9,999");
  EXPECT_EQ(count_text(999600), "1.00 M");
  EXPECT_EQ(bytes_text(884000), "884 kB");
  EXPECT_EQ(bytes_text(29.7e6), "29.7 MB");
  EXPECT_EQ(seconds_text(0.000829), "829 us");
  EXPECT_EQ(seconds_text(0.0279), "27.9 ms");
  EXPECT_EQ(seconds_text(2480), "41.3 min");
  EXPECT_EQ(percent_text(0.88321, 2), "88.32 %");
  EXPECT_EQ(ratio_text(1, 28), "1/28");
  EXPECT_EQ(ratio_text(2.14, 1), "2.1x");
  EXPECT_EQ(ratio_text(1.001, 1), "same");
  EXPECT_EQ(ratio_text(0, 1), "");
}

TEST(Team, CountsAccuracyCallsAndCost) {
  const TeamRow row = team_at(small(), 0.75);
  // Seven kept and right; of three passed on the LLM has two right.
  EXPECT_DOUBLE_EQ(row.accuracy, 0.9);
  EXPECT_DOUBLE_EQ(row.llm_share, 0.3);
  EXPECT_DOUBLE_EQ(row.ratio_to_llm, 1.0);
  // (10 * 0.001 + 3 * 0.1) / 10 CPU seconds a request; 3.6 EUR an hour is 0.001 EUR a second.
  EXPECT_NEAR(row.cost_per_1000, 0.031, 1e-12);
  EXPECT_DOUBLE_EQ(team_at(small(), 0).accuracy, 0.8);
  EXPECT_DOUBLE_EQ(team_at(small(), 1).llm_share, 1);
}

TEST(Team, TableIsAscendingAndMarksTheCalibratedRow) {
  const auto rows = team_table(small());
  size_t marked = 0;
  for (size_t i = 0; i < rows.size(); ++i) {
    if (i > 0) {
      EXPECT_GT(rows[i].threshold, rows[i - 1].threshold);
    }
    marked += rows[i].calibrated;
    EXPECT_EQ(rows[i].calibrated, rows[i].threshold == 0.75);
  }
  EXPECT_EQ(marked, 1u);
  auto uncalibrated = small();
  uncalibrated.target = 0;
  for (const auto& row : team_table(uncalibrated)) EXPECT_FALSE(row.calibrated);
}

TEST(Team, CurveRunsFromTheSlmToTheLlm) {
  const auto curve = team_curve(small());
  ASSERT_GE(curve.size(), 2u);
  EXPECT_EQ(curve.front().llm_share, 0);
  EXPECT_EQ(curve.back().llm_share, 1);
  EXPECT_LE(team_curve(small(), 2).size(), 2u);
}

TEST(Summary, PairsWithTheLlm) {
  const auto summaries = summarize(small());
  EXPECT_EQ(summaries[1].right, 8u);
  EXPECT_NEAR(summaries[1].to_llm.ratio, 8.0 / 9.0, 1e-12);
  EXPECT_EQ(summaries[1].to_llm.only_b, 1u);
  EXPECT_NEAR(summaries[0].cost_per_1000, 0.1, 1e-12);
  EXPECT_NEAR(summaries[0].training_cost, 3.6, 1e-12);
  EXPECT_NEAR(summaries[1].tokens_per_second, 10000, 1e-6);
}

TEST(Summary, ConfusionsSayWhatTheTeamCatches) {
  const auto list = confusions(small(), 10);
  ASSERT_EQ(list.size(), 1u);
  EXPECT_EQ(list[0].gold, 0);
  EXPECT_EQ(list[0].predicted, 1);
  EXPECT_EQ(list[0].count, 2u);
  EXPECT_EQ(list[0].llm_right, 1u);
  EXPECT_EQ(list[0].passed_on, 2u);
}

TEST(Report, TextHasEveryRow) {
  const auto text = to_text(small());
  for (const char* row :
       {"Parameters", "File", "Memory", "Latency p50", "Latency p99", "Tokens/s", "CPU per request",
        "Accuracy", "95 % interval", "8 of 10", "Of the LLM's accuracy", "Training CPU", "Training cost, EUR",
        "Cost per 1,000, EUR", "1/40", "88.89 %", "calibrated", "0.7500"}) {
    EXPECT_THAT(text, HasSubstr(row));
  }
  for (size_t at = 0, end = 0; at < text.size(); at = end + 1) {
    end = text.find('\n', at);
    EXPECT_LE(utf8_length(text.substr(at, end - at)), 120u);
  }
}

TEST(Report, JsonParsesAndAgrees) {
  auto comparison = small();
  comparison.data = "broken \xff utf-8";  // never stops a report
  const auto json = nlohmann::json::parse(to_json(comparison));
  EXPECT_EQ(json["n"], 10);
  EXPECT_EQ(json["candidates"][1]["accuracy"]["right"], 8);
  EXPECT_NEAR(json["candidates"][1]["to_llm"]["file_bytes"].get<double>(), 0.025, 1e-12);
  EXPECT_EQ(json["calibration"]["threshold"], 0.75);
  EXPECT_EQ(json["team"].size(), team_table(comparison).size());
  EXPECT_EQ(json["confusions"][0]["predicted"], "card & <b>bold</b>");
}

/// Every opened element is closed, in order.
void expect_balanced(const std::string& html) {
  static const std::regex tag("<(/?)([a-zA-Z0-9]+)((?:[^>\"]|\"[^\"]*\")*?)(/?)>");
  std::vector<std::string> open;
  for (auto it = std::sregex_iterator(html.begin(), html.end(), tag); it != std::sregex_iterator(); ++it) {
    const std::string name = (*it)[2];
    if ((*it)[4].length() > 0 || name == "meta" || name == "wbr") continue;
    if ((*it)[1].length() == 0) {
      open.push_back(name);
    } else {
      ASSERT_FALSE(open.empty()) << name;
      EXPECT_EQ(open.back(), name);
      open.pop_back();
    }
  }
  EXPECT_TRUE(open.empty());
}

TEST(Report, HtmlIsSelfContainedAndEscaped) {
  auto comparison = small();
  comparison.task = "<script>alert('x')</script>";
  comparison.candidates[1].name = "a\"b<i>";
  const auto html = to_html(comparison);
  EXPECT_THAT(html, Not(HasSubstr("<script")));
  EXPECT_THAT(html, Not(HasSubstr("<b>bold")));
  EXPECT_THAT(html, Not(HasSubstr("<i>")));
  EXPECT_THAT(html, HasSubstr("card &amp; &lt;b&gt;bold"));
  for (const char* outside : {"http:", "https:", "src=", "href=", "url(", "@import"})
    EXPECT_THAT(html, Not(HasSubstr(outside)));
  EXPECT_THAT(html, Not(HasSubstr("nan")));
  EXPECT_THAT(html, Not(HasSubstr("inf\"")));
  expect_balanced(html);
}

TEST(Report, DegenerateComparisonsStillPrint) {
  auto comparison = small();
  comparison.n = 0;
  comparison.gold.clear();
  for (auto& candidate : comparison.candidates) candidate.predictions.clear();
  comparison.target = 0;
  expect_balanced(to_html(comparison));
  EXPECT_THAT(to_text(comparison), HasSubstr("0 of 0"));
  EXPECT_TRUE(nlohmann::json::parse(to_json(comparison))["calibration"].is_null());
}

TEST(Svg, AxesHaveRoundTicks) {
  const auto percent = [](double v) { return std::to_string(v); };
  EXPECT_EQ(svg::linear_axis(0, 1, "", percent).ticks,
            (std::vector<double>{0, 0.2, 0.4, 0.6000000000000001, 0.8, 1.0}));
  EXPECT_EQ(svg::log_axis(400, 30000, "", percent).ticks,
            (std::vector<double>{500, 1000, 2000, 5000, 10000, 20000}));
  EXPECT_EQ(svg::log_axis(1, 1e5, "", percent).ticks.size(), 6u);
  EXPECT_FALSE(svg::linear_axis(3, 3, "", percent).ticks.empty());
}

}  // namespace
}  // namespace bantam::eval
