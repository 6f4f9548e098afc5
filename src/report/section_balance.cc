#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "report/png.h"
#include "report/sections.h"
#include "report/svg.h"

namespace ballast::report {
namespace {

constexpr int64_t kWindow = 20;
constexpr double kBalanced = 0.5;  // MaxVio below which a layer counts as balanced
constexpr std::string_view kLayerKey = "max_vio/layer_";

// The number after `key =` in a TOML text; enough for the two integers of [model] that are wanted here.
std::optional<double> config_number(const std::string& config, std::string_view key) {
  for (size_t at = 0; (at = config.find(key, at)) != std::string::npos; at += key.size()) {
    const bool starts_line = at == 0 || config[at - 1] == '\n' || config[at - 1] == ' ';
    const size_t sign = config.find_first_not_of(' ', at + key.size());
    if (starts_line && sign != std::string::npos && config[sign] == '=') return std::atof(config.c_str() + sign + 1);
  }
  return std::nullopt;
}

std::vector<int> recorded_layers(const Run& run) {
  std::vector<int> layers;
  for (const auto& [key, samples] : run.metrics)
    if (key.starts_with(kLayerKey)) layers.push_back(std::atoi(key.c_str() + kLayerKey.size()));
  std::sort(layers.begin(), layers.end());
  return layers;
}

Series to_series(const Arm& arm, const std::vector<Sample>& samples, Series::Style style) {
  Series series{.name = arm.name, .color = arm.color, .style = style};
  for (const Sample& sample : samples) {
    series.x.push_back(static_cast<double>(sample.step));
    series.y.push_back(sample.value);
  }
  return series;
}

// Without the first steps, whose window is not yet full.
std::vector<Sample> whole_windows(std::vector<Sample> means) {
  std::erase_if(means, [](const Sample& sample) { return sample.step < kWindow; });
  return means;
}

// Arms of one shape share one line; arms of several shapes get one each, up to two.
void add_references(LinePlot& plot, const View& view) {
  std::map<std::string, double> lines;
  for (const Arm& arm : view.arms) {
    const LoadBounds bounds = load_bounds(view, *arm.run);
    if (bounds.ceiling) lines[fmt::format("ceiling {}", significant(*bounds.ceiling, 2))] = *bounds.ceiling;
    if (bounds.sampling_floor)
      lines[fmt::format("floor {}", fixed(*bounds.sampling_floor, 2))] = *bounds.sampling_floor;
  }
  if (lines.size() > 4) return;
  for (const auto& [label, at] : lines) plot.references.push_back({at, label});
}

std::string violation_figure(const View& view) {
  LinePlot worst, mean;
  for (const Arm& arm : view.arms) {
    const std::vector<Sample>&raw_worst = arm.run->metric("max_vio/worst"), &raw_mean = arm.run->metric("max_vio/mean");
    if (!raw_worst.empty()) worst.series.push_back(to_series(arm, raw_worst, Series::Style::faint));
    if (const auto smooth = whole_windows(worst_layer_mean(*arm.run)); !smooth.empty())
      worst.series.push_back(to_series(arm, smooth, Series::Style::line));
    if (raw_mean.empty()) continue;
    mean.series.push_back(to_series(arm, raw_mean, Series::Style::faint));
    mean.series.push_back(to_series(arm, whole_windows(running_mean(raw_mean, kWindow)), Series::Style::line));
  }
  double top = 0;
  for (LinePlot* plot : {&worst, &mean}) {
    plot->x.label = "optimizer step";
    plot->x.lo = 0;
    plot->y.label = "MaxVio";
    add_references(*plot, view);
    for (const Series& series : plot->series)
      for (const double v : series.y) top = std::max(top, v);
    for (const Reference& reference : plot->references) top = std::max(top, reference.at * 1.03);
  }
  worst.y.lo = mean.y.lo = 0;
  worst.y.hi = mean.y.hi = top;
  Figure figure{.title = "How far the busiest expert is above its fair share", .legend_html = arm_legend(view)};
  if (!worst.series.empty())
    figure.panels.push_back({"Worst layer", [worst](double width) { return draw(worst, width); }});
  if (!mean.series.empty())
    figure.panels.push_back({"Mean over layers", [mean](double width) { return draw(mean, width); }});
  if (figure.panels.empty()) return {};
  figure.caption_html = fmt::format(
      "MaxVio = max<sub>e</sub> load<sub>e</sub> / L − 1 of a global batch, with L the fair load; 0 is perfect "
      "balance. "
      "Thin: every step; bold: mean over the last {0} steps, in the left panel of the layer where it is largest. The "
      "ceiling, E/K − 1, is reached when K experts take every token. The sampling floor, 0.83 √(2 ln E (1 − K/E) / L), "
      "is what "
      "equal probabilities still give in a batch of this size.",
      kWindow);
  return html(figure);
}

// Deviation from the fair load as color and opacity, so that one image serves light and dark pages: fair is the page
// itself, blue below, vermilion above.
struct HeatScale {
  double top;  // load / fair load at full color
  static constexpr int kLevels = 127;
  uint8_t index(double ratio) const {
    const double t = ratio < 1 ? ratio - 1 : (ratio - 1) / (top - 1);
    return static_cast<uint8_t>(kLevels + std::lround(std::clamp(t, -1.0, 1.0) * kLevels));
  }
  static std::vector<Rgba> palette() {
    std::vector<Rgba> colors;
    for (int i = -kLevels; i <= kLevels; ++i) {
      const auto alpha = static_cast<uint8_t>(std::lround(255 * std::pow(std::abs(i) / double{kLevels}, 0.7)));
      colors.push_back(i < 0 ? Rgba{36, 116, 208, alpha} : Rgba{226, 92, 14, alpha});
    }
    return colors;
  }
};

// Experts down, steps across, at most `columns` of them: each cell is a mean over its steps.
std::string heat_image(const Loads& loads, int64_t layer, int64_t columns, const HeatScale& scale, double fair) {
  std::vector<uint8_t> pixels(static_cast<size_t>(columns * loads.experts));
  for (int64_t c = 0; c < columns; ++c) {
    const int64_t begin = loads.steps * c / columns, end = std::max(begin + 1, loads.steps * (c + 1) / columns);
    for (int64_t e = 0; e < loads.experts; ++e) {
      double sum = 0;
      for (int64_t s = begin; s < end; ++s) sum += static_cast<double>(loads.at(s, layer, e));
      pixels[e * columns + c] = scale.index(sum / (static_cast<double>(end - begin) * fair));
    }
  }
  return data_uri(png(pixels, static_cast<int>(columns), static_cast<int>(loads.experts), HeatScale::palette()));
}

std::string scale_bar(const HeatScale& scale) {
  constexpr int kWidth = 256;
  std::vector<uint8_t> pixels(kWidth);
  for (int i = 0; i < kWidth; ++i) pixels[i] = scale.index(scale.top * (i + 0.5) / kWidth);
  std::string ticks;
  const Ticks at = make_ticks(Scale::linear, 0, scale.top, static_cast<int>(std::min(scale.top, 5.0)));
  for (size_t i = 0; i < at.at.size(); ++i)
    ticks += fmt::format("<span style=\"left:{:.1f}%\">{}</span>", 100 * at.at[i] / scale.top, at.text[i]);
  return fmt::format(
      "<div class=\"scale\"><span>load / fair load</span><div class=\"bar-box\"><img alt=\"color scale\" "
      "src=\"{}\"><div class=\"ends\">{}</div></div></div>",
      data_uri(png(pixels, kWidth, 1, HeatScale::palette())), ticks);
}

std::string heat_grid(const std::vector<const Arm*>& arms, int64_t longest, const HeatScale& scale) {
  constexpr int64_t kColumns = 200;
  std::string out = "<div class=\"heat\" style=\"grid-template-columns:auto";
  int64_t layers = 0;
  for (const Arm* arm : arms) {
    out += fmt::format(" minmax(66px,{}fr)", arm->run->loads.steps);
    layers = std::max(layers, arm->run->loads.layers);
  }
  out += "\"><span></span>";
  for (const Arm* arm : arms) out += fmt::format("<span class=\"arm c{}\">{}</span>", arm->color, escape(arm->name));
  for (int64_t layer = 0; layer < layers; ++layer) {
    const std::vector<int> names = recorded_layers(*arms.front()->run);
    const int64_t name = static_cast<int64_t>(names.size()) == layers ? names[layer] : layer;
    out += fmt::format("<span class=\"row\">layer {}</span>", name);
    for (const Arm* arm : arms) {
      const Loads& loads = arm->run->loads;
      const int64_t columns = std::clamp<int64_t>(kColumns * loads.steps / longest, 1, loads.steps);
      out += layer >= loads.layers ? "<span></span>"
                                   : fmt::format("<img alt=\"{} layer {}\" src=\"{}\">", escape(arm->name), name,
                                                 heat_image(loads, layer, columns, scale, loads.fair_load()));
    }
  }
  out += "<span class=\"row\">step</span>";
  for (const Arm* arm : arms)
    out += fmt::format("<span class=\"x\"><span>0</span><span>{}</span></span>", arm->run->loads.steps);
  return out + "</div>";
}

std::string heat_figure(const View& view) {
  std::vector<const Arm*> arms;
  int64_t longest = 0;
  double top = 2;
  for (const Arm& arm : view.arms) {
    if (arm.run->loads.empty() || arm.run->loads.fair_load() <= 0) continue;
    arms.push_back(&arm);
    longest = std::max(longest, arm.run->loads.steps);
    top = std::max(top, load_bounds(view, *arm.run).ceiling.value_or(3) + 1);
  }
  if (arms.empty()) return {};
  const HeatScale scale{top};
  Figure figure{.title = "Load of every expert, step by step"};
  figure.body_html = scale_bar(scale);
  constexpr size_t kAbreast = 3;
  for (size_t begin = 0; begin < arms.size(); begin += kAbreast) {
    const size_t end = std::min(begin + kAbreast, arms.size());
    figure.body_html += heat_grid({arms.begin() + begin, arms.begin() + end}, longest, scale);
  }
  figure.caption_html =
      "Steps from left to right, one row of cells per expert. Blue experts starve, vermilion ones are overloaded, and "
      "what has the page's color has its fair share. One color scale throughout; columns are as wide as their arm is "
      "long.";
  return html(figure);
}

}  // namespace

LoadBounds load_bounds(const View& view, const Run& run) {
  LoadBounds bounds;
  bounds.experts = number(view.summary, {"header", "experts"});
  bounds.experts_per_tok = number(view.summary, {"header", "experts_per_tok"});
  const std::string& config = run.config.empty() ? view.config : run.config;
  if (!bounds.experts) bounds.experts = config_number(config, "n_routed_experts");
  if (!bounds.experts_per_tok) bounds.experts_per_tok = config_number(config, "num_experts_per_tok");
  if (!bounds.experts && !run.loads.empty()) bounds.experts = static_cast<double>(run.loads.experts);
  if (!bounds.experts || !bounds.experts_per_tok || *bounds.experts_per_tok <= 0) return bounds;
  const double e = *bounds.experts, k = *bounds.experts_per_tok;
  bounds.ceiling = e / k - 1;
  double fair = run.loads.fair_load();
  if (fair <= 0) fair = number(view.summary, {"header", "tokens_per_step"}).value_or(0) * k / e;
  if (fair > 0 && k < e) bounds.sampling_floor = 0.83 * std::sqrt(2 * std::log(e) * (1 - k / e) / fair);
  return bounds;
}

std::vector<Sample> worst_layer_mean(const Run& run) {
  std::map<int64_t, double> worst;
  for (const int layer : recorded_layers(run)) {
    for (const Sample& sample : running_mean(run.metric(fmt::format("{}{}", kLayerKey, layer)), kWindow)) {
      const auto [at, inserted] = worst.emplace(sample.step, sample.value);
      if (!inserted) at->second = std::max(at->second, sample.value);
    }
  }
  if (worst.empty()) return running_mean(run.metric("max_vio/worst"), kWindow);
  std::vector<Sample> out;
  for (const auto& [step, value] : worst) out.push_back({step, value});
  return out;
}

Table balance_table(const View& view) {
  Table table({{"arm", false},
               {"worst layer, at half"},
               {"worst layer, at the end"},
               {"mean layer, at the end"},
               {fmt::format("balanced (< {}) from step", kBalanced)},
               {"dead experts"},
               {"starved"},
               {"effective experts"}});
  for (const Arm& arm : view.arms) {
    const std::vector<Sample> worst = worst_layer_mean(*arm.run);
    if (worst.empty()) continue;
    const auto tail = [&](std::string_view key) {
      const std::vector<Sample> mean = running_mean(arm.run->metric(key), kWindow);
      return mean.empty() ? NAN : mean.back().value;
    };
    const int64_t half = worst.back().step / 2;
    const auto middle = std::lower_bound(worst.begin(), worst.end(), half,
                                         [](const Sample& sample, int64_t step) { return sample.step < step; });
    // The step after the last one that was not balanced: from there on it stayed so.
    auto first = worst.end();
    while (first != worst.begin() && (first - 1)->value < kBalanced) --first;
    const auto share = arm.run->metric("starved_share").empty() ? std::nullopt : std::optional(tail("starved_share"));
    table.add({arm.name, fixed(middle->value, 2), fixed(worst.back().value, 2), fixed(tail("max_vio/mean"), 2),
               first == worst.end() ? "never" : std::to_string(first->step), count(tail("dead")), percent(share),
               fixed(tail("effective_experts"), 1)});
  }
  return table;
}

std::string balance_section(const View& view) {
  std::string out = violation_figure(view);
  if (const Table table = balance_table(view); !table.empty()) out += table.html();
  return out + heat_figure(view);
}

}  // namespace ballast::report
