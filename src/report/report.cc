#include "report/report.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <map>

#include "base/error.h"
#include "base/file.h"
#include "report/sections.h"

namespace ballast {
namespace report {
namespace {

namespace fs = std::filesystem;

int arm_color(const std::string& name, size_t index) {
  static const std::map<std::string, int, std::less<>> kKnown{{"sign_centered", 0}, {"aux_global", 1}, {"none", 6}};
  const auto known = kKnown.find(name);
  return known == kKnown.end() ? static_cast<int>(index % 7) : known->second;
}

View view_of(const std::vector<RunGroup>& groups) {
  View view;
  view.overlay = groups.size() > 1;
  view.summary = groups.size() == 1 ? groups.front().summary : Json::object();
  view.config = groups.size() == 1 ? groups.front().config : std::string();
  for (const RunGroup& group : groups) {
    for (const Run& run : group.runs) {
      const bool arm_of_many = groups.size() > 1 && run.folder != group.folder;
      Arm arm{&run, arm_of_many ? group.name + "/" + run.name : run.name, 0};
      const auto same = [&](const Arm& other) { return other.name == arm.name; };
      if (std::any_of(view.arms.begin(), view.arms.end(), same)) arm.name = run.folder.string();
      arm.color = arm_color(arm.name, view.arms.size());
      view.arms.push_back(std::move(arm));
    }
  }
  return view;
}

// A string as it is; an object as "hidden 192 · layers 6".
std::string words(const Json* value) {
  if (!value) return {};
  if (value->is_string()) return value->as_string();
  if (value->is_number()) return value->is_int() ? grouped(value->as_double()) : significant(value->as_double());
  if (!value->is_object()) return value->dump();
  std::string out;
  for (const auto& [key, v] : value->as_object()) {
    std::string name = key;
    std::replace(name.begin(), name.end(), '_', ' ');
    out += (out.empty() ? "" : " · ") + name + " " + words(&v);
  }
  return out;
}

std::string facts(const View& view) {
  std::string out;
  const auto add = [&](std::string_view name, const std::string& value, std::string_view css = "") {
    if (!value.empty()) out += fmt::format("<div class=\"{}\"><dt>{}</dt><dd>{}</dd></div>", css, name, escape(value));
  };
  const auto count = [&](std::initializer_list<std::string_view> path) {
    const auto v = number(view.summary, path);
    return v ? grouped(*v) : std::string();
  };
  add("Model", words(lookup(view.summary, {"header", "shape"})), "w4");
  add("Parameters", count({"model", "params_total"}));
  add("Active per token", count({"model", "params_active"}));
  if (const auto share = number(view.summary, {"model", "routed_byte_share"}))
    add("Routed share of bytes per token", percent(share));
  add("Training tokens", words(lookup(view.summary, {"header", "tokens"})));
  add("Compute dtype", words(lookup(view.summary, {"header", "dtype"})));
  add("Instruction set", words(lookup(view.summary, {"header", "isa"})));
  add("Machine", words(lookup(view.summary, {"header", "machine"})), "w2");
  add("Commit", words(lookup(view.summary, {"header", "commit"})), "w2");
  add("Corpus", words(lookup(view.summary, {"header", "corpus_hash"})), "w2");
  return out.empty() ? out : "<dl class=\"facts\">" + out + "</dl>";
}

std::string scope_note(bool quickstart) {
  if (!quickstart)
    return paragraph(
        "Each curve is one run with one seed: no interval on this page includes the training seed, and a "
        "difference between two curves is not yet a difference between two recipes.");
  return "<p><b>What a run this small can show:</b> that the whole path works, from source files to a measured model; "
         "that a "
         "balancing rule does or does not balance the experts; how fast this machine trains and decodes. "
         "<b>What it cannot:</b> which rule gives the better model, or what skipping experts costs on a trained one. "
         "Each arm "
         "was trained once: no interval on this page includes the training seed.</p>";
}

std::string commands_html(const View& view) {
  std::string out;
  if (const Json* commands = lookup(view.summary, {"commands"}); commands && commands->is_array()) {
    std::string lines;
    for (const Json& command : commands->as_array()) lines += text(command, {}) + "\n";
    if (!lines.empty()) out += code_block(lines);
  }
  if (!view.config.empty()) out += details("config.toml", code_block(view.config));
  for (const Arm& arm : view.arms)
    if (!arm.run->config.empty() && arm.run->config != view.config)
      out += details(arm.name + "/config.toml", code_block(arm.run->config));
  return out;
}

Page page_of(const View& view, const std::string& name) {
  const bool quickstart = lookup(view.summary, {"train"}) || lookup(view.summary, {"heldout"});
  Page page;
  page.title = name;
  page.subtitle = "Training, balance and expert skipping of a DeepSeek-V3-architecture code model, as measured.";
  page.banner = text(view.summary, {"balance_note"});
  page.head_html = facts(view) + scope_note(quickstart) + headline_tiles(view);
  page.sections = {{"training", "Training", training_section(view)},
                   {"balance", "Balance", balance_section(view)},
                   {"heldout", "Held-out text", heldout_section(view)},
                   {"skipping", "Expert skipping", skip_section(view)},
                   {"speed", "Speed", speed_section(view)},
                   {"commands", "Commands and configuration", commands_html(view)},
                   {"definitions", "Definitions", metric_definitions()}};
  page.footer = "Written by ballast. The same figures are in report.csv (curves) and report.md (tables).";
  return page;
}

std::string csv_field(const std::string& value) {
  if (value.find_first_of(",\"\n") == std::string::npos) return value;
  std::string out = "\"";
  for (const char c : value) out += c == '"' ? "\"\"" : std::string(1, c);
  return out + "\"";
}

std::string csv_of(const View& view) {
  std::string out = "run,step,tokens,key,value\n";
  for (const Arm& arm : view.arms) {
    for (const auto& [key, samples] : arm.run->metrics) {
      for (const Sample& sample : samples) {
        const auto tokens = arm.run->tokens_at(sample.step);
        fmt::format_to(std::back_inserter(out), "{},{},{},{},{}\n", csv_field(arm.name), sample.step,
                       tokens ? fmt::format("{:.0f}", *tokens) : "", csv_field(key), sample.value);
      }
    }
  }
  return out;
}

std::string markdown_of(const View& view, const std::string& name) {
  std::string out = "# " + name + "\n";
  if (const std::string note = text(view.summary, {"balance_note"}); !note.empty()) out = note + "\n\n" + out;
  const auto add = [&](std::string_view title, const Table& table) {
    if (!table.empty()) out += fmt::format("\n## {}\n\n{}", title, table.markdown());
  };
  add("Training", train_table(view));
  add("Balance", balance_table(view));
  add("Held-out text", heldout_table(view));
  add("Line completion", line_table(view));
  add("Expert skipping", skip_table(view));
  add("Time", stage_table(view));
  return out + "\nEach arm was trained once: no interval includes the training seed.\n";
}

ReportFiles write(const std::vector<RunGroup>& groups, const fs::path& html_file) {
  const View view = view_of(groups);
  std::string name;
  for (const RunGroup& group : groups) name += (name.empty() ? "" : ", ") + group.name;
  ReportFiles files{html_file, fs::path(html_file).replace_extension(".csv"),
                    fs::path(html_file).replace_extension(".md")};
  write_file_atomic(files.csv, csv_of(view));
  write_file_atomic(files.markdown, markdown_of(view, name));
  write_file_atomic(files.html, html(page_of(view, name)));
  return files;
}

}  // namespace
}  // namespace report

ReportFiles write_report(const std::filesystem::path& run_folder) {
  std::vector<report::RunGroup> groups;
  groups.push_back(report::load_group(run_folder));
  return report::write(groups, run_folder / "report.html");
}

ReportFiles write_report(const std::vector<std::filesystem::path>& run_folders,
                         const std::filesystem::path& html_file) {
  if (run_folders.empty()) fail(ErrorKind::usage, "report", "no run folder given");
  std::vector<report::RunGroup> groups;
  for (const auto& folder : run_folders) groups.push_back(report::load_group(folder));
  return report::write(groups, html_file);
}

}  // namespace ballast
