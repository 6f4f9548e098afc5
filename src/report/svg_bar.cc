#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "report/svg_pen.h"

namespace ballast::report {
namespace {

constexpr double kRow = 30, kThick = 17;

double longest_text(const BarChart& chart) {
  double widest = 0;
  for (const Bar& bar : chart.bars) widest = std::max(widest, text_width(bar.text, 13));
  return widest;
}

double longest_label(const BarChart& chart) {
  double widest = 0;
  for (const Bar& bar : chart.bars) widest = std::max(widest, text_width(bar.label, 13));
  return widest;
}

}  // namespace

std::string draw(const BarChart& chart, double width) {
  double hi = 0;
  for (const Bar& bar : chart.bars) hi = std::max({hi, bar.value, bar.hi.value_or(bar.value)});
  for (const Reference& reference : chart.references) hi = std::max(hi, reference.at);
  if (chart.value.hi) hi = *chart.value.hi;
  if (hi <= 0) hi = 1;
  const double top = chart.references.empty() ? 6 : 22;
  const double left = std::min(longest_label(chart) + 12, width * 0.48);
  const double height = top + kRow * chart.bars.size() + 46;
  const Frame frame{left, top, width - longest_text(chart) - 14, height - 44};
  const AxisMap x(chart.value.scale, 0, hi, frame.left, frame.right, chart.value.linear_below);
  const int target = std::clamp(static_cast<int>((frame.right - frame.left) / 55), 2, 8);

  Pen pen(width, height, chart.value.label);
  pen.x_axis(frame, x, make_ticks(chart.value.scale, 0, hi, target, chart.value.linear_below), chart.value.label, true);
  for (size_t i = 0; i < chart.bars.size(); ++i) {
    const Bar& bar = chart.bars[i];
    const double middle = frame.top + kRow * (i + 0.5), end = x(std::clamp(bar.value, 0.0, hi));
    pen.rect(frame.left, middle - kThick / 2, std::max(end - frame.left, 1.0), kThick,
             fmt::format("c{} bar{}", bar.color, bar.quiet ? " quiet" : ""), bar.label + ": " + bar.text);
    double behind = end;
    if (bar.lo && bar.hi) {
      const double a = x(std::clamp(*bar.lo, 0.0, hi)), b = x(std::clamp(*bar.hi, 0.0, hi));
      pen.line(a, middle, b, middle, "error");
      for (const double at : {a, b}) pen.line(at, middle - 4, at, middle + 4, "error");
      behind = std::max(behind, b);
    }
    pen.text(frame.left - 8, middle + 4.5, "end", "bar-label", bar.label);
    pen.text(behind + 7, middle + 4.5, "start", "bar-value halo", bar.text);
  }
  pen.line(frame.left, frame.top, frame.left, frame.bottom, "axis");
  for (const Reference& reference : chart.references) {
    const double at = x(reference.at);
    pen.line(at, frame.top - 4, at, frame.bottom, "ref");
    const bool flip = at + text_width(reference.label, 12) > width;
    pen.text(at, frame.top - 9, flip ? "end" : "start", "ref-label", reference.label);
  }
  return pen.finish();
}

}  // namespace ballast::report
