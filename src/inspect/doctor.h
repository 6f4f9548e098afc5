// `ballast doctor`: is the router of a checkpoint, and its bias, in good health? From the weights alone, and from the
// run's records where the checkpoint lies in a run folder.
#pragma once

#include <cmath>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "base/json.h"

namespace ballast {

enum class Health { good, note, ill, unknown };  // note: harmless here, harmful in a program or dtype it names

struct Finding {
  std::string check;  // "saturation", "bf16", ...
  Health health = Health::good;
  std::string figure;  // what was found, where it is worst, and what is asked for, in words
  double value = NAN, threshold = NAN;
  std::string meaning, advice;   // for those that are not good
  std::map<int, double> layers;  // the figure of each layer
};

struct Diagnosis {
  std::string checkpoint, run;  // run: its folder, empty where there is none
  std::vector<Finding> findings;

  bool healthy() const;  // nothing is ill
  Json to_json() const;
  std::string to_text(bool all) const;  // all: meaning and advice of what is good as well
};

// `folder`: a model folder, a checkpoint in a run, or a run folder, whose last checkpoint is taken. The probe is
// `probe_rows` random rows of the size that the gate sees, seeded: without text it says how a router of these weights
// and biases decides, not how often on real text. Throws Error{file, format} naming the path.
struct DoctorOptions {
  int64_t probe_rows = 512;
  int threads = 0;
};
Diagnosis examine(const std::filesystem::path& folder, const DoctorOptions& options);

}  // namespace ballast
