// A run folder, read back. Every part may be missing: a report is rewritten after every stage of a run.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"

namespace ballast::report {

struct Sample {
  int64_t step = 0;
  double value = 0;
};

struct Loads {  // routed (token, slot) pairs per step, layer and expert; C order
  int64_t steps = 0, layers = 0, experts = 0;
  std::vector<int64_t> count;
  int64_t at(int64_t step, int64_t layer, int64_t expert) const {
    return count[(step * layers + layer) * experts + expert];
  }
  bool empty() const { return count.empty(); }
  // Mean load per expert in a step (its fair load), over all steps and layers.
  double fair_load() const;
};

// loads.npy: int64 [steps, layers, experts], C order, little endian, npy format 1.0 or 2.0 (numpy.lib.format). Bytes
// beyond the array are allowed: a run appends rows before it rewrites the header. Throws Error{format}.
Loads read_loads(const std::filesystem::path& file);

struct TextSample {
  int64_t step = 0;
  std::string prompt, text;
};

struct Run {
  std::string name;
  std::filesystem::path folder;
  std::string config;  // config.toml as it is
  std::map<std::string, std::vector<Sample>, std::less<>> metrics;
  Loads loads;
  std::vector<TextSample> samples;

  const std::vector<Sample>& metric(std::string_view key) const;  // empty where the run has none
  // Tokens seen by the end of a step: recorded, or interpolated between the records around it; none without records.
  std::optional<double> tokens_at(int64_t step) const;
};

// A folder with metrics.jsonl, loads.npy, config.toml, samples.jsonl, each optional. A last line without its newline is
// one still being written and is left out; any other that does not parse throws Error{format} with file and line.
Run load_run(const std::filesystem::path& folder);

struct RunGroup {  // what one report shows
  std::string name;
  std::filesystem::path folder;
  std::vector<Run> runs;  // a quickstart's arms, or the folder itself
  Json summary;           // summary.json; an empty object where absent
  std::string config;
};

// The folder itself where it has metrics, else its sub-folders that have some, in the order none, aux_global,
// sign_centered, then by name. Throws Error{file} where the folder does not exist.
RunGroup load_group(const std::filesystem::path& folder);

// Looks up a path of keys: value(summary, {"heldout", "bpb"}). None where any part is missing or not a number.
std::optional<double> number(const Json& tree, std::initializer_list<std::string_view> path);
std::string text(const Json& tree, std::initializer_list<std::string_view> path);  // "" where missing; numbers written
const Json* lookup(const Json& tree, std::initializer_list<std::string_view> path);

// At each sample, the mean of those of the last `window` steps up to it.
std::vector<Sample> running_mean(const std::vector<Sample>& samples, int64_t window);

}  // namespace ballast::report
