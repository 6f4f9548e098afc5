#include "model/hub_tensors.h"

#include <utility>

#include "model/weights.h"

namespace ballast {
namespace {

HubRole role_of(const ParamTable& table, ParamId id) {
  const ModelParams& m = table.model;
  switch (table.list[id].kind) {
    case ParamKind::buffer:
      return HubRole::bias;
    case ParamKind::gate:
    case ParamKind::vector:
      return HubRole::full;
    case ParamKind::matrix:
      break;
  }
  if (id == m.embedding || id == m.head) return HubRole::matrix;
  for (const MtpParams& mtp : m.mtp)
    if (id == mtp.projection) return HubRole::matrix;
  return HubRole::block_matrix;
}

// The head of a model whose config.json ties it to the embedding, and the MTP layer's copies of both.
bool is_copy(const std::string& name) {
  return name == "lm_head.weight" ||
         (name.starts_with("model.layers.") &&
          (name.ends_with(".embed_tokens.weight") || name.ends_with(".shared_head.head.weight")));
}

}  // namespace

HubTensors::HubTensors(ParamTable table) : table_(std::move(table)) {
  for (size_t id = 0; id < table_.list.size(); ++id)
    for (const HubTensor& t : table_.list[id].hub) {
      known_[t.name] = {&t, role_of(table_, static_cast<ParamId>(id))};
      names_.push_back(t.name);
    }
}

HubRole HubTensors::role(const std::string& name) const {
  if (const auto found = known_.find(name); found != known_.end()) return found->second.role;
  if (name.ends_with(scale_name(""))) return HubRole::scale;
  return is_copy(name) ? HubRole::matrix : HubRole::other;
}

const HubTensor* HubTensors::find(const std::string& name) const {
  const auto found = known_.find(name);
  return found == known_.end() ? nullptr : found->second.tensor;
}

}  // namespace ballast
