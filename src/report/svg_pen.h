// The few SVG elements that the charts are made of, appended to one string.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "report/svg.h"

namespace ballast::report {

struct Frame {  // the plotting area, in pixels
  double left, top, right, bottom;
};

double text_width(std::string_view text, double size);  // an estimate: 0.56 em per code point, less for narrow letters

class Pen {
 public:
  Pen(double width, double height, std::string_view label);
  std::string finish();

  void line(double x1, double y1, double x2, double y2, std::string_view css);
  void rect(double x, double y, double w, double h, std::string_view css, std::string_view title = {});
  void polyline(const std::vector<std::pair<double, double>>& points, std::string_view css);
  void polygon(const std::vector<std::pair<double, double>>& points, std::string_view css, std::string_view title = {});
  // anchor: "start", "middle", "end". y is the baseline.
  void text(double x, double y, std::string_view anchor, std::string_view css, std::string_view words,
            std::string_view extra = {});
  void marker(int shape, double x, double y, double radius, std::string_view css, std::string_view title = {});

  void x_axis(const Frame& frame, const AxisMap& map, const Ticks& ticks, std::string_view label, bool grid);
  void y_axis(const Frame& frame, const AxisMap& map, const Ticks& ticks, std::string_view label);

 private:
  std::string out_;
};

}  // namespace ballast::report
