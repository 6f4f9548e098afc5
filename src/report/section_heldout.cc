#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "report/sections.h"
#include "report/svg.h"

namespace ballast::report {
namespace {

constexpr int kModelColor = 0, kShippedColor = 2, kRivalColor = 6;
constexpr size_t kSamples = 12;  // of each arm, the last ones
constexpr const char* kAtFloor = "at floor";

struct Compressor {
  const char *key, *label;
};
constexpr Compressor kCompressors[] = {
    {"ngram5", "byte 5-gram"}, {"xz_file", "xz, file by file"}, {"xz_primed", "xz, primed"}};

std::string rival_name(const std::string& key) {
  std::string name = key;
  std::replace(name.begin(), name.end(), '_', ' ');
  return name;
}

std::string shipped_name(const View& view) { return text(view.summary, {"shipped", "name"}); }

std::string shipped_note(const View& view) {
  const std::string name = shipped_name(view);
  return name.empty() ? name
                      : " " + escape(name) +
                            ", the model that comes with the program, was trained for longer, on other text, and is "
                            "measured on the same bytes, in windows of its own context without overlap.";
}

std::string bits_figure(const View& view) {
  const auto bpb = number(view.summary, {"heldout", "bpb"});
  if (!bpb) return {};
  BarChart chart{.value = {.label = "bits per byte (lower is better)"}};
  chart.bars.push_back({"this model", *bpb, fixed(*bpb, 3), kModelColor});
  if (const auto v = number(view.summary, {"shipped", "heldout", "bpb"}))
    chart.bars.push_back({shipped_name(view), *v, fixed(*v, 3), kShippedColor});
  for (const Compressor& rival : kCompressors)
    if (const auto v = number(view.summary, {"heldout", rival.key}))
      chart.bars.push_back({rival.label, *v, fixed(*v, 3), kRivalColor, {}, {}, true});
  chart.bars.push_back({"uniform", 8, "8.000", kRivalColor, {}, {}, true});
  Figure figure{.title = "Held-out bits per byte"};
  figure.panels.push_back({"", [chart](double width) { return draw(chart, width); }});
  const bool beats = beats_compressors(view.summary).value_or(true);
  figure.caption_html =
      std::string(beats ? "" : "<b>At floor:</b> the model does not beat the 5-gram and xz per file. ") +
      "Σ NLL / (ln 2 · bytes), every rival on exactly the same bytes; the model's context and xz’s "
      "“file by file” begin anew with every file, “primed” compresses behind the training part. xz is xz −9e." +
      shipped_note(view);
  return html(figure);
}

std::optional<double> best_line_rival(const Json& summary, std::string_view metric) {
  const Json* rivals = lookup(summary, {"line", "rivals"});
  if (!rivals || !rivals->is_object()) return std::nullopt;
  double best = -INFINITY;
  for (const auto& [key, rival] : rivals->as_object())
    best = std::max(best, number(rival, {metric}).value_or(-INFINITY));
  return best;
}

BarChart line_chart(const View& view, std::string_view metric, std::string_view label) {
  BarChart chart{.value = {.label = std::string(label)}};
  const auto add = [&](const std::string& name, std::optional<double> v, int color) {
    if (v) chart.bars.push_back({name, *v, fixed(*v, 1), color, {}, {}, color == kRivalColor});
  };
  const double floor = best_line_rival(view.summary, metric).value_or(-INFINITY);
  const auto add_model = [&](const std::string& name, std::optional<double> v, int color) {
    add(v && *v <= floor ? name + " (" + kAtFloor + ")" : name, v, color);
  };
  add_model("this model", number(view.summary, {"line", metric}), kModelColor);
  add_model("this model, infilling", number(view.summary, {"line", "infill", metric}), kModelColor);
  add_model(shipped_name(view), number(view.summary, {"shipped", "line", metric}), kShippedColor);
  add_model(shipped_name(view) + ", infilling", number(view.summary, {"shipped", "line", "infill", metric}),
            kShippedColor);
  if (const Json* rivals = lookup(view.summary, {"line", "rivals"}); rivals && rivals->is_object())
    for (const auto& [key, rival] : rivals->as_object()) add(rival_name(key), number(rival, {metric}), kRivalColor);
  return chart;
}

std::string line_figure(const View& view) {
  const BarChart exact = line_chart(view, "em", "% of lines"), edit = line_chart(view, "es", "indel similarity, 0–100");
  Figure figure{.title = "Completing a held-out line"};
  if (!exact.bars.empty())
    figure.panels.push_back({"Exact match", [exact](double width) { return draw(exact, width); }});
  if (!edit.bars.empty())
    figure.panels.push_back({"Edit similarity", [edit](double width) { return draw(edit, width); }});
  if (figure.panels.empty()) return {};
  figure.caption_html =
      "Prompts end before the line break, so the model must also know when to stop. Rivals see the same prompts: the "
      "previous line again, the most common successor of that line in training, and a repeat of what followed it "
      "earlier in the file. What does not beat its best rival reads “at floor”. “Infilling”: the same lines with what "
      "stands behind them given too.";
  return html(figure);
}

std::string completion_html(const View& view) {
  const std::string prompt = text(view.summary, {"completion", "prompt"});
  if (prompt.empty()) return {};
  const std::string source = text(view.summary, {"completion", "source"});
  std::string out =
      "<h3>One held-out completion" + (source.empty() ? "" : ", " + escape(source)) + "</h3><div class=\"completion\">";
  out += "<div class=\"w2\"><h4>Prompt</h4>" + code_block(prompt) + "</div>";
  out += "<div><h4>What the file says</h4>" + code_block(text(view.summary, {"completion", "truth"})) + "</div>";
  out += "<div><h4>What the model wrote</h4>" + code_block(text(view.summary, {"completion", "output"})) + "</div>";
  if (const std::string output = text(view.summary, {"shipped", "output"}); !output.empty())
    out += "<div><h4>What " + escape(shipped_name(view)) + " wrote</h4>" + code_block(output) + "</div>";
  return out + "</div>";
}

std::string samples_html(const View& view) {
  std::string out;
  for (const Arm& arm : view.arms) {
    const std::vector<TextSample>& samples = arm.run->samples;
    for (size_t i = samples.size() - std::min(samples.size(), kSamples); i < samples.size(); ++i)
      out += fmt::format("<h4>{}, step {}</h4>", escape(arm.name), samples[i].step) +
             code_block(samples[i].prompt + samples[i].text);
  }
  return out.empty() ? out : details("Samples written during training", out);
}

}  // namespace

std::optional<bool> beats_compressors(const Json& summary) {
  const auto bpb = number(summary, {"heldout", "bpb"});
  const auto ngram = number(summary, {"heldout", "ngram5"}), xz = number(summary, {"heldout", "xz_file"});
  if (!bpb || (!ngram && !xz)) return std::nullopt;
  return *bpb < ngram.value_or(INFINITY) && *bpb < xz.value_or(INFINITY);
}

std::optional<bool> beats_line_rivals(const Json& summary, std::string_view metric) {
  const auto own = number(summary, {"line", metric}), best = best_line_rival(summary, metric);
  if (!own || !best) return std::nullopt;
  return *own > *best;
}

Table heldout_table(const View& view) {
  Table table({{"on the held-out bytes", false}, {"bits per byte"}});
  if (const auto bpb = number(view.summary, {"heldout", "bpb"}))
    table.add({"this model", Cell(fixed(*bpb, 4), beats_compressors(view.summary).value_or(true) ? "" : kAtFloor)});
  if (const auto v = number(view.summary, {"shipped", "heldout", "bpb"})) table.add({shipped_name(view), fixed(*v, 4)});
  for (const Compressor& rival : kCompressors)
    if (const auto v = number(view.summary, {"heldout", rival.key})) table.add({rival.label, fixed(*v, 4)});
  return table;
}

Table line_table(const View& view) {
  Table table({{"line completion", false}, {"exact match, %"}, {"edit similarity"}});
  const auto cell = [&](const Json& row, std::string_view metric, bool model) {
    const double value = number(row, {metric}).value_or(NAN);
    const bool floor = model && value <= best_line_rival(view.summary, metric).value_or(-INFINITY);
    return Cell(fixed(value, 1), floor ? kAtFloor : "");
  };
  const Json* line = lookup(view.summary, {"line"});
  if (!line) return table;
  table.add({"this model", cell(*line, "em", true), cell(*line, "es", true)});
  const auto also = [&](const std::string& name, const Json* row) {
    if (row) table.add({name, cell(*row, "em", true), cell(*row, "es", true)});
  };
  also("this model, infilling", lookup(*line, {"infill"}));
  also(shipped_name(view), lookup(view.summary, {"shipped", "line"}));
  also(shipped_name(view) + ", infilling", lookup(view.summary, {"shipped", "line", "infill"}));
  if (const Json* rivals = lookup(*line, {"rivals"}); rivals && rivals->is_object())
    for (const auto& [key, rival] : rivals->as_object())
      table.add({rival_name(key), cell(rival, "em", false), cell(rival, "es", false)});
  return table;
}

std::string heldout_section(const View& view) {
  std::string out = bits_figure(view) + line_figure(view);
  if (const Table table = line_table(view); !table.empty()) out += table.html();
  return out + completion_html(view) + samples_html(view);
}

}  // namespace ballast::report
