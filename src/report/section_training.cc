#include <fmt/format.h>

#include <algorithm>

#include "report/sections.h"
#include "report/svg.h"

namespace ballast::report {
namespace {

constexpr int64_t kWindow = 20;  // steps of every running mean on the page

bool all_know_tokens(const View& view) {
  return std::all_of(view.arms.begin(), view.arms.end(),
                     [](const Arm& arm) { return arm.run->tokens_at(0).has_value(); });
}

Series series_of(const Arm& arm, const std::vector<Sample>& samples, Series::Style style, bool over_tokens) {
  Series series{.name = arm.name, .color = arm.color, .style = style};
  for (const Sample& sample : samples) {
    series.x.push_back(over_tokens ? *arm.run->tokens_at(sample.step) : static_cast<double>(sample.step));
    series.y.push_back(sample.value);
  }
  return series;
}

// Mean of the steps around each one: it follows a steep curve, which a mean over the past lags behind.
std::vector<Sample> smooth(const std::vector<Sample>& samples) {
  constexpr size_t kSide = 5;
  std::vector<Sample> out;
  for (size_t i = 0; i < samples.size(); ++i) {
    const size_t side = std::min({kSide, i, samples.size() - 1 - i});
    double sum = 0;
    for (size_t j = i - side; j <= i + side; ++j) sum += samples[j].value;
    out.push_back({samples[i].step, sum / static_cast<double>(2 * side + 1)});
  }
  return out;
}

enum class Shape { raw_and_mean, marked };

LinePlot curves(const View& view, std::string_view key, std::string_view label, Shape shape, bool over_tokens) {
  LinePlot plot;
  plot.x.label = over_tokens ? "training tokens" : "optimizer step";
  plot.y.label = label;
  for (const Arm& arm : view.arms) {
    const std::vector<Sample>& samples = arm.run->metric(key);
    if (samples.empty()) continue;
    if (shape == Shape::marked) {
      plot.series.push_back(series_of(arm, samples, Series::Style::marked, over_tokens));
    } else {
      plot.series.push_back(series_of(arm, samples, Series::Style::faint, over_tokens));
      plot.series.push_back(series_of(arm, smooth(samples), Series::Style::line, over_tokens));
    }
  }
  return plot;
}

Panel panel(std::string title, LinePlot plot) {
  return {std::move(title), [plot = std::move(plot)](double width) { return draw(plot, width); }};
}

std::string loss_figure(const View& view) {
  const bool over_tokens = all_know_tokens(view);
  LinePlot train = curves(view, "train/loss", "nats per token", Shape::raw_and_mean, over_tokens);
  LinePlot val = curves(view, "val/loss", "nats per token", Shape::marked, over_tokens);
  if (train.series.empty() && val.series.empty()) return {};
  Figure figure{.title = "Loss", .legend_html = arm_legend(view)};
  for (Axis* axis : {&train.x, &val.x}) axis->lo = 0;
  if (!train.series.empty()) figure.panels.push_back(panel("Training", std::move(train)));
  if (!val.series.empty()) figure.panels.push_back(panel("Validation", std::move(val)));
  figure.caption_html =
      "Next-token cross-entropy. Training: every step (thin) and the mean of eleven (bold). Validation: held-out text, "
      "on "
      "a scale of its own. One run per curve.";
  return html(figure);
}

std::string optimizer_figure(const View& view) {
  const bool over_tokens = all_know_tokens(view);
  LinePlot norm = curves(view, "grad_norm", "L2 norm before clipping", Shape::raw_and_mean, over_tokens);
  LinePlot rate = curves(view, "lr", "step size of AdamW", Shape::raw_and_mean, over_tokens);
  std::erase_if(rate.series, [](const Series& series) { return series.style == Series::Style::line; });
  for (Series& series : rate.series) series.style = Series::Style::line;
  for (Axis* axis : {&norm.x, &rate.x, &rate.y}) axis->lo = 0;
  Figure figure{.title = "Optimizer", .legend_html = arm_legend(view)};
  if (!norm.series.empty()) figure.panels.push_back(panel("Gradient norm", std::move(norm)));
  if (!rate.series.empty()) figure.panels.push_back(panel("Learning rate", std::move(rate)));
  return figure.panels.empty() ? std::string() : html(figure);
}

std::string row_name(const std::string& key) {
  if (key == "none_at") return "none, where it stopped";
  if (key.ends_with("_at")) return key.substr(0, key.size() - 3) + ", where none stopped";
  return key;
}

}  // namespace

Table train_table(const View& view) {
  Table table({{"arm", false},
               {"tokens"},
               {"tokens/s"},
               {"of matmul rate"},
               {"first val loss"},
               {"last val loss"},
               {"MaxVio worst"},
               {"MaxVio mean"},
               {"dead"}});
  if (const Json* train = lookup(view.summary, {"train"}); train && train->is_object()) {
    for (const auto& [key, row] : train->as_object()) {
      const auto value = [&](std::string_view name) { return number(row, {name}).value_or(NAN); };
      table.add({row_name(key), grouped(value("tokens")), grouped(value("tok_per_s")),
                 percent(number(row, {"ceiling_share"})), fixed(value("val_loss_first"), 3),
                 fixed(value("val_loss_last"), 3), fixed(value("max_vio_worst"), 2), fixed(value("max_vio_mean"), 2),
                 count(value("dead"))});
    }
    return table;
  }
  for (const Arm& arm : view.arms) {
    const auto ends = [&](std::string_view key, bool last) {
      const std::vector<Sample>& samples = arm.run->metric(key);
      return samples.empty() ? NAN : last ? samples.back().value : samples.front().value;
    };
    const auto tail = [&](std::string_view key) {
      const std::vector<Sample> mean = running_mean(arm.run->metric(key), kWindow);
      return mean.empty() ? NAN : mean.back().value;
    };
    const std::vector<Sample> worst = worst_layer_mean(*arm.run);
    table.add({arm.name, grouped(ends("tokens", true)), grouped(tail("tok_per_s")), "–",
               fixed(ends("val/loss", false), 3), fixed(ends("val/loss", true), 3),
               fixed(worst.empty() ? NAN : worst.back().value, 2), fixed(tail("max_vio/mean"), 2),
               count(ends("dead", true))});
  }
  return table;
}

std::string training_section(const View& view) {
  std::string out = loss_figure(view);
  const Table table = train_table(view);
  if (!table.empty()) out += table.html();
  if (const std::string note = text(view.summary, {"loss_note"}); !note.empty()) out += paragraph(note);
  return out + optimizer_figure(view);
}

std::string speed_section(const View& view) {
  LinePlot rate = curves(view, "tok_per_s", "tokens/s", Shape::raw_and_mean, false);
  rate.x.lo = rate.y.lo = 0;
  double top = 0;
  for (const Series& series : rate.series)
    for (const double v : series.y) top = std::max(top, v);
  double low = 0;
  widen_to_ticks(Scale::linear, low, top, 5);
  rate.y.hi = top;
  BarChart share{.value = {.label = "share of the measured matrix-product rate, %"}};
  for (const Arm& arm : view.arms) {
    if (const auto v = number(view.summary, {"train", arm.name, "ceiling_share"}))
      share.bars.push_back({arm.name, 100 * *v, percent(v), arm.color});
  }
  share.value.hi = 100;
  Figure figure{.title = "Training speed", .legend_html = arm_legend(view)};
  if (!rate.series.empty()) figure.panels.push_back(panel("Tokens per second", std::move(rate)));
  if (!share.bars.empty())
    figure.panels.push_back({"Achieved of attainable", [share](double width) { return draw(share, width); }});
  if (figure.panels.empty()) return {};
  figure.caption_html =
      "The attainable rate is that of the step's own matrix products, timed alone in the same run on all workers.";
  return html(figure) + (stage_table(view).empty() ? "" : "<h3>Time per stage</h3>" + stage_table(view).html());
}

Table stage_table(const View& view) {
  Table table({{"stage", false}, {"seconds"}});
  double sum = 0;
  if (const Json* seconds = lookup(view.summary, {"seconds"}); seconds && seconds->is_object()) {
    for (const auto& [stage, value] : seconds->as_object()) {
      if (!value.is_number()) continue;
      table.add({stage, fixed(value.as_double(), 1)});
      sum += value.as_double();
    }
    if (!table.empty()) table.add({"together", fixed(sum, 1)});
  }
  return table;
}

}  // namespace ballast::report
