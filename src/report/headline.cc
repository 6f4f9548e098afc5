#include <fmt/format.h>

#include <cmath>

#include "report/sections.h"

namespace ballast::report {
namespace {

std::string tile(const std::string& value, const std::string& unit, const std::string& what,
                 const std::string& beside) {
  return fmt::format("<div class=\"tile\"><b>{}{}</b><span>{}</span>{}</div>", escape(value),
                     unit.empty() ? "" : " <small>" + escape(unit) + "</small>", escape(what),
                     beside.empty() ? "" : "<i>" + escape(beside) + "</i>");
}

std::string joined(const std::string& a, const std::string& b) {
  return a.empty() || b.empty() ? a + b : a + " · " + b;
}

// Bits per byte is a headline only where it beats its rivals.
std::string bits_tile(const View& view) {
  const auto bpb = number(view.summary, {"heldout", "bpb"});
  if (!bpb || !beats_compressors(view.summary).value_or(true)) return {};
  std::string rivals;
  if (const auto v = number(view.summary, {"heldout", "ngram5"})) rivals = "5-gram " + fixed(*v, 2);
  if (const auto v = number(view.summary, {"heldout", "xz_file"}))
    rivals = joined(rivals, "xz per file " + fixed(*v, 2));
  return tile(fixed(*bpb, 2), "bits/byte", "held-out, lower is better", rivals);
}

std::string balance_tile(const View& view, const Arm& main) {
  const std::vector<Sample> worst = worst_layer_mean(*main.run);
  if (worst.empty()) return {};
  const LoadBounds bounds = load_bounds(view, *main.run);
  std::string beside;
  if (bounds.sampling_floor) beside = "floor " + fixed(*bounds.sampling_floor, 2);
  if (bounds.ceiling) beside = joined(beside, "ceiling " + significant(*bounds.ceiling, 2));
  return tile(fixed(worst.back().value, 2), "MaxVio", "worst layer, " + main.name, beside);
}

std::string loss_tile(const Arm& main) {
  const std::vector<Sample>& val = main.run->metric("val/loss");
  if (val.empty()) return {};
  const auto tokens = main.run->tokens_at(val.back().step);
  return tile(fixed(val.back().value, 2), "nats/token", "validation loss, " + main.name,
              "from " + fixed(val.front().value, 2) + (tokens ? " · " + si(*tokens) + " tokens" : ""));
}

std::string speed_tile(const View& view, const Arm& main) {
  auto rate = number(view.summary, {"train", main.name, "tok_per_s"});
  if (const auto& recorded = main.run->metric("tok_per_s"); !rate && !recorded.empty())
    rate = running_mean(recorded, 20).back().value;
  if (!rate) return {};
  const auto share = number(view.summary, {"train", main.name, "ceiling_share"});
  return tile(si(*rate), "tokens/s", "training", share ? percent(share) + " of the measured matmul rate" : "");
}

}  // namespace

std::string headline_tiles(const View& view) {
  if (view.arms.empty() || view.overlay) return {};
  const Arm& main = view.arms.back();  // the main run comes last
  const std::string tiles = bits_tile(view) + balance_tile(view, main) + loss_tile(main) + speed_tile(view, main);
  return tiles.empty() ? tiles : "<div class=\"tiles\">" + tiles + "</div>";
}

std::string arm_legend(const View& view) {
  std::vector<LegendEntry> entries;
  for (const Arm& arm : view.arms) {
    const std::string label = text(view.summary, {"arm_labels", arm.name});
    entries.push_back({label.empty() ? arm.name : label, arm.color});
  };
  return entries.size() > 1 ? legend(entries) : std::string();
}

std::string with_interval(std::optional<double> value, std::optional<double> lo, std::optional<double> hi,
                          int decimals) {
  if (!value) return "–";
  if (!lo || !hi) return fixed(*value, decimals);
  return fmt::format("{} [{}, {}]", fixed(*value, decimals), fixed(*lo, decimals), fixed(*hi, decimals));
}

std::string percent(std::optional<double> share, int decimals) {
  return share && std::isfinite(*share) ? fixed(100 * *share, decimals) + "\u202f%" : "–";
}

std::string metric_definitions() {
  std::string out;
  const auto define = [&](std::string_view key, std::string_view unit, std::string_view meaning) {
    out += fmt::format("<div><dt><code>{}</code> <small>{}</small></dt><dd>{}</dd></div>", escape(key), escape(unit),
                       escape(meaning));
  };
  define("step", "", "optimizer steps done");
  define("tokens", "tokens", "training tokens seen so far, padding not counted");
  define("time", "s", "seconds since the run began, pauses between resumptions not counted");
  define("train/loss", "nats/token", "next-token cross-entropy of the step's batch, without auxiliary and MTP terms");
  define("val/loss", "nats/token", "the same on held-out text, with expert counting off");
  define("val/bpb", "bits/byte", "Σ NLL / (ln 2 · UTF-8 bytes) of the held-out text");
  define("lr", "", "learning rate of the step");
  define("grad_norm", "", "L2 norm of all gradients before clipping");
  define("tok_per_s", "tokens/s", "training tokens per second of the step");
  define("max_vio/layer_N", "",
         "max over experts of load / fair load − 1 in layer N, over the step's global batch; 0 is "
         "perfect balance, E/K − 1 the ceiling");
  define("max_vio/mean, max_vio/worst", "", "its mean and its maximum over the layers");
  define("dead", "experts", "experts without a token in the step, summed over layers");
  define("starved_share", "share", "experts under 10 % of their fair load, of all experts of all layers");
  define("effective_experts", "experts",
         "exp of the entropy of the load distribution, mean over layers; E is perfect balance");
  define("loads.npy", "(token, slot) pairs",
         "int64 [steps, layers, experts]: how many of a step's routed slots each expert got");
  return "<dl class=\"definitions\">" + out + "</dl>";
}

}  // namespace ballast::report
