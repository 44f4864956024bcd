#include "cli/train_chart.h"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <vector>

#include "base/file.h"

namespace bantam::cli {
namespace {

using nlohmann::json;

struct Line {
  std::string name;
  std::vector<std::pair<double, double>> points;  // step, value
};

constexpr const char* kColours[] = {"#1f6feb", "#d1242f", "#1a7f37", "#9a6700", "#8250df", "#57606a"};
constexpr double kWidth = 900, kHeight = 300, kLeft = 60, kRight = 150, kTop = 30, kBottom = 40;

/// One diagram, `top` pixels down.
std::string diagram(const std::string& title, const std::vector<Line>& lines, double last_step, double top) {
  double low = 1e300, high = -1e300;
  for (const auto& line : lines) {
    for (const auto& [step, value] : line.points) {
      low = std::min(low, value);
      high = std::max(high, value);
    }
  }
  if (!(high > low)) high = low + 1;
  const double right = kWidth - kRight, bottom = top + kHeight - kBottom;
  auto x = [&](double step) { return kLeft + (right - kLeft) * step / std::max(1.0, last_step); };
  auto y = [&](double value) { return bottom - (bottom - top - kTop) * (value - low) / (high - low); };
  std::string out = fmt::format("<text x='{}' y='{}' font-weight='bold'>{}</text>\n", kLeft, top + 18, title);
  for (int i = 0; i <= 4; ++i) {
    const double value = low + (high - low) * i / 4, step = last_step * i / 4;
    out += fmt::format(
        "<line x1='{0}' y1='{1:.1f}' x2='{2}' y2='{1:.1f}' stroke='#d0d7de'/><text x='{3}' y='{4:.1f}' "
        "text-anchor='end'>{5:.3f}</text><text x='{6:.1f}' y='{7}' text-anchor='middle'>{8:.0f}</text>\n",
        kLeft, y(value), right, kLeft - 6, y(value) + 4, value, x(step), bottom + 18, step);
  }
  for (size_t i = 0; i < lines.size(); ++i) {
    const char* colour = kColours[i % std::size(kColours)];
    std::string path;
    for (const auto& [step, value] : lines[i].points)
      path += fmt::format("{:.1f},{:.1f} ", x(step), y(value));
    out += fmt::format("<polyline points='{}' fill='none' stroke='{}' stroke-width='1.5'/>\n", path, colour);
    out += fmt::format("<text x='{}' y='{}' fill='{}'>{}</text>\n", right + 8,
                       top + kTop + 16 * static_cast<double>(i + 1), colour, lines[i].name);
  }
  return out;
}

}  // namespace

Status draw_losses(const std::string& log, const std::string& svg) {
  BANTAM_ASSIGN(const std::string text, read_file(log));
  Line loss{"training", {}};
  std::map<std::string, Line> parts;
  double smooth = 0, last = 0;
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find('\n', at), text.size());
    const json entry = json::parse(text.substr(at, end - at), nullptr, false);
    at = end + 1;
    if (!entry.is_object() || !entry.contains("step")) continue;
    const auto step = entry.value("step", 0.0);
    if (entry.contains("loss")) {
      smooth =
          loss.points.empty() ? entry.value("loss", 0.0) : 0.98 * smooth + 0.02 * entry.value("loss", 0.0);
      loss.points.emplace_back(step, smooth);
      last = step;
    }
    if (!entry.contains("bits_per_byte")) continue;
    for (const auto& [name, value] : entry["bits_per_byte"].items()) {
      parts[name].name = name;
      parts[name].points.emplace_back(step, value.get<double>());
    }
  }
  if (loss.points.empty()) return fail(Code::kCorrupt, "{}: found no step in the log", log);
  // At most about a thousand points are visible.
  const size_t every = loss.points.size() / 1000 + 1;
  std::vector<std::pair<double, double>> thinned;
  for (size_t i = 0; i < loss.points.size(); i += every) thinned.push_back(loss.points[i]);
  loss.points = std::move(thinned);
  std::vector<Line> held;
  for (auto& [name, line] : parts) held.push_back(std::move(line));
  std::string out = fmt::format(
      "<svg xmlns='http://www.w3.org/2000/svg' width='{0}' height='{1}' viewBox='0 0 {0} {1}' "
      "font-family='sans-serif' font-size='12'><rect width='100%' height='100%' fill='white'/>\n",
      kWidth, 2 * kHeight);
  out += diagram("Training loss by step (nats a token)", {loss}, last, 0);
  if (!held.empty()) out += diagram("Held-back text (bits per byte)", held, last, kHeight);
  return write_file(svg, out + "</svg>\n");
}

}  // namespace bantam::cli
