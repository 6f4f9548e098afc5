#include "report/html.h"

#include <fmt/format.h>

#include "base/error.h"

namespace ballast::report {
namespace {

// Widths that the drawings are made for: the page's column, half of it less the gap, and a phone's.
constexpr double kWide = 1040, kHalf = 504, kPhone = 358;

std::string panel_html(const Panel& panel, double wide) {
  std::string out = "<div class=\"panel\">";
  if (!panel.title.empty()) out += fmt::format("<h4>{}</h4>", escape(panel.title));
  return out + fmt::format("<div class=\"wide\">{}</div><div class=\"phone\">{}</div></div>", panel.draw(wide),
                           panel.draw(kPhone));
}

std::string markdown_cell(std::string text) {
  for (size_t at = 0; (at = text.find('|', at)) != std::string::npos; at += 2) text.insert(at, "\\");
  return text;
}

}  // namespace

std::string escape(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      case '\'':
        out += "&#39;";
        break;
      default:
        // HTML has no way to write the other control characters.
        if (static_cast<unsigned char>(c) < 0x20 && c != '\n' && c != '\t' && c != '\r') {
          out += "\ufffd";
        } else {
          out += c;
        }
    }
  }
  return out;
}

void Table::add(std::vector<Cell> row) {
  CHECK(row.size() == columns_.size());
  rows_.push_back(std::move(row));
}

std::string Table::html() const {
  std::string out = "<div class=\"scroll\"><table><thead><tr>";
  for (const Column& column : columns_)
    out += fmt::format("<th{}>{}</th>", column.numeric ? " class=\"n\"" : "", escape(column.name));
  out += "</tr></thead><tbody>";
  for (const auto& row : rows_) {
    out += "<tr>";
    for (size_t i = 0; i < row.size(); ++i) {
      out += fmt::format("<td{}>{}", columns_[i].numeric ? " class=\"n\"" : "", escape(row[i].text));
      if (!row[i].badge.empty()) out += fmt::format(" <span class=\"badge\">{}</span>", escape(row[i].badge));
      out += "</td>";
    }
    out += "</tr>";
  }
  return out + "</tbody></table></div>";
}

std::string Table::markdown() const {
  std::string out = "|", rule = "|";
  for (const Column& column : columns_) {
    out += " " + markdown_cell(column.name) + " |";
    rule += column.numeric ? "---:|" : "---|";
  }
  out += "\n" + rule + "\n";
  for (const auto& row : rows_) {
    out += "|";
    for (const Cell& cell : row)
      out += " " + markdown_cell(cell.text) + (cell.badge.empty() ? "" : " (" + cell.badge + ")") + " |";
    out += "\n";
  }
  return out;
}

std::string legend(const std::vector<LegendEntry>& entries) {
  std::string out = "<ul class=\"legend\">";
  for (const LegendEntry& entry : entries)
    out += fmt::format("<li class=\"c{}{}\">{}{}</li>", entry.color, entry.key_svg.empty() ? "" : " keyed",
                       entry.key_svg, escape(entry.name));
  return out + "</ul>";
}

std::string html(const Figure& figure) {
  std::string out = fmt::format("<figure><h3>{}</h3>{}", escape(figure.title), figure.legend_html);
  if (!figure.panels.empty()) {
    const bool pair = figure.panels.size() > 1;
    out += pair ? "<div class=\"pair\">" : "";
    for (const Panel& panel : figure.panels) out += panel_html(panel, pair ? kHalf : kWide);
    out += pair ? "</div>" : "";
  }
  out += figure.body_html;
  if (!figure.caption_html.empty()) out += "<figcaption>" + figure.caption_html + "</figcaption>";
  return out + "</figure>";
}

std::string paragraph(std::string_view text) { return fmt::format("<p>{}</p>", escape(text)); }

std::string code_block(std::string_view text) { return fmt::format("<pre><code>{}</code></pre>", escape(text)); }

std::string details(std::string_view summary, std::string_view body_html) {
  return fmt::format("<details><summary>{}</summary>{}</details>", escape(summary), body_html);
}

std::string html(const Page& page) {
  std::string out = fmt::format(
      "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">"
      "<meta name=\"color-scheme\" content=\"light dark\"><title>{}</title>\n<style>{}</style></head>\n<body><main>\n",
      escape(page.title), kStyleSheet);
  if (!page.banner.empty()) out += fmt::format("<p class=\"banner\" role=\"alert\">{}</p>\n", escape(page.banner));
  out +=
      fmt::format("<header><p class=\"eyebrow\">Ballast report</p><h1>{}</h1><p class=\"lead\">{}</p></header>\n{}\n",
                  escape(page.title), escape(page.subtitle), page.head_html);
  std::string contents, body;
  for (const Section& section : page.sections) {
    if (section.body_html.empty()) continue;
    contents += fmt::format("<a href=\"#{}\">{}</a>", section.id, escape(section.title));
    body += fmt::format("<section id=\"{}\"><h2>{}</h2>\n{}\n</section>\n", section.id, escape(section.title),
                        section.body_html);
  }
  if (!contents.empty()) out += "<nav aria-label=\"Contents\">" + contents + "</nav>\n";
  return out + body + fmt::format("<footer>{}</footer>\n</main></body></html>\n", escape(page.footer));
}

}  // namespace ballast::report
