#include "report/svg.h"

#include <gtest/gtest.h>

#include "report/html.h"
#include "report/png.h"

namespace ballast::report {
namespace {

size_t occurrences(const std::string& text, std::string_view words) {
  size_t n = 0;
  for (size_t at = 0; (at = text.find(words, at)) != std::string::npos; at += words.size()) ++n;
  return n;
}

TEST(Svg, LinePlot) {
  LinePlot plot{.x = {.label = "step"}, .y = {.label = "loss", .lo = 0, .hi = 10}};
  plot.series.push_back(
      {.name = "a", .color = 2, .x = {0, 1, 2}, .y = {10, 5, 0.0 / 0.0}, .lo = {9, 4, 0}, .hi = {10, 6, 1}});
  plot.references.push_back({3, "ceiling <3>"});
  const std::string svg = draw(plot, 400);
  EXPECT_EQ(occurrences(svg, "c2 line"), 1u);
  EXPECT_EQ(occurrences(svg, "c2 band"), 1u);
  EXPECT_EQ(occurrences(svg, "ceiling &lt;3&gt;"), 1u);
  EXPECT_EQ(occurrences(svg, "nan"), 0u);
  EXPECT_EQ(svg.find("<svg "), 0u);
}

TEST(Svg, LongSeriesAreThinnedToTheirExtremes) {
  Series series{.name = "a"};
  for (int i = 0; i < 100000; ++i) {
    series.x.push_back(i);
    series.y.push_back(i == 5000 ? 100 : i % 7);
  }
  const std::string svg = draw(LinePlot{.y = {.lo = 0, .hi = 100}, .series = {series}}, 400);
  EXPECT_LT(svg.size(), 20000u);
  const size_t line = svg.find("c0 line");
  EXPECT_EQ(occurrences(svg.substr(line, svg.find("/>", line) - line), " 32.0L"),
            1u);  // the one peak reaches the frame's top
}

TEST(Svg, EmptyAndConstantDataDraw) {
  for (const double width : {358.0, 1040.0}) {
    EXPECT_EQ(occurrences(draw(LinePlot{}, width), "nan"), 0u);
    EXPECT_EQ(occurrences(draw(LinePlot{.series = {{.name = "c", .x = {1}, .y = {2}}}}, width), "nan"), 0u);
    EXPECT_EQ(occurrences(draw(BarChart{.bars = {{"zero", 0, "0"}}}, width), "nan"), 0u);
    EXPECT_EQ(draw(Scatter{}, width), "");
    EXPECT_EQ(occurrences(draw(Scatter{.groups = {{"g", 0, {{1, 1}}}}}, width), "nan"), 0u);
  }
}

TEST(Svg, BarsAreProportional) {
  const std::string svg = draw(BarChart{.bars = {{"a", 2, "2", 0, 1.5, 2.5}, {"b", 4, "4", 1}}}, 500);
  const auto width_of = [&](std::string_view css) {
    const size_t at = svg.find("width=\"", svg.find(css));
    return std::stod(svg.substr(at + 7));
  };
  EXPECT_NEAR(width_of("c1 bar") / width_of("c0 bar"), 2, 0.01);
  EXPECT_EQ(occurrences(svg, "class=\"error\""), 3u);
}

TEST(Svg, ScatterLabelsNeverOverlap) {
  Scatter plot{.x = {.label = "x"}, .y = {.label = "y"}, .groups = {{"g", 0, {}}}};
  for (int i = 0; i < 30; ++i) plot.groups[0].points.push_back({1, 1, {}, {}, {}, {}, "same place", "hover"});
  const std::string svg = draw(plot, 500);
  EXPECT_LE(occurrences(svg, ">same place<"), 6u);
  EXPECT_GE(occurrences(svg, ">same place<"), 1u);
  EXPECT_EQ(occurrences(svg, "<title>hover</title>"), 30u);
}

TEST(Html, TableAlignsAndEscapes) {
  Table table({{"name", false}, {"a|b"}});
  table.add({"<x>", Cell("1|2", "at floor")});
  EXPECT_NE(table.html().find("<td class=\"n\">1|2 <span class=\"badge\">at floor</span>"), std::string::npos);
  EXPECT_NE(table.html().find("&lt;x&gt;"), std::string::npos);
  EXPECT_EQ(table.markdown(), "| name | a\\|b |\n|---|---:|\n| <x> | 1\\|2 (at floor) |\n");
}

// A 2 x 1 image of a known palette, byte for byte: written with Python's zlib and struct from the PNG specification.
TEST(Png, KnownBytes) {
  const uint8_t pixels[] = {0, 1};
  const Rgba palette[] = {{1, 2, 3, 0}, {250, 251, 252, 255}};
  EXPECT_EQ(data_uri(png(pixels, 2, 1, palette)),
            "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAIAAAABCAMAAADD/I+4AAAABlBMVEUBAgP6+/z9XuajAAAAAnRSTl"
            "MA/1uRIrUAAAAOSURBVHgBAQMA/P8AAAEABAACCyGLcQAAAABJRU5ErkJggg==");
}

}  // namespace
}  // namespace ballast::report
