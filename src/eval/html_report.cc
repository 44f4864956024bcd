// to_html of eval/compare.h: one page, no scripts, nothing loaded from elsewhere; every text that comes from
// data is escaped.

#include <fmt/format.h>

#include <algorithm>

#include "eval/compare.h"
#include "eval/html_charts.h"
#include "eval/html_style.h"
#include "eval/report_format.h"
#include "eval/report_rows.h"
#include "eval/summary.h"
#include "eval/svg.h"

namespace bantam::eval {
namespace {

using svg::escape;

/// How many times smaller or larger, whichever it is.
std::string times(double value, double reference) {
  if (!(value > 0) || !(reference > 0)) return "-";
  const double factor = std::max(reference / value, value / reference);
  return factor < 9.95 ? fmt::format("{:.1f}\u00d7", factor) : fmt::format("{:.0f}\u00d7", factor);
}

/// Keeps a figure and its per cent sign on one line.
std::string keep_together(std::string text) {
  for (size_t at = text.find(" %"); at != std::string::npos; at = text.find(" %", at))
    text.replace(at, 1, "\u00a0");
  return text;
}

std::string card(const std::string& figure, const std::string& what, const std::string& note) {
  return fmt::format("<div class=\"card\"><b>{}</b><span>{}</span><small>{}</small></div>\n", escape(figure),
                     escape(what), escape(keep_together(note)));
}

std::string cards(const Comparison& comparison, std::span<const Summary> summaries) {
  const auto& slm = comparison.candidates[comparison.slm];
  const auto& llm = comparison.candidates[comparison.llm];
  const Summary& s = summaries[comparison.slm];
  const Summary& l = summaries[comparison.llm];
  std::string out = "<div class=\"cards\">\n";
  out += card(percent_text(s.to_llm.ratio), "of the LLM's accuracy",
              fmt::format("{} against {}; paired 95 % interval {}", percent_text(s.accuracy),
                          percent_text(l.accuracy), interval_text(s.to_llm.interval)));
  out += card(times(static_cast<double>(slm.file_bytes), static_cast<double>(llm.file_bytes)),
              slm.file_bytes <= llm.file_bytes ? "smaller file" : "larger file",
              fmt::format("{} against {}", bytes_text(static_cast<double>(slm.file_bytes)),
                          bytes_text(static_cast<double>(llm.file_bytes))));
  out += card(times(s.cpu, l.cpu), s.cpu <= l.cpu ? "less CPU time per request" : "more CPU time per request",
              fmt::format("{} against {}", seconds_text(s.cpu), seconds_text(l.cpu)));
  if (comparison.calibrated()) {
    const TeamRow team = team_at(comparison, comparison.threshold);
    out += card(percent_text(team.llm_share), "of requests need the LLM",
                fmt::format("the team then has {} of the LLM's accuracy; {}",
                            percent_text(team.ratio_to_llm), comparison.promise()));
  }
  return out + "</div>\n";
}

std::string models_table(const Comparison& comparison, std::span<const Summary> summaries) {
  const auto css = [&](size_t i) { return i == comparison.slm ? " class=\"slm\"" : ""; };
  std::string out = "<div class=\"scroll\"><table>\n<thead><tr><th></th>";
  for (size_t i = 0; i < comparison.candidates.size(); ++i) {
    const auto& candidate = comparison.candidates[i];
    out += fmt::format("<th{}><b>{}</b><small>{}</small></th>", css(i), escape(candidate.name),
                       escape(candidate.detail));
  }
  out += "</tr></thead>\n<tbody>\n";
  const auto rows = report_rows(comparison, summaries);
  for (size_t r = 0; r < rows.size(); ++r) {
    const bool leads = r + 1 < rows.size() && rows[r + 1].detail;
    out += fmt::format("<tr class=\"{}{}\"><td>{}</td>", rows[r].detail ? "detail" : "",
                       leads ? " leads" : "", escape(rows[r].name));
    for (size_t i = 0; i < rows[r].cells.size(); ++i) {
      const auto& cell = rows[r].cells[i];
      out += fmt::format("<td{}>{}", css(i), escape(cell.value));
      if (!cell.ratio.empty()) out += fmt::format("<small>{}</small>", escape(cell.ratio));
      out += "</td>";
    }
    out += "</tr>\n";
  }
  return out + "</tbody></table></div>\n";
}

std::string team_rows(const Comparison& comparison) {
  std::string out =
      "<div class=\"scroll\"><table>\n<thead><tr><th>Threshold</th><th>LLM calls</th><th>Accuracy</th><th>95 "
      "% interval</th>"
      "<th>Of the LLM\u2019s</th><th>Cost per 1,000</th></tr></thead>\n<tbody>\n";
  for (const auto& row : team_table(comparison)) {
    out += fmt::format(
        "<tr{}><td>{:.4f}{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>\n",
        row.calibrated ? " class=\"calibrated\"" : "", row.threshold,
        row.calibrated ? " <span class=\"tag\">calibrated</span>" : "", percent_text(row.llm_share),
        percent_text(row.accuracy, 2), interval_text(row.interval), percent_text(row.ratio_to_llm, 2),
        escape(money_text(row.cost_per_1000, comparison.cost.currency)));
  }
  return out + "</tbody></table></div>\n";
}

/// A label as cell text: escaped, and free to break after each underscore, hyphen and dot.
std::string breakable(const std::string& label) {
  std::string out;
  for (char c : escape(label)) {
    out += c;
    if (c == '_' || c == '-' || c == '.') out += "<wbr>";
  }
  return out;
}

std::string confusion_rows(const Comparison& comparison) {
  constexpr size_t kMost = 12;
  const auto list = confusions(comparison, kMost);
  if (list.empty()) return "<p>The SLM made no mistake.</p>\n";
  std::string out =
      "<div class=\"scroll\"><table>\n<thead><tr><th>Right label</th><th class=\"text\">The SLM "
      "said</th><th>Times</th><th>LLM right</th>";
  if (comparison.calibrated()) out += "<th>Passed on</th>";
  out += "</tr></thead>\n<tbody>\n";
  for (const auto& confusion : list) {
    out += fmt::format("<tr><td class=\"wrap\">{}</td><td class=\"wrap\">{}</td><td>{}</td><td>{}</td>",
                       breakable(label_name(comparison, confusion.gold)),
                       breakable(label_name(comparison, confusion.predicted)), confusion.count,
                       confusion.llm_right);
    if (comparison.calibrated()) out += fmt::format("<td>{}</td>", confusion.passed_on);
    out += "</tr>\n";
  }
  return out + "</tbody></table></div>\n";
}

std::string section(const std::string& title, const std::string& text, const std::string& content) {
  return fmt::format("<section>\n<h2>{}</h2>\n<p>{}</p>\n{}</section>\n", title, text, content);
}

}  // namespace

std::string to_html(const Comparison& comparison) {
  const auto summaries = summarize(comparison);
  const auto& slm = comparison.candidates[comparison.slm];
  const auto& llm = comparison.candidates[comparison.llm];
  const std::string title =
      fmt::format("{}: {} beside {}", escape(comparison.task), escape(slm.name), escape(llm.name));
  std::string out = fmt::format(
      "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
      "<meta name=\"viewport\" content=\"width=device-width, "
      "initial-scale=1\">\n<title>{}</title>\n<style>{}</style>\n</head>\n<body>\n"
      "<main>\n<header>\n<h1>{}</h1>\n<p>{} labelled examples of {}, {} labels. SLM: {}. LLM: "
      "{}.</p>\n</header>\n",
      title, kReportStyle, title, grouped(comparison.n), escape(comparison.data), comparison.labels.size(),
      escape(slm.name), escape(llm.name));
  out += cards(comparison, summaries);
  out += section("Models side by side",
                 "Small figures are ratios to the LLM. Requests are answered one at a time.",
                 models_table(comparison, summaries));
  out += "<div class=\"pair\">\n";
  out += section("Accuracy and size", "Up and to the left is better. Bars are 95 % intervals.",
                 chart_accuracy_bytes(comparison, summaries));
  out += section("Accuracy and CPU time", "Up and to the left is better. Bars are 95 % intervals.",
                 chart_accuracy_cpu(comparison, summaries));
  out += "</div>\n";
  out += section(
      "The team",
      "The SLM keeps the answers it is sure enough of and the LLM gets the others. The shaded "
      "band is the 95 % interval of the "
      "accuracy.",
      "<div class=\"scroll\">" + chart_team(comparison, summaries) + "</div>\n" + team_rows(comparison));
  out += "<div class=\"pair\">\n";
  const Summary& s = summaries[comparison.slm];
  out += section("How far the SLM\u2019s confidence can be believed",
                 fmt::format("Pale bars: the share right among answers of that confidence; full bars: how "
                             "many answers there are. On the "
                             "dashed line confidence means what it says. Expected calibration error: {}.",
                             percent_text(s.ece, 2)),
                 chart_reliability(comparison));
  out +=
      section("Most frequent confusions of the SLM",
              comparison.calibrated() ? "Passed on: how many of them the calibrated threshold sends to the LLM."
                                    : "LLM right: how many of them the LLM labels right.",
              confusion_rows(comparison));
  out += "</div>\n";
  out += fmt::format(
      "<footer>Intervals: Wilson for accuracies, a paired bootstrap over examples (10,000 resamples) for "
      "ratios; McNemar\u2019s test is exact. "
      "Costs are CPU time at {:g} {} an hour.</footer>\n</main>\n</body>\n</html>\n",
      comparison.cost.cpu_hour_price, escape(comparison.cost.currency));
  return out;
}

}  // namespace bantam::eval
