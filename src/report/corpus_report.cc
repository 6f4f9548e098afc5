#include "report/corpus_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <vector>

#include "base/error.h"
#include "base/file.h"
#include "base/jsonl.h"
#include "report/html.h"
#include "report/svg.h"

namespace ballast {
namespace report {
namespace {
namespace fs = std::filesystem;

constexpr size_t kMostRows = 30;  // of a table or chart: the largest; the others are one row
constexpr size_t kMostClusters = 20;
constexpr int64_t kFormat = 1;

struct Count {
  int64_t files = 0, bytes = 0;
  void add(int64_t n) {
    ++files;
    bytes += n;
  }
};

struct Package {
  Count train, held_out, dropped;
  std::string version, license;
  int64_t kept() const { return train.bytes + held_out.bytes; }
};

struct Figures {
  Json head;
  Count seen, train, held_out, dropped;
  std::map<std::string, Package> packages;
  std::map<std::string, Count> licenses, rules;
  std::map<std::string, int64_t> copies;  // of a kept file, by its path
};

// As data writes them: the rule is the reason's first words.
std::string rule_of(const std::string& reason) {
  for (const char* rule : {"copy", "near-duplicate", "license", "benchmark"}) {
    if (reason.starts_with(rule)) return rule;
  }
  return reason;
}

std::string member(const Json& line, std::string_view key) {
  const Json* value = line.find(key);
  return value ? value->as_string() : std::string();
}

void count_line(const Json& line, const std::string& where, Figures& f) {
  const int64_t bytes = line.at("bytes", where).as_int(where);
  Package& package = f.packages[line.at("package", where).as_string(where)];
  const std::string license = line.at("license", where).as_string(where), reason = member(line, "dropped");
  if (package.version.empty()) package.version = member(line, "version");
  if (package.license.empty()) package.license = license;
  if (package.license != license) package.license = "several";
  f.seen.add(bytes);
  f.licenses[license].add(bytes);
  if (!reason.empty()) {
    package.dropped.add(bytes);
    f.dropped.add(bytes);
    f.rules[rule_of(reason)].add(bytes);
    const size_t of = reason.find(" of ");
    if (rule_of(reason) == "copy" || rule_of(reason) == "near-duplicate") ++f.copies[reason.substr(of + 4)];
    return;
  }
  const bool held_out = line.at("split", where).as_string(where) == "held_out";
  (held_out ? package.held_out : package.train).add(bytes);
  (held_out ? f.held_out : f.train).add(bytes);
}

Figures read_manifest(const fs::path& file) {
  JsonlReader reader(file);
  Figures f;
  Json line;
  const auto where = [&] { return file.string() + ":" + std::to_string(reader.line()); };
  if (!reader.next(line) || !line.is_object() || member(line, "kind") != "corpus manifest")
    fail(ErrorKind::format, file.string(), "is not a corpus manifest; `ballast corpus --out DIR` writes one");
  if (const int64_t format = line.at("format", where()).as_int(where()); format != kFormat)
    fail(ErrorKind::unsupported, file.string(), "has format {}; this program reads {}", format, kFormat);
  f.head = line.at("report", where());
  while (reader.next(line)) count_line(line, where(), f);
  return f;
}

std::string megabytes(int64_t bytes) { return fixed(static_cast<double>(bytes) / 1e6, bytes < 10'000'000 ? 2 : 1); }
std::string share(int64_t part, int64_t whole) {
  return whole == 0 ? "–" : fixed(100.0 * static_cast<double>(part) / static_cast<double>(whole), 1);
}

template <class T, class F>
std::vector<std::pair<std::string, T>> largest_first(const std::map<std::string, T>& of, F&& size) {
  std::vector<std::pair<std::string, T>> rows(of.begin(), of.end());
  std::stable_sort(rows.begin(), rows.end(),
                   [&](const auto& a, const auto& b) { return size(a.second) > size(b.second); });
  return rows;
}

// Rows below `kMostRows` become one.
template <class Row, class Add>
size_t head_rows(const std::vector<Row>& rows, Add&& add_rest) {
  if (rows.size() <= kMostRows + 1) return rows.size();
  for (size_t i = kMostRows; i < rows.size(); ++i) add_rest(rows[i].second);
  return kMostRows;
}

Table overview_table(const Figures& f) {
  Table table({{"part", false}, {"files"}, {"MB"}, {"packages"}});
  int64_t train = 0, held_out = 0;
  for (const auto& [name, p] : f.packages) {
    train += p.train.files > 0;
    held_out += p.held_out.files > 0;
  }
  table.add({"looked at", grouped(double(f.seen.files)), megabytes(f.seen.bytes), grouped(double(f.packages.size()))});
  table.add({"training", grouped(double(f.train.files)), megabytes(f.train.bytes), grouped(double(train))});
  table.add({"held out", grouped(double(f.held_out.files)), megabytes(f.held_out.bytes), grouped(double(held_out))});
  table.add({"dropped", grouped(double(f.dropped.files)), megabytes(f.dropped.bytes), "–"});
  return table;
}

Table package_table(const Figures& f) {
  Table table({{"package", false},
               {"version", false},
               {"license", false},
               {"kept files"},
               {"kept MB"},
               {"% of kept"},
               {"dropped MB"}});
  const int64_t all = f.train.bytes + f.held_out.bytes;
  const auto rows = largest_first(f.packages, [](const Package& p) { return p.kept(); });
  Count rest, rest_dropped;
  const size_t shown = head_rows(rows, [&](const Package& p) {
    rest.files += p.train.files + p.held_out.files;
    rest.bytes += p.kept();
    rest_dropped.bytes += p.dropped.bytes;
  });
  for (size_t i = 0; i < shown; ++i) {
    const Package& p = rows[i].second;
    table.add({Cell(rows[i].first, p.held_out.files > 0 ? "held out" : ""), p.version, p.license,
               grouped(double(p.train.files + p.held_out.files)), megabytes(p.kept()), share(p.kept(), all),
               megabytes(p.dropped.bytes)});
  }
  if (shown < rows.size())
    table.add({fmt::format("{} others", rows.size() - shown), "", "", grouped(double(rest.files)),
               megabytes(rest.bytes), share(rest.bytes, all), megabytes(rest_dropped.bytes)});
  return table;
}

Table count_table(const std::map<std::string, Count>& counts, const char* name, const Figures& f) {
  Table table({{name, false}, {"files"}, {"MB"}, {"% of bytes"}});
  const auto rows = largest_first(counts, [](const Count& c) { return c.bytes; });
  Count rest;
  const size_t shown = head_rows(rows, [&](const Count& c) {
    rest.files += c.files;
    rest.bytes += c.bytes;
  });
  for (size_t i = 0; i < shown; ++i) {
    const Count& c = rows[i].second;
    table.add({rows[i].first, grouped(double(c.files)), megabytes(c.bytes), share(c.bytes, f.seen.bytes)});
  }
  if (shown < rows.size())
    table.add({fmt::format("{} others", rows.size() - shown), grouped(double(rest.files)), megabytes(rest.bytes),
               share(rest.bytes, f.seen.bytes)});
  return table;
}

// How many files a kept one stands for: 2, 3-4, 5-8, ...
std::vector<std::pair<std::string, int64_t>> cluster_sizes(const Figures& f) {
  std::vector<std::pair<std::string, int64_t>> bins;
  for (const auto& [path, copies] : f.copies) {
    size_t bin = 0;
    while (copies + 1 > int64_t{2} << bin) ++bin;
    while (bins.size() <= bin) {
      const int64_t lo = (int64_t{1} << bins.size()) + 1, hi = int64_t{2} << bins.size();
      bins.push_back({lo == hi ? std::to_string(lo) : fmt::format("{}–{}", lo, hi), 0});
    }
    ++bins[bin].second;
  }
  return bins;
}

std::string bar_figure(std::string title, std::string axis, std::vector<Bar> bars, std::string caption = {}) {
  if (bars.empty()) return {};
  const BarChart chart{.value = {.label = std::move(axis)}, .bars = std::move(bars)};
  Figure figure{.title = std::move(title)};
  figure.panels.push_back({"", [chart](double width) { return draw(chart, width); }});
  figure.caption_html = std::move(caption);
  return html(figure);
}

std::vector<Bar> count_bars(const std::map<std::string, Count>& counts) {
  std::vector<Bar> bars;
  for (const auto& [name, c] : largest_first(counts, [](const Count& c) { return c.bytes; })) {
    if (bars.size() == kMostRows) break;
    bars.push_back({name, static_cast<double>(c.bytes) / 1e6, megabytes(c.bytes), 0});
  }
  return bars;
}

std::string packages_section(const Figures& f) {
  std::vector<Bar> bars;
  for (const auto& [name, p] : largest_first(f.packages, [](const Package& p) { return p.kept(); })) {
    if (bars.size() == kMostRows || p.kept() == 0) break;
    bars.push_back({name, static_cast<double>(p.kept()) / 1e6, megabytes(p.kept()), p.held_out.files > 0 ? 1 : 0});
  }
  const std::string note = fmt::format("The largest of {}; the second color is held out.", f.packages.size());
  return bar_figure("What was kept, by package", "MB", std::move(bars), note) + package_table(f).html();
}

std::string dropped_section(const Figures& f) {
  const Table table = count_table(f.rules, "rule", f);
  return table.empty() ? std::string() : bar_figure("What each rule dropped", "MB", count_bars(f.rules)) + table.html();
}

std::string copies_section(const Figures& f) {
  std::vector<Bar> bars;
  for (const auto& [name, n] : cluster_sizes(f)) bars.push_back({name + " files", double(n), grouped(double(n)), 0});
  if (bars.empty()) return {};
  Table table({{"kept file", false}, {"copies dropped"}});
  const auto largest = largest_first(f.copies, [](int64_t n) { return n; });
  for (size_t i = 0; i < std::min(kMostClusters, largest.size()); ++i)
    table.add({largest[i].first, grouped(double(largest[i].second))});
  return bar_figure("How many files a kept one stands for", "clusters", std::move(bars),
                    "Equal files, and files whose lines' Jaccard similarity is above the threshold.") +
         details("The largest clusters", table.html());
}

std::string held_out_sentence(const Figures& f) {
  const Json* copied = f.head.find("held_out_copied");
  if (!copied || f.held_out.files == 0) return {};
  return fmt::format(
      "{} of {} held-out files ({} %) had a copy or near-copy in training; those training copies are dropped.",
      copied->as_int(), f.held_out.files, share(copied->as_int(), f.held_out.files));
}

Page page_of(const Figures& f) {
  Page page;
  page.title = "Corpus";
  page.subtitle = "What was looked at, what stayed, and why the rest did not.";
  const std::string origin = member(f.head, "origin");
  page.head_html = paragraph("From " + origin + ".") + overview_table(f).html() + paragraph(held_out_sentence(f));
  page.sections = {{"packages", "Packages", packages_section(f)},
                   {"licenses", "Licenses",
                    bar_figure("Bytes looked at, by license", "MB", count_bars(f.licenses)) +
                        count_table(f.licenses, "license", f).html()},
                   {"dropped", "Dropped", dropped_section(f)},
                   {"copies", "Copies", copies_section(f)}};
  page.footer = "Written by ballast. The same tables are in corpus.md; a line per file is in manifest.jsonl.";
  return page;
}

std::string markdown_of(const Figures& f) {
  std::string out = "# Corpus\n\nFrom " + member(f.head, "origin") + ".\n";
  const auto add = [&](std::string_view title, const Table& table) {
    if (!table.empty()) out += fmt::format("\n## {}\n\n{}", title, table.markdown());
  };
  add("Parts", overview_table(f));
  add("Packages", package_table(f));
  add("Licenses", count_table(f.licenses, "license", f));
  add("Dropped", count_table(f.rules, "rule", f));
  const std::string held_out = held_out_sentence(f);
  return held_out.empty() ? out : out + "\n" + held_out + "\n";
}

}  // namespace
}  // namespace report

CorpusReport write_corpus_report(const std::filesystem::path& folder) {
  const report::Figures figures = report::read_manifest(folder / "manifest.jsonl");
  CorpusReport out{report::markdown_of(figures), folder / "corpus.html", folder / "corpus.md"};
  write_file_atomic(out.markdown, out.text);
  write_file_atomic(out.html, report::html(report::page_of(figures)));
  return out;
}

}  // namespace ballast
