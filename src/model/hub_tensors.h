// What the tensors of a checkpoint are, by their names in the hub's files.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "model/params.h"

namespace ballast {

enum class HubRole {
  block_matrix,  // of attention or a feed-forward network: in the hub's FP8 files these are FP8
  matrix,        // embedding, head, the MTP layer's projection and its copies of the first two: bf16 there
  full,          // norms, the gate, attention's biases: what is small and must not lose digits
  bias,          // the router's bias: f32 everywhere
  scale,         // scales of an FP8 tensor
  other          // not of a model of this shape
};

class HubTensors {
 public:
  explicit HubTensors(ParamTable table);
  HubTensors(const HubTensors&) = delete;
  HubTensors& operator=(const HubTensors&) = delete;

  HubRole role(const std::string& name) const;
  const HubTensor* find(const std::string& name) const;  // null: the shape does not ask for it
  // Those the shape asks for, in order of use.
  const std::vector<std::string>& names() const { return names_; }

 private:
  struct Known {
    const HubTensor* tensor;
    HubRole role;
  };
  ParamTable table_;
  std::map<std::string, Known> known_;
  std::vector<std::string> names_;
};

}  // namespace ballast
