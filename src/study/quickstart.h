// `ballast quickstart`: from the Python source on this machine to a trained V3-architecture model, its balance beside
// two other arms, its held-out figures beside trivial rivals, and what skipping its experts buys and costs. Every stage
// is also a command; the report is rewritten after each.
#pragma once

#include <filesystem>
#include <string>

#include "base/json.h"
#include "data/prepare.h"
#include "train/config.h"

namespace ballast {

struct QuickstartOptions {
  CorpusRecipe corpus;
  std::filesystem::path out = "run/quickstart";
  std::string dtype = "auto";
  double minutes = 0;   // a shorter, labelled run; 0: the full one
  bool fresh = false;
  int threads = 0;
  int64_t seed = 0;
  std::string command;  // as the user typed it, for the report
};

// Goes on where an interrupted one stopped; a finished one only prints its summary. Returns the summary (summary.json).
// Throws Error{interrupted} after SIGINT, with everything saved.
Json quickstart(const QuickstartOptions& options);

// The recipe of one arm: none, aux_global or sign_centered.
RunConfig quickstart_recipe(const std::string& arm, DType dtype, double minutes);

}  // namespace ballast
