// `ballast verify`: a folder of weights with reference results (logits, gradients, router choices, ten training steps;
// laid out as tests/golden/README.md says) against the shipped model.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "base/json.h"
#include "core/device.h"

namespace ballast {

struct Quantity {
  std::string name;     // "logits", "grad.model.norm.weight", "router.1.experts", ...
  double error = 0;     // max|a - b| / max|b|; absolute for the bias; the number of differences for choices
  double limit = 0;
  bool ok() const { return error <= limit; }
};

struct Verification {
  std::vector<Quantity> quantities;
  bool okay() const;
  Json to_json() const;                // {okay, quantities: [{name, error, limit, ok}]}
  std::string worst_by_group() const;  // a line per kind of quantity, the worst of its tensors
};

// `storage` is f32 on the CPU; f32 or f64 on Device::ref. Throws Error where the folder is not of that layout.
Verification verify(const std::filesystem::path& folder, Device& device, DType storage);

}  // namespace ballast
