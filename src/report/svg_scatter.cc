#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "report/svg_pen.h"

namespace ballast::report {
namespace {

struct Rect {
  double left, top, right, bottom;
  bool meets(const Rect& other) const {
    return left < other.right && other.left < right && top < other.bottom && other.top < bottom;
  }
};

void include(double& lo, double& hi, const std::optional<double>& v) {
  if (!v || !std::isfinite(*v)) return;
  lo = std::min(lo, *v);
  hi = std::max(hi, *v);
}

// Labels go to the first of six places around their point that touches no marker and no earlier label; else nowhere:
// the hover text and the table name the point.
class Labels {
 public:
  Labels(Pen& pen, const Frame& frame) : pen_(pen), frame_(frame) {}
  void block(double x, double y, double radius) { taken_.push_back({x - radius, y - radius, x + radius, y + radius}); }
  void block(const Rect& rect) { taken_.push_back(rect); }
  void place(double x, double y, const std::string& text, const std::string& css) {
    const double w = text_width(text, 12), h = 12;
    const Rect places[] = {{x + 8, y - h - 2, x + 8 + w, y - 2},     {x + 8, y + 3, x + 8 + w, y + 3 + h},
                           {x - 8 - w, y - h - 2, x - 8, y - 2},     {x - 8 - w, y + 3, x - 8, y + 3 + h},
                           {x - w / 2, y - h - 9, x + w / 2, y - 9}, {x - w / 2, y + 9, x + w / 2, y + 9 + h}};
    for (const Rect& at : places) {
      if (at.left < frame_.left || at.right > frame_.right + 8 || at.top < frame_.top || at.bottom > frame_.bottom)
        continue;
      if (std::any_of(taken_.begin(), taken_.end(), [&](const Rect& other) { return other.meets(at); })) continue;
      pen_.text(at.left, at.bottom - 2, "start", css, text);
      taken_.push_back(at);
      return;
    }
  }

 private:
  Pen& pen_;
  Frame frame_;
  std::vector<Rect> taken_;
};

void draw_intervals(Pen& pen, const ScatterPoint& point, const AxisMap& x, const AxisMap& y, const std::string& color) {
  const double px = x(point.x), py = y(point.y);
  if (point.x_lo && point.x_hi) pen.line(x(*point.x_lo), py, x(*point.x_hi), py, color + " whisker");
  if (point.y_lo && point.y_hi) pen.line(px, y(*point.y_lo), px, y(*point.y_hi), color + " whisker");
  if (point.x_mark) {
    pen.line(px, py, x(*point.x_mark), py, color + " lead");
    pen.line(x(*point.x_mark), py - 5, x(*point.x_mark), py + 5, color + " mark");
  }
}

}  // namespace

std::string marker_key(int shape, int color) {
  Pen pen(14, 14, "");
  pen.marker(shape, 7, 7, 4.6, fmt::format("c{} dot", color));
  return pen.finish();
}

std::string draw(const Scatter& plot, double width) {
  double x_lo = INFINITY, x_hi = -INFINITY, y_lo = INFINITY, y_hi = -INFINITY;
  for (const ScatterGroup& group : plot.groups) {
    for (const ScatterPoint& p : group.points) {
      for (const auto& v : {std::optional(p.x), p.x_lo, p.x_hi, p.x_mark}) include(x_lo, x_hi, v);
      for (const auto& v : {std::optional(p.y), p.y_lo, p.y_hi}) include(y_lo, y_hi, v);
    }
  }
  if (plot.box) {
    for (const double v : {plot.box->x_lo, plot.box->x_hi}) include(x_lo, x_hi, v);
    for (const double v : {plot.box->y_lo, plot.box->y_hi}) include(y_lo, y_hi, v);
  }
  if (!(x_lo <= x_hi)) return {};
  const double height = width > 700 ? std::round(width * 0.46) : std::round(width * 0.8 + 60);
  const int x_target = width > 420 ? 8 : 4, y_target = height > 300 ? 6 : 5;
  widen_to_ticks(plot.x.scale, x_lo, x_hi, x_target);
  if (plot.y.scale == Scale::linear) {
    const double lowest = y_lo;
    widen_to_ticks(plot.y.scale, y_lo, y_hi, y_target);
    if (lowest - y_lo < 0.06 * (y_hi - y_lo)) y_lo -= 0.08 * (y_hi - y_lo);
  } else {  // room above the highest and below the lowest point
    y_hi *= 1.4;
    y_lo = std::min(y_lo < 0 ? 1.4 * y_lo : y_lo, -0.8 * plot.y.linear_below);
  }
  const Ticks y_ticks = make_ticks(plot.y.scale, y_lo, y_hi, y_target, plot.y.linear_below);
  double left = 24;
  for (const std::string& text : y_ticks.text) left = std::max(left, text_width(text, 12) + 12);
  const Frame frame{left, 32, width - 16, height - 44};
  const AxisMap x(plot.x.scale, x_lo, x_hi, frame.left, frame.right, plot.x.linear_below);
  const AxisMap y(plot.y.scale, y_lo, y_hi, frame.bottom, frame.top, plot.y.linear_below);

  Pen pen(width, height, plot.y.label + " against " + plot.x.label);
  pen.y_axis(frame, y, y_ticks, plot.y.label);
  pen.x_axis(frame, x, make_ticks(plot.x.scale, x_lo, x_hi, x_target, plot.x.linear_below), plot.x.label, true);
  Labels labels(pen, frame);
  if (plot.box) {
    // A box without height (a deterministic model repeats its loss exactly) is still shown.
    const double bw = std::max(x(plot.box->x_hi) - x(plot.box->x_lo), 6.0);
    const double bh = std::max(y(plot.box->y_lo) - y(plot.box->y_hi), 8.0);
    const double bx = (x(plot.box->x_lo) + x(plot.box->x_hi) - bw) / 2,
                 by = (y(plot.box->y_lo) + y(plot.box->y_hi) - bh) / 2;
    pen.rect(bx, by, bw, bh, "aa", plot.box->label);
    const double tw = text_width(plot.box->label, 12),
                 tx = std::clamp(bx + bw / 2 - tw / 2, frame.left + 3, frame.right - tw);
    const double ty = by + bh + 16 < frame.bottom ? by + bh + 14 : by - 6;
    pen.text(tx, ty, "start", "ref-label halo", plot.box->label);
    labels.block({bx, by, bx + bw, by + bh});
    labels.block({tx, ty - 11, tx + tw, ty + 3});
  }
  for (const ScatterGroup& group : plot.groups) {
    const std::string color = fmt::format("c{}", group.color);
    std::vector<std::pair<double, double>> path;
    for (const ScatterPoint& p : group.points) path.emplace_back(x(p.x), y(p.y));
    if (path.size() > 1) pen.polyline(path, color + " thread");
    for (const ScatterPoint& p : group.points) draw_intervals(pen, p, x, y, color);
  }
  for (size_t g = 0; g < plot.groups.size(); ++g) {
    for (const ScatterPoint& p : plot.groups[g].points) {
      pen.marker(static_cast<int>(g), x(p.x), y(p.y), 4.6, fmt::format("c{} dot", plot.groups[g].color), p.title);
      labels.block(x(p.x), y(p.y), 6);
      if (p.x_mark) labels.block(x(*p.x_mark), y(p.y), 5);
    }
  }
  for (const ScatterGroup& group : plot.groups)
    for (const ScatterPoint& p : group.points)
      labels.place(x(p.x), y(p.y), p.label, fmt::format("c{} point-label halo", group.color));
  return pen.finish();
}

}  // namespace ballast::report
