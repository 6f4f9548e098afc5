#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "report/svg_pen.h"

namespace ballast::report {
namespace {

struct Range {
  double lo = std::numeric_limits<double>::infinity(), hi = -std::numeric_limits<double>::infinity();
  void add(double v, Scale scale) {
    if (!std::isfinite(v) || (scale == Scale::log && v <= 0)) return;
    lo = std::min(lo, v);
    hi = std::max(hi, v);
  }
};

void settle(Range& range, const Axis& axis) {
  if (!(range.lo <= range.hi)) range = {axis.scale == Scale::log ? 1.0 : 0.0, axis.scale == Scale::log ? 10.0 : 1.0};
  if (axis.lo) range.lo = *axis.lo;
  if (axis.hi) range.hi = *axis.hi;
}

// At most two points per pixel column: its lowest and its highest, in the order in which they come.
std::vector<std::pair<double, double>> thin(std::vector<std::pair<double, double>> points, double columns) {
  if (points.size() <= 2 * columns) return points;
  std::vector<std::pair<double, double>> kept;
  const size_t per = static_cast<size_t>(std::ceil(points.size() / columns));
  for (size_t begin = 0; begin < points.size(); begin += per) {
    const auto first = points.begin() + begin, last = points.begin() + std::min(begin + per, points.size());
    auto [low, high] =
        std::minmax_element(first, last, [](const auto& a, const auto& b) { return a.second < b.second; });
    if (high < low) std::swap(low, high);
    kept.push_back(*low);
    if (low != high) kept.push_back(*high);
  }
  return kept;
}

void draw_series(Pen& pen, const Series& series, const AxisMap& x, const AxisMap& y, const Frame& frame,
                 const LinePlot& plot) {
  const std::string color = fmt::format("c{}", series.color);
  if (!series.lo.empty()) {
    std::vector<std::pair<double, double>> band;
    for (size_t i = 0; i < series.x.size(); ++i) band.emplace_back(x(series.x[i]), y(series.hi[i]));
    for (size_t i = series.x.size(); i-- > 0;) band.emplace_back(x(series.x[i]), y(series.lo[i]));
    pen.polygon(band, color + " band");
  }
  std::vector<std::pair<double, double>> points;
  for (size_t i = 0; i < series.x.size(); ++i) {
    if (!std::isfinite(series.y[i]) || (plot.y.scale == Scale::log && series.y[i] <= 0)) continue;
    if (plot.x.scale == Scale::log && series.x[i] <= 0) continue;
    points.emplace_back(x(series.x[i]), std::clamp(y(series.y[i]), frame.top, frame.bottom));
  }
  const bool faint = series.style == Series::Style::faint;
  pen.polyline(thin(points, (frame.right - frame.left) / (faint ? 2 : 1)),
               color + (faint ? " faint" : " line") + (series.dashed ? " dashed" : ""));
  if (series.style != Series::Style::marked) return;
  for (size_t i = 0; i < series.x.size(); ++i) {
    if (!std::isfinite(series.y[i])) continue;
    const std::string title =
        fmt::format("{}: {} at {} {}", series.name, significant(series.y[i], 4), si(series.x[i]), plot.x.label);
    pen.marker(0, x(series.x[i]), y(series.y[i]), 3.2, color + " dot", title);
  }
}

// Raw data behind, and long series behind short ones: where curves coincide the short one would else be invisible.
std::vector<const Series*> drawing_order(const LinePlot& plot) {
  std::vector<const Series*> order;
  for (const Series& series : plot.series) order.push_back(&series);
  const auto rank = [](const Series* series) {
    return std::pair(series->style != Series::Style::faint, series->x.empty() ? 0.0 : -series->x.back());
  };
  std::stable_sort(order.begin(), order.end(), [&](const Series* a, const Series* b) { return rank(a) < rank(b); });
  return order;
}

}  // namespace

std::string draw(const LinePlot& plot, double width) {
  Range xs, ys;
  for (const Series& series : plot.series) {
    for (const double v : series.x) xs.add(v, plot.x.scale);
    for (const auto* values : {&series.y, &series.lo, &series.hi})
      for (const double v : *values) ys.add(v, plot.y.scale);
  }
  for (const Reference& reference : plot.references) ys.add(reference.at, plot.y.scale);
  settle(xs, plot.x);
  settle(ys, plot.y);
  const double height = width > 700 ? std::round(width * 0.36) : std::round(width * 0.50 + 70);
  const int y_target = height > 280 ? 6 : 4, x_target = width > 700 ? 8 : width > 420 ? 6 : 4;
  widen_to_ticks(plot.y.scale, ys.lo, ys.hi, y_target);
  if (plot.y.lo) ys.lo = *plot.y.lo;
  if (plot.y.hi) ys.hi = *plot.y.hi;
  const Ticks y_ticks = make_ticks(plot.y.scale, ys.lo, ys.hi, y_target, plot.y.linear_below);
  const Ticks x_ticks = make_ticks(plot.x.scale, xs.lo, xs.hi, x_target, plot.x.linear_below);
  double left = 20;
  for (const std::string& text : y_ticks.text) left = std::max(left, text_width(text, 12) + 14);

  double right = 12;  // references are named in the margin, where no curve runs through their names
  for (const Reference& reference : plot.references) right = std::max(right, text_width(reference.label, 12) + 8);
  const Frame frame{left, 32, width - right, height - 44};
  const AxisMap x(plot.x.scale, xs.lo, xs.hi, frame.left, frame.right, plot.x.linear_below);
  const AxisMap y(plot.y.scale, ys.lo, ys.hi, frame.bottom, frame.top, plot.y.linear_below);
  Pen pen(width, height, plot.y.label + " over " + plot.x.label);
  pen.y_axis(frame, y, y_ticks, plot.y.label);
  pen.x_axis(frame, x, x_ticks, plot.x.label, false);
  for (const Reference& reference : plot.references)
    pen.line(frame.left, y(reference.at), frame.right, y(reference.at), "ref");
  for (const Series* series : drawing_order(plot)) draw_series(pen, *series, x, y, frame, plot);
  for (const Reference& reference : plot.references)
    pen.text(frame.right + 6, y(reference.at) + 4, "start", "ref-label", reference.label);
  return pen.finish();
}

}  // namespace ballast::report
