#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "report/sections.h"
#include "report/svg.h"

namespace ballast::report {
namespace {

using Settings = std::vector<std::pair<std::string, std::string>>;

// "settings" is an object {"k": 4, "renorm": 1} or its text "k=4, renorm=1".
Settings settings_of(const Json& row) {
  Settings settings;
  const Json* value = lookup(row, {"settings"});
  if (!value) return settings;
  if (value->is_object()) {
    for (const auto& [key, v] : value->as_object())
      settings.emplace_back(key, v.is_number() ? fmt::format("{}", v.as_double()) : text(v, {}));
    return settings;
  }
  std::string words = text(row, {"settings"});
  std::replace(words.begin(), words.end(), ',', ' ');
  for (size_t at = 0; (at = words.find_first_not_of(' ', at)) != std::string::npos;) {
    const size_t end = std::min(words.find(' ', at), words.size());
    const std::string word = words.substr(at, end - at);
    const size_t sign = word.find('=');
    settings.emplace_back(word.substr(0, sign), sign == std::string::npos ? "" : word.substr(sign + 1));
    at = end;
  }
  return settings;
}

std::string join(const Settings& settings, bool with_renorm) {
  std::string out;
  for (const auto& [key, value] : settings) {
    if (key == "renorm" && !with_renorm) continue;
    out += (out.empty() ? "" : ", ") + key + (value.empty() ? "" : "=" + value);
  }
  return out;
}

// Rows that differ only in how far they skip form one curve: same policy, same compensation.
std::string curve_of(const std::string& policy, const Settings& settings) {
  for (const auto& [key, value] : settings)
    if (key == "renorm" && value != "0" && !value.empty()) return policy + ", renorm=" + value;
  return policy;
}

int policy_color(const std::string& curve, size_t index) {
  if (curve == "topk") return 0;
  if (curve == "minp") return 1;
  if (curve.starts_with("random")) return 6;
  constexpr int kOthers[] = {2, 3, 4, 5};
  return kOthers[index % 4];
}

// `study`: an object with the rows of one model's study and what its intervals resample.
const Json::Array& rows_of(const Json& study) {
  static const Json::Array kNone;
  const Json* rows = lookup(study, {"skip"});
  return rows && rows->is_array() ? rows->as_array() : kNone;
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values.empty() ? 0 : values[values.size() / 2];
}

// Where most points lie near zero and a few far off, a linear axis would show the few only. The axis stays linear as
// far as the noise reaches: a logarithm would spread out what is not resolved.
void choose_scale(Scatter& plot) {
  std::vector<double> sizes, noise;
  for (const ScatterGroup& group : plot.groups) {
    for (const ScatterPoint& point : group.points) {
      if (point.y != 0) sizes.push_back(std::abs(point.y));
      if (point.y_lo && point.y_hi) noise.push_back((*point.y_hi - *point.y_lo) / 2);
    }
  }
  if (sizes.size() < 4 || *std::max_element(sizes.begin(), sizes.end()) < 10 * median(sizes)) return;
  double linear = std::max(median(noise), 0.1 * median(sizes));
  if (plot.box) linear = std::max(linear, (plot.box->y_hi - plot.box->y_lo) / 2);
  plot.y.scale = Scale::symlog;
  plot.y.linear_below = std::pow(10.0, std::round(std::log10(linear)));
}

Scatter skip_scatter(const Json& study) {
  Scatter plot{.x = {.label = "decoding speed-up over full top-k"}, .y = {.label = "ΔNLL, nats per token"}};
  for (const Json& row : rows_of(study)) {
    const auto speedup = number(row, {"speedup"}), dnll = number(row, {"dnll"});
    const std::string policy = text(row, {"policy"});
    if (policy == "off") {
      const auto at = [&](std::string_view key, double otherwise) { return number(row, {key}).value_or(otherwise); };
      const double x = speedup.value_or(1), y = dnll.value_or(0);
      plot.box = ScatterBox{at("speedup_lo", x), at("speedup_hi", x), at("dnll_lo", y), at("dnll_hi", y), "A/A"};
      continue;
    }
    if (!speedup || !dnll) continue;
    const Settings settings = settings_of(row);
    const std::string curve = curve_of(policy, settings);
    auto group = std::find_if(plot.groups.begin(), plot.groups.end(), [&](const auto& g) { return g.name == curve; });
    if (group == plot.groups.end())
      group = plot.groups.insert(plot.groups.end(), {curve, policy_color(curve, plot.groups.size()), {}});
    ScatterPoint point{*speedup,
                       *dnll,
                       number(row, {"speedup_lo"}),
                       number(row, {"speedup_hi"}),
                       number(row, {"dnll_lo"}),
                       number(row, {"dnll_hi"}),
                       join(settings, false),
                       "",
                       number(row, {"predicted"})};
    point.title =
        fmt::format("{} {}: {}× faster, ΔNLL {}", policy, join(settings, true), fixed(*speedup, 3), significant(*dnll));
    group->points.push_back(std::move(point));
  }
  for (ScatterGroup& group : plot.groups)
    std::sort(group.points.begin(), group.points.end(), [](const auto& a, const auto& b) { return a.x < b.x; });
  choose_scale(plot);
  return plot;
}

std::string interval_note(const Json& study, std::string_view of, std::string_view otherwise) {
  const std::string note = text(study, {"intervals", of});
  return escape(note.empty() ? otherwise : note);
}

std::string skip_figure(const Json& study, const std::string& title) {
  const Scatter plot = skip_scatter(study);
  if (plot.groups.empty()) return {};
  std::vector<LegendEntry> entries;
  for (const ScatterGroup& group : plot.groups)
    entries.push_back({group.name, group.color, marker_key(static_cast<int>(entries.size()), group.color)});
  Figure figure{.title = title, .legend_html = legend(entries)};
  figure.panels.push_back({"", [plot](double width) { return draw(plot, width); }});
  figure.caption_html = fmt::format(
      "Right is faster, down is better. A tick at the end of dots: the speed-up that the byte model predicts, a "
      "ceiling. Shaded: "
      "<b>off</b> against <b>off</b>, interleaved with the rest; what lies inside is not resolved. Horizontal "
      "intervals: "
      "{}. Vertical intervals: {}.{}",
      interval_note(study, "speedup", "95 %, as recorded in the summary"),
      interval_note(study, "dnll", "95 %, as recorded in the summary"),
      plot.y.scale == Scale::symlog ? " The vertical axis is linear near zero and logarithmic beyond." : "");
  return html(figure);
}

Table table_of(const Json& study) {
  Table table({{"policy", false},
               {"settings", false},
               {"executed k"},
               {"pp512 tok/s"},
               {"tg128 tok/s"},
               {"speed-up"},
               {"predicted"},
               {"ΔNLL"},
               {"KL"},
               {"same top-1"}});
  for (const Json& row : rows_of(study)) {
    const auto value = [&](std::string_view key) { return number(row, {key}); };
    const std::string policy = text(row, {"policy"});
    table.add({policy == "off" ? "off (A/A)" : policy, join(settings_of(row), true),
               fixed(value("executed_k").value_or(NAN), 2), grouped(value("pp512").value_or(NAN)),
               grouped(value("tg128").value_or(NAN)),
               with_interval(value("speedup"), value("speedup_lo"), value("speedup_hi"), 3),
               fixed(value("predicted").value_or(NAN), 3),
               with_interval(value("dnll"), value("dnll_lo"), value("dnll_hi"), 4), fixed(value("kl").value_or(NAN), 4),
               percent(value("same_top1"), 1)});
  }
  return table;
}

// The model that comes with the program, where it was studied too.
std::string shipped_part(const View& view) {
  const Json* shipped = lookup(view.summary, {"shipped"});
  if (!shipped || table_of(*shipped).empty()) return {};
  const std::string name = text(*shipped, {"name"});
  return fmt::format("<h3>{}, the model that comes with the program</h3>", escape(name)) +
         paragraph(fmt::format("On {} tokens and in {} rounds, for time: its intervals are wider than those above. "
                               "`ballast study skip` takes as many as you like.",
                               grouped(number(*shipped, {"skip_tokens"}).value_or(NAN)),
                               grouped(number(*shipped, {"skip_rounds"}).value_or(NAN)))) +
         skip_figure(*shipped, "What skipping buys and costs on " + name) + table_of(*shipped).html();
}

}  // namespace

Table skip_table(const View& view) { return table_of(view.summary); }

std::string skip_section(const View& view) {
  const Table table = skip_table(view);
  if (table.empty()) return {};
  return paragraph(
             "A model of a few million tokens hardly uses its experts: this shows the instrument, not the cost of "
             "skipping on a trained model.") +
         skip_figure(view.summary, "What skipping buys, and what it costs") + table.html() + shipped_part(view);
}

}  // namespace ballast::report
