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

// Labels go to the first of their places that touches no marker, whisker or earlier label; else nowhere: the hover text
// and the table name the point.
class Labels {
 public:
  Labels(Pen& pen, const Frame& frame) : pen_(pen), frame_(frame) {}
  void block(const Rect& rect) { taken_.push_back(rect); }
  void block_line(double x1, double y1, double x2, double y2) {
    block({std::min(x1, x2) - 1, std::min(y1, y2) - 1, std::max(x1, x2) + 1, std::max(y1, y2) + 1});
  }
  // Around `target`: right above and below, left above and below, over and under its middle.
  void place(const Rect& target, const std::string& text, const std::string& css) {
    const double w = text_width(text, 12), h = 12, middle = (target.left + target.right - w) / 2;
    const double level = (target.top + target.bottom) / 2, right = target.right + 2, left = target.left - 2 - w;
    for (const auto& [x, y] : {std::pair(right, level - h - 2),
                               {right, level + 3},
                               {left, level - h - 2},
                               {left, level + 3},
                               {middle, target.top - h - 3},
                               {middle, target.bottom + 3}}) {
      const Rect at{x, y, x + w, y + h};
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

Rect around(double x, double y) { return {x - 6, y - 6, x + 6, y + 6}; }

struct Extent {
  double x_lo = INFINITY, x_hi = -INFINITY, y_lo = INFINITY, y_hi = -INFINITY;
};

Extent extent_of(const Scatter& plot) {
  Extent e;
  for (const ScatterGroup& group : plot.groups) {
    for (const ScatterPoint& p : group.points) {
      for (const auto& v : {std::optional(p.x), p.x_lo, p.x_hi, p.x_mark}) include(e.x_lo, e.x_hi, v);
      for (const auto& v : {std::optional(p.y), p.y_lo, p.y_hi}) include(e.y_lo, e.y_hi, v);
    }
  }
  if (plot.box) {
    for (const double v : {plot.box->x_lo, plot.box->x_hi}) include(e.x_lo, e.x_hi, v);
    for (const double v : {plot.box->y_lo, plot.box->y_hi}) include(e.y_lo, e.y_hi, v);
  }
  return e;
}

// Room above the highest and below the lowest point, so that nothing lies on the frame.
void widen_y(const Axis& axis, Extent& e, int target) {
  if (axis.scale == Scale::linear) {
    const double lowest = e.y_lo;
    widen_to_ticks(axis.scale, e.y_lo, e.y_hi, target);
    if (lowest - e.y_lo < 0.06 * (e.y_hi - e.y_lo)) e.y_lo -= 0.08 * (e.y_hi - e.y_lo);
  } else {
    e.y_hi *= 1.4;
    e.y_lo = std::min(e.y_lo < 0 ? 1.4 * e.y_lo : e.y_lo, -0.8 * axis.linear_below);
  }
}

// A box without height (a deterministic model repeats its loss exactly) is still shown.
Rect draw_box(Pen& pen, const ScatterBox& box, const AxisMap& x, const AxisMap& y) {
  const double w = std::max(x(box.x_hi) - x(box.x_lo), 6.0), h = std::max(y(box.y_lo) - y(box.y_hi), 8.0);
  const double left = (x(box.x_lo) + x(box.x_hi) - w) / 2, top = (y(box.y_lo) + y(box.y_hi) - h) / 2;
  pen.rect(left, top, w, h, "aa", box.label);
  return {left, top, left + w, top + h};
}

void draw_intervals(Pen& pen, const ScatterPoint& point, const AxisMap& x, const AxisMap& y, const std::string& color,
                    Labels& labels) {
  const double px = x(point.x), py = y(point.y);
  if (point.x_lo && point.x_hi) pen.line(x(*point.x_lo), py, x(*point.x_hi), py, color + " whisker");
  if (point.y_lo && point.y_hi) {
    pen.line(px, y(*point.y_lo), px, y(*point.y_hi), color + " whisker");
    labels.block_line(px, y(*point.y_lo), px, y(*point.y_hi));
  }
  if (point.x_mark) {
    const double mark = x(*point.x_mark);
    pen.line(px, py, mark, py, color + " lead");
    pen.line(mark, py - 5, mark, py + 5, color + " mark");
    labels.block_line(px, py, mark, py);
    labels.block_line(mark, py - 5, mark, py + 5);
  }
}

}  // namespace

std::string marker_key(int shape, int color) {
  Pen pen(14, 14, "");
  pen.marker(shape, 7, 7, 4.6, fmt::format("c{} dot", color));
  return pen.finish();
}

std::string draw(const Scatter& plot, double width) {
  Extent e = extent_of(plot);
  if (!(e.x_lo <= e.x_hi)) return {};
  const double height = width > 700 ? std::round(width * 0.46) : std::round(width * 0.8 + 60);
  const int x_target = width > 420 ? 8 : 4, y_target = height > 300 ? 6 : 5;
  widen_to_ticks(plot.x.scale, e.x_lo, e.x_hi, x_target);
  widen_y(plot.y, e, y_target);
  const Ticks y_ticks = make_ticks(plot.y.scale, e.y_lo, e.y_hi, y_target, plot.y.linear_below);
  double left = 24;
  for (const std::string& text : y_ticks.text) left = std::max(left, text_width(text, 12) + 14);
  const Frame frame{left, 32, width - 16, height - 44};
  const AxisMap x(plot.x.scale, e.x_lo, e.x_hi, frame.left, frame.right, plot.x.linear_below);
  const AxisMap y(plot.y.scale, e.y_lo, e.y_hi, frame.bottom, frame.top, plot.y.linear_below);

  Pen pen(width, height, plot.y.label + " against " + plot.x.label);
  pen.y_axis(frame, y, y_ticks, plot.y.label);
  pen.x_axis(frame, x, make_ticks(plot.x.scale, e.x_lo, e.x_hi, x_target, plot.x.linear_below), plot.x.label, true);
  Labels labels(pen, frame);
  const Rect box = plot.box ? draw_box(pen, *plot.box, x, y) : Rect{};
  labels.block(box);
  for (const ScatterGroup& group : plot.groups) {
    const std::string color = fmt::format("c{}", group.color);
    std::vector<std::pair<double, double>> path;
    for (const ScatterPoint& p : group.points) path.emplace_back(x(p.x), y(p.y));
    if (path.size() > 1) pen.polyline(path, color + " thread");
    for (const ScatterPoint& p : group.points) draw_intervals(pen, p, x, y, color, labels);
  }
  for (size_t g = 0; g < plot.groups.size(); ++g) {
    for (const ScatterPoint& p : plot.groups[g].points) {
      pen.marker(static_cast<int>(g), x(p.x), y(p.y), 4.6, fmt::format("c{} dot", plot.groups[g].color), p.title);
      labels.block(around(x(p.x), y(p.y)));
    }
  }
  if (plot.box) labels.place(box, plot.box->label, "ref-label halo");
  for (const ScatterGroup& group : plot.groups)
    for (const ScatterPoint& p : group.points)
      labels.place(around(x(p.x), y(p.y)), p.label, fmt::format("c{} point-label halo", group.color));
  return pen.finish();
}

}  // namespace ballast::report
