#include "report/svg_pen.h"

#include <fmt/format.h>

#include <cmath>
#include <iterator>

#include "report/html.h"

namespace ballast::report {
namespace {

std::string titled(std::string_view title) {
  return title.empty() ? "/>" : fmt::format("><title>{}</title>", escape(title));
}

template <class... Args>
void append(std::string& out, fmt::format_string<Args...> format, Args&&... args) {
  fmt::format_to(std::back_inserter(out), format, std::forward<Args>(args)...);
}

std::string path_of(const std::vector<std::pair<double, double>>& points) {
  std::string d;
  for (size_t i = 0; i < points.size(); ++i)
    append(d, "{}{:.1f} {:.1f}", i == 0 ? "M" : "L", points[i].first, points[i].second);
  return d;
}

}  // namespace

double text_width(std::string_view text, double size) {
  double em = 0;
  for (const char c : text) {
    if ((c & 0xC0) == 0x80) continue;  // continuation bytes of UTF-8 take no room of their own
    const bool narrow = std::string_view(" .,:;'|!il1tfj()[]/-").find(c) != std::string_view::npos;
    em += narrow ? 0.38 : (c >= 'A' && c <= 'Z') || c == 'm' || c == 'w' || c == '_' ? 0.70 : 0.57;
  }
  return em * size;
}

Pen::Pen(double width, double height, std::string_view label) {
  append(out_, "<svg viewBox=\"0 0 {0:.0f} {1:.0f}\" style=\"max-width:{2:.0f}px\" role=\"img\" aria-label=\"{3}\">",
         width, height, width * 1.25, escape(label));
}

std::string Pen::finish() { return std::move(out_) + "</svg>"; }

void Pen::line(double x1, double y1, double x2, double y2, std::string_view css) {
  append(out_, "<path class=\"{}\" d=\"M{:.1f} {:.1f}L{:.1f} {:.1f}\"/>", css, x1, y1, x2, y2);
}

void Pen::rect(double x, double y, double w, double h, std::string_view css, std::string_view title) {
  append(out_, "<rect class=\"{}\" x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" height=\"{:.1f}\"{}", css, x, y,
         std::max(w, 0.0), std::max(h, 0.0), titled(title));
  if (!title.empty()) out_ += "</rect>";
}

void Pen::polyline(const std::vector<std::pair<double, double>>& points, std::string_view css) {
  if (points.empty()) return;
  append(out_, "<path class=\"{}\" d=\"{}\"/>", css, path_of(points));
}

void Pen::polygon(const std::vector<std::pair<double, double>>& points, std::string_view css, std::string_view title) {
  append(out_, "<path class=\"{}\" d=\"{}Z\"{}", css, path_of(points), titled(title));
  if (!title.empty()) out_ += "</path>";
}

void Pen::text(double x, double y, std::string_view anchor, std::string_view css, std::string_view words,
               std::string_view extra) {
  append(out_, "<text class=\"{}\" x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"{}\"{}{}>{}</text>", css, x, y, anchor,
         extra.empty() ? "" : " ", extra, escape(words));
}

void Pen::marker(int shape, double x, double y, double r, std::string_view css, std::string_view title) {
  std::vector<std::pair<double, double>> at;
  switch (shape % 4) {
    case 0:
      append(out_, "<circle class=\"{}\" cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"{:.1f}\"{}", css, x, y, r, titled(title));
      if (!title.empty()) out_ += "</circle>";
      return;
    case 1:
      at = {{x - r, y - r}, {x + r, y - r}, {x + r, y + r}, {x - r, y + r}};
      break;
    case 2:
      at = {{x, y - 1.25 * r}, {x + 1.15 * r, y + 0.85 * r}, {x - 1.15 * r, y + 0.85 * r}};
      break;
    default:
      at = {{x, y - 1.35 * r}, {x + 1.35 * r, y}, {x, y + 1.35 * r}, {x - 1.35 * r, y}};
      break;
  }
  polygon(at, css, title);
}

void Pen::x_axis(const Frame& frame, const AxisMap& map, const Ticks& ticks, std::string_view label, bool grid) {
  for (size_t i = 0; i < ticks.at.size(); ++i) {
    const double x = map(ticks.at[i]);
    if (grid) {
      line(x, frame.top, x, frame.bottom, "grid");
    } else {
      line(x, frame.bottom, x, frame.bottom + 4, "axis");
    }
    // A label that would stick out of the frame's right end is pulled in rather than cut off.
    const double half = text_width(ticks.text[i], 12) / 2;
    const bool cut = x + half > frame.right + 14;
    text(cut ? frame.right + 4 : x, frame.bottom + 18, cut ? "end" : "middle", "tick", ticks.text[i]);
  }
  if (!grid) line(frame.left, frame.bottom, frame.right, frame.bottom, "axis");
  text((frame.left + frame.right) / 2, frame.bottom + 37, "middle", "axis-label", label);
}

void Pen::y_axis(const Frame& frame, const AxisMap& map, const Ticks& ticks, std::string_view label) {
  for (size_t i = 0; i < ticks.at.size(); ++i) {
    const double y = map(ticks.at[i]);
    line(frame.left, y, frame.right, y, "grid");
    text(frame.left - 8, y + 4, "end", "tick", ticks.text[i]);
  }
  // Above the axis and level, not turned: it is read without tilting one's head.
  text(0, frame.top - 12, "start", "axis-label", label);
}

}  // namespace ballast::report
