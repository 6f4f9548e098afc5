// Charts as inline SVG. Colors and type come from the page's style sheet (html.h): series i has the class c<i>, so that
// a chart follows the reader's light or dark scheme. A chart is drawn for a width in CSS pixels and never scaled far
// from it, which keeps its text readable: the page holds one drawing for wide screens and one for phones.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "report/ticks.h"

namespace ballast::report {

struct Axis {
  std::string label;
  Scale scale = Scale::linear;
  std::optional<double> lo, hi;  // where absent: the data's range, widened to ticks on the y axis
  double linear_below = 1;       // symlog only
};

struct Series {
  std::string name;
  int color = 0;
  std::vector<double> x, y;
  std::vector<double> lo, hi;                                    // a band around y; empty: none
  enum class Style { line, faint, marked } style = Style::line;  // faint: raw data behind a smoothed line, not labeled
  bool dashed = false;
};

struct Reference {  // a horizontal line in a line plot, a vertical one in a bar chart
  double at = 0;
  std::string label;
};

struct LinePlot {
  Axis x, y;
  std::vector<Series> series;
  std::vector<Reference> references;
};

struct Bar {
  std::string label;
  double value = 0;
  std::string text;  // written at the end of the bar
  int color = 0;
  std::optional<double> lo, hi;  // error bar
  bool quiet = false;            // paler: what the others are compared with
};

struct BarChart {  // horizontal, from zero: labels stay readable on a phone
  Axis value;
  std::vector<Bar> bars;
  std::vector<Reference> references;
};

struct ScatterPoint {
  double x = 0, y = 0;
  std::optional<double> x_lo, x_hi, y_lo, y_hi;
  std::string label;             // beside the point where there is room
  std::string title;             // what hovering shows
  std::optional<double> x_mark;  // a tick at the same height, joined by dots: where a model expects the point
};

struct ScatterGroup {  // one color, one marker shape; its points are joined by a thin line
  std::string name;
  int color = 0;
  std::vector<ScatterPoint> points;
};

struct ScatterBox {
  double x_lo = 0, x_hi = 0, y_lo = 0, y_hi = 0;
  std::string label;
};

struct Scatter {
  Axis x, y;
  std::vector<ScatterGroup> groups;
  std::optional<ScatterBox> box;
};

std::string marker_key(int shape, int color);  // a small drawing of a scatter group's marker, for the legend

std::string draw(const LinePlot& plot, double width);
std::string draw(const BarChart& chart, double width);
std::string draw(const Scatter& plot, double width);

}  // namespace ballast::report
