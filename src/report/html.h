// The page around the figures: one file, style sheet inside, no script, nothing fetched. Light and dark follow the
// reader's system.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace ballast::report {

std::string escape(std::string_view text);  // & < > " ' for text and attributes; control characters become U+FFFD

struct Column {
  std::string name;
  bool numeric = true;  // right-aligned, tabular figures
};

struct Cell {
  std::string text;
  std::string badge;  // a short remark beside the text: "at floor"
  Cell(std::string text, std::string badge = {}) : text(std::move(text)), badge(std::move(badge)) {}
  Cell(const char* text) : text(text) {}
};

class Table {
 public:
  explicit Table(std::vector<Column> columns) : columns_(std::move(columns)) {}
  void add(std::vector<Cell> row);  // as many cells as columns
  bool empty() const { return rows_.empty(); }
  std::string html() const;
  std::string markdown() const;

 private:
  std::vector<Column> columns_;
  std::vector<std::vector<Cell>> rows_;
};

struct LegendEntry {
  std::string name;
  int color = 0;
  std::string key_svg;  // instead of a piece of line
};
std::string legend(const std::vector<LegendEntry>& entries);

// A figure is one panel, or two side by side where the screen is wide. `draw` gets the width in CSS pixels and is
// called once for wide screens and once for phones; the style sheet shows one of the two.
struct Panel {
  std::string title;  // empty for a single panel
  std::function<std::string(double width)> draw;
};
struct Figure {
  std::string title;
  std::string legend_html;  // above the panels
  std::vector<Panel> panels;
  std::string body_html;  // instead of panels: markup that fits any width itself
  std::string caption_html;
};
std::string html(const Figure& figure);

std::string paragraph(std::string_view text);
std::string code_block(std::string_view text);
std::string details(std::string_view summary, std::string_view body_html);  // closed until clicked

struct Section {
  std::string id, title, body_html;
};
struct Page {
  std::string title, subtitle;
  std::string banner;  // escaped and shown first of all; empty: none
  std::string head_html;
  std::vector<Section> sections;  // those with an empty body are left out
  std::string footer;
};
std::string html(const Page& page);

extern const char* const kStyleSheet;  // style.cc

}  // namespace ballast::report
