// The report's sections. Each returns the empty string where the run has not got that far.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "report/html.h"
#include "report/run.h"
#include "report/ticks.h"

namespace ballast::report {

struct Arm {
  const Run* run = nullptr;
  std::string name;
  int color = 0;
};

struct View {
  std::vector<Arm> arms;
  bool overlay = false;  // several folders, none of them the main one
  Json summary;          // an empty object when overlaid
  std::string config;
};

// What the theory of balance needs to know of an arm: its floor and ceiling of MaxVio.
struct LoadBounds {
  std::optional<double> experts, experts_per_tok;
  std::optional<double> ceiling;         // E/K - 1: K experts take every token
  std::optional<double> sampling_floor;  // 0.83 sqrt(2 ln E (1 - K/E) / L): perfect router probabilities, finite batch
};
LoadBounds load_bounds(const View& view, const Run& run);

// The largest over layers of each layer's mean over the last 20 steps: what "balanced" is judged by. Falls back to the
// recorded worst layer where the run did not record its layers.
std::vector<Sample> worst_layer_mean(const Run& run);

// Whether the model beats every rival; none where there is nothing to compare. Bits per byte: lower is better.
std::optional<bool> beats_compressors(const Json& summary);
std::optional<bool> beats_line_rivals(const Json& summary, std::string_view metric);

std::string headline_tiles(const View& view);
std::string training_section(const View& view);
std::string balance_section(const View& view);
std::string heldout_section(const View& view);
std::string skip_section(const View& view);
std::string speed_section(const View& view);

Table train_table(const View& view);
Table balance_table(const View& view);
Table heldout_table(const View& view);
Table line_table(const View& view);
Table skip_table(const View& view);
Table stage_table(const View& view);
std::string metric_definitions();

// Shared by the sections.
std::string arm_legend(const View& view);
std::string with_interval(std::optional<double> value, std::optional<double> lo, std::optional<double> hi,
                          int decimals);
std::string percent(std::optional<double> share, int decimals = 0);

}  // namespace ballast::report
