#pragma once
// Charts as inline SVG: one set of axes with lines, markers, bars and labels that keep out of each other's
// way. Colours come from the page's style sheet through class names, so that light and dark need no second
// drawing.

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace bantam::eval::svg {

/// Text safe inside an element and inside a quoted attribute.
std::string escape(std::string_view text);

struct Axis {
  double low = 0, high = 1;  // in data units; log axes need low > 0
  bool log = false;
  std::string title;
  std::vector<double> ticks;
  std::function<std::string(double)> label;
};
/// An axis that covers [low, high] with ticks at round steps (1, 2 or 5 times a power of ten), about `wanted`
/// of them.
Axis linear_axis(double low, double high, std::string title, std::function<std::string(double)> label,
                 int wanted = 5);
/// Ticks at powers of ten, with 2 and 5 times them where there would be few. low and high are positive.
Axis log_axis(double low, double high, std::string title, std::function<std::string(double)> label);

struct Point {
  double x = 0, y = 0;
};

/// REQUIRES of all coordinates: finite. What lies outside the axes is drawn at their edge.
class Chart {
 public:
  /// `description` is read out by screen readers.
  Chart(Axis x, Axis y, std::string description, double width = 520, double height = 330);

  void line(std::span<const Point> points, std::string_view css);
  /// The area between two curves with common x.
  void band(std::span<const Point> low, std::span<const Point> high, std::string_view css);
  /// A line across the whole chart at y, named at its right end, above or below it.
  void horizontal(double y, std::string_view css, std::string name, bool above);
  void error_bar(double x, double low, double high, std::string_view css);
  /// A dot, or a diamond; the tooltip shows on hovering; a name is placed beside it where there is room.
  void marker(Point at, std::string_view css, std::string_view tooltip, std::string name,
              bool diamond = false);
  /// A bar from the bottom of the chart to y.
  void bar(double x0, double x1, double y, std::string_view css, std::string_view tooltip);
  std::string str() const;

 private:
  struct Box {
    double left, top, right, bottom;
    bool overlaps(const Box& other) const;
  };
  struct Name {
    double x, y;  // pixels
    std::string text;
  };
  double px(double x) const;
  double py(double y) const;
  std::string axes() const;
  std::string names() const;
  enum class Avoid { kNothing, kLines, kLinesAndErrors };  // besides markers and other names
  std::optional<Box> beside(const Name& name, const std::vector<Box>& taken, Avoid avoid) const;
  std::optional<Box> apart(const Name& name, const std::vector<Box>& taken) const;
  bool is_free(const Box& box, const std::vector<Box>& taken, Avoid avoid) const;
  static double length(const Name& name);
  static Box box_of(const Name& name, double left, double baseline);
  void avoid(std::span<const Point> points);

  Axis x_, y_;
  std::string description_, body_, front_;
  double width_, height_;
  std::vector<Box> taken_;   // by markers and fixed names: never covered
  std::vector<Box> lines_;   // covered only where nothing else is free
  std::vector<Box> errors_;  // error bars: covered rather than moving a name away from its marker
  std::vector<Name> names_;  // still to be placed
};

}  // namespace bantam::eval::svg
