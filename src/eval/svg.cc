#include "eval/svg.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <optional>

#include "base/utf8.h"
#include "eval/report_format.h"

namespace bantam::eval::svg {
namespace {

constexpr double kLeft = 62, kRight = 18, kTop = 14, kBottom = 46;  // margins around the plot, in pixels
constexpr double kCharacter = 6.6, kLine = 15;  // a 12-pixel font's mean width, its height
constexpr double kAscent = 11;                  // from the top of a line of text to its baseline

double place(const Axis& axis, double value) {
  const double low = axis.log ? std::log(axis.low) : axis.low;
  const double high = axis.log ? std::log(axis.high) : axis.high;
  const double at = axis.log ? std::log(std::max(value, 1e-300)) : value;
  return high > low ? std::clamp((at - low) / (high - low), 0.0, 1.0) : 0.5;
}

}  // namespace

std::string escape(std::string_view text) {
  std::string out;
  for (char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      case '\'':
        out += "&#39;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

Axis linear_axis(double low, double high, std::string title, std::function<std::string(double)> label,
                 int wanted) {
  if (!(high > low)) high = low + 1;
  const double rough = (high - low) / wanted;
  const double power = std::pow(10, std::floor(std::log10(rough)));
  double step = 10 * power;
  for (double factor : {5.0, 2.0, 1.0}) {
    if (factor * power >= rough * 0.999) step = factor * power;
  }
  Axis axis{.low = low,
            .high = high,
            .log = false,
            .title = std::move(title),
            .ticks = {},
            .label = std::move(label)};
  for (double i = std::ceil(low / step - 1e-9); i * step <= high + 1e-9 * step; ++i)
    axis.ticks.push_back(i * step + 0.0);  // + 0.0: no negative zero
  return axis;
}

Axis log_axis(double low, double high, std::string title, std::function<std::string(double)> label) {
  Axis axis{.low = low,
            .high = high,
            .log = true,
            .title = std::move(title),
            .ticks = {},
            .label = std::move(label)};
  const bool few = std::log10(high / low) < 3;
  for (int e = static_cast<int>(std::floor(std::log10(low)));
       e <= static_cast<int>(std::ceil(std::log10(high))); ++e) {
    for (double factor : {1.0, 2.0, 5.0}) {
      const double tick = factor * std::pow(10, e);
      if ((factor == 1 || few) && tick >= low && tick <= high) axis.ticks.push_back(tick);
    }
  }
  return axis;
}

bool Chart::Box::overlaps(const Box& other) const {
  return left < other.right && other.left < right && top < other.bottom && other.top < bottom;
}

Chart::Chart(Axis x, Axis y, std::string description, double width, double height)
    : x_(std::move(x)),
      y_(std::move(y)),
      description_(std::move(description)),
      width_(width),
      height_(height) {}

double Chart::px(double x) const { return kLeft + place(x_, x) * (width_ - kLeft - kRight); }
double Chart::py(double y) const { return height_ - kBottom - place(y_, y) * (height_ - kTop - kBottom); }

void Chart::line(std::span<const Point> points, std::string_view css) {
  body_ += fmt::format("<polyline class=\"line {}\" points=\"", css);
  for (const auto& p : points) body_ += fmt::format("{:.1f},{:.1f} ", px(p.x), py(p.y));
  body_ += "\"/>\n";
  avoid(points);
}

void Chart::avoid(std::span<const Point> points) {
  constexpr double kStep = 6;  // pixels between the small boxes that stand for a line
  for (size_t i = 1; i < points.size(); ++i) {
    const double x0 = px(points[i - 1].x), y0 = py(points[i - 1].y), x1 = px(points[i].x),
                 y1 = py(points[i].y);
    const int steps = static_cast<int>(std::hypot(x1 - x0, y1 - y0) / kStep) + 1;
    for (int s = 0; s <= steps; ++s) {
      const double x = x0 + (x1 - x0) * s / steps, y = y0 + (y1 - y0) * s / steps;
      lines_.push_back({x - 2, y - 2, x + 2, y + 2});
    }
  }
}

void Chart::band(std::span<const Point> low, std::span<const Point> high, std::string_view css) {
  body_ += fmt::format("<polygon class=\"band {}\" points=\"", css);
  for (const auto& p : low) body_ += fmt::format("{:.1f},{:.1f} ", px(p.x), py(p.y));
  for (size_t i = high.size(); i-- > 0;) body_ += fmt::format("{:.1f},{:.1f} ", px(high[i].x), py(high[i].y));
  body_ += "\"/>\n";
}

void Chart::horizontal(double y, std::string_view css, std::string name, bool above) {
  const double right = width_ - kRight, at = py(y), baseline = above ? at - 5 : at + 14;
  body_ += fmt::format("<line class=\"reference {}\" x1=\"{}\" x2=\"{}\" y1=\"{:.1f}\" y2=\"{:.1f}\"/>\n",
                       css, kLeft, right, at, at);
  front_ += fmt::format("<text class=\"name\" x=\"{}\" y=\"{:.1f}\" text-anchor=\"end\">{}</text>\n",
                        right - 4, baseline, escape(name));
  const double length = kCharacter * static_cast<double>(utf8_length(name));
  lines_.push_back({kLeft, at - 2, right, at + 2});
  taken_.push_back({right - 4 - length, baseline - 11, right, baseline + 4});
}

void Chart::error_bar(double x, double low, double high, std::string_view css) {
  const double at = px(x), top = py(high), bottom = py(low);
  body_ +=
      fmt::format("<path class=\"error {}\" d=\"M{:.1f} {:.1f}V{:.1f}M{:.1f} {:.1f}h8M{:.1f} {:.1f}h8\"/>\n",
                  css, at, top, bottom, at - 4, top, at - 4, bottom);
  errors_.push_back({at - 4, top, at + 4, bottom});
}

void Chart::marker(Point at, std::string_view css, std::string_view tooltip, std::string name, bool diamond) {
  const double x = px(at.x), y = py(at.y);
  const std::string title = fmt::format("<title>{}</title>", escape(tooltip));
  if (diamond) {
    front_ += fmt::format("<path class=\"marker {}\" d=\"M{:.1f} {:.1f}l7 7l-7 7l-7 -7z\">{}</path>\n", css,
                          x, y - 7, title);
  } else {
    front_ += fmt::format("<circle class=\"marker {}\" cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"5\">{}</circle>\n",
                          css, x, y, title);
  }
  taken_.push_back({x - 7, y - 7, x + 7, y + 7});
  if (!name.empty()) names_.push_back({x, y, std::move(name)});
}

void Chart::bar(double x0, double x1, double y, std::string_view css, std::string_view tooltip) {
  const double left = px(x0) + 1, right = px(x1) - 1, top = py(y), bottom = py(y_.low);
  body_ += fmt::format(
      "<rect class=\"bar {}\" x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" "
      "height=\"{:.1f}\"><title>{}</title></rect>\n",
      css, left, top, std::max(0.0, right - left), bottom - top, escape(tooltip));
}

std::string Chart::axes() const {
  std::string out;
  const double bottom = height_ - kBottom, right = width_ - kRight;
  for (double tick : y_.ticks) {
    const double y = py(tick);
    out += fmt::format("<line class=\"grid\" x1=\"{}\" x2=\"{}\" y1=\"{:.1f}\" y2=\"{:.1f}\"/>", kLeft, right,
                       y, y);
    out += fmt::format("<text class=\"tick\" x=\"{}\" y=\"{:.1f}\" text-anchor=\"end\">{}</text>\n",
                       kLeft - 7, y + 4, escape(y_.label(tick)));
  }
  for (double tick : x_.ticks) {
    const double x = px(tick);
    out += fmt::format("<line class=\"grid\" x1=\"{:.1f}\" x2=\"{:.1f}\" y1=\"{}\" y2=\"{}\"/>", x, x, kTop,
                       bottom);
    out += fmt::format("<text class=\"tick\" x=\"{:.1f}\" y=\"{}\" text-anchor=\"middle\">{}</text>\n", x,
                       bottom + 16, escape(x_.label(tick)));
  }
  out += fmt::format("<path class=\"axis\" d=\"M{} {}V{}H{}\"/>\n", kLeft, kTop, bottom, right);
  out += fmt::format("<text class=\"title\" x=\"{}\" y=\"{}\" text-anchor=\"middle\">{}</text>\n",
                     (kLeft + right) / 2, height_ - 8, escape(x_.title));
  out += fmt::format(
      "<text class=\"title\" transform=\"translate(14 {}) rotate(-90)\" text-anchor=\"middle\">{}</text>\n",
      (kTop + bottom) / 2, escape(y_.title));
  return out;
}

std::optional<Chart::Box> Chart::beside(const Name& name, const std::vector<Box>& taken, Avoid avoid) const {
  struct Place {
    double dx, dy;  // of the baseline from the marker's middle
    double anchor;  // share of the text left of its x
  };
  static constexpr std::array<Place, 8> kPlaces{{{11, 4, 0},
                                                 {-11, 4, 1},
                                                 {0, -13, 0.5},
                                                 {0, 22, 0.5},
                                                 {9, -9, 0},
                                                 {9, 17, 0},
                                                 {-9, -9, 1},
                                                 {-9, 17, 1}}};
  for (const auto& place : kPlaces) {
    const Box box = box_of(name, name.x + place.dx - place.anchor * length(name), name.y + place.dy);
    if (is_free(box, taken, avoid)) return box;
  }
  return std::nullopt;
}

/// Further up or down than beside the marker.
std::optional<Chart::Box> Chart::apart(const Name& name, const std::vector<Box>& taken) const {
  const double most = std::max(kLeft + 4, width_ - kRight - length(name));
  const double left = std::clamp(name.x - length(name) / 2, kLeft + 4, most);
  for (int step = 4; step < 24; ++step) {
    const Box box = box_of(name, left, name.y + (step % 2 == 0 ? -1 : 1) * (step / 2) * kLine);
    if (is_free(box, taken, Avoid::kLinesAndErrors)) return box;
  }
  return std::nullopt;
}

std::string Chart::names() const {
  std::string out;
  std::vector<Box> taken = taken_;
  std::vector<Name> left = names_;
  const auto set = [&](const Name& name, const Box& box) {
    taken.push_back(box);
    out += fmt::format("<text class=\"name\" x=\"{:.1f}\" y=\"{:.1f}\">{}</text>\n", box.left,
                       box.top + kAscent, escape(name.text));
  };
  // Names with a clean place first; they leave to the others what they do not need.
  for (Avoid avoid : {Avoid::kLinesAndErrors, Avoid::kLines}) {
    std::erase_if(left, [&](const Name& name) {
      const auto box = beside(name, taken, avoid);
      if (box) set(name, *box);
      return box.has_value();
    });
  }
  for (const auto& name : left) {
    if (const auto box = apart(name, taken)) {
      out += fmt::format("<line class=\"leader\" x1=\"{:.1f}\" y1=\"{:.1f}\" x2=\"{:.1f}\" y2=\"{:.1f}\"/>",
                         name.x, name.y, (box->left + box->right) / 2,
                         box->top < name.y ? box->bottom : box->top);
      set(name, *box);
    } else {
      set(name, beside(name, taken, Avoid::kNothing).value_or(box_of(name, name.x + 11, name.y + 4)));
    }
  }
  return out;
}

double Chart::length(const Name& name) { return kCharacter * static_cast<double>(utf8_length(name.text)); }

Chart::Box Chart::box_of(const Name& name, double left, double baseline) {
  return {left, baseline - kAscent, left + length(name), baseline + 4};
}

bool Chart::is_free(const Box& box, const std::vector<Box>& taken, Avoid avoid) const {
  const auto clear = [&](const Box& other) { return !box.overlaps(other); };
  return box.left >= kLeft + 2 && box.right <= width_ - 2 && box.top >= 2 &&
         box.bottom <= height_ - kBottom && std::ranges::all_of(taken, clear) &&
         (avoid == Avoid::kNothing || std::ranges::all_of(lines_, clear)) &&
         (avoid != Avoid::kLinesAndErrors || std::ranges::all_of(errors_, clear));
}

std::string Chart::str() const {
  return fmt::format("<svg viewBox=\"0 0 {} {}\" role=\"img\" aria-label=\"{}\">\n{}{}{}{}</svg>\n", width_,
                     height_, escape(description_), axes(), body_, names(), front_);
}

}  // namespace bantam::eval::svg
