#include "inspect/weight_statistics.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "formats/fp8_blocks.h"
#include "model/weights.h"

namespace ballast {
namespace {

std::vector<float> read_if_there(const Checkpoint& checkpoint, const HubTensor& t, std::optional<FileDType>& dtype) {
  const FileTensor* found = checkpoint.find(t.name);
  if (!found || found->shape != t.shape) return {};
  dtype = found->dtype;
  std::vector<float> values(static_cast<size_t>(t.size()));
  try {
    read_weight(checkpoint, t.name, t.shape, std::span<float>(values));
  } catch (const Error&) {
    return {};
  }
  return values;
}

}  // namespace

Router read_router(const Checkpoint& checkpoint, const ParamTable& table, int layer) {
  const MoeParams& moe = table.model.block(layer).moe;
  Router r{.layer = layer, .has_bias = moe.bias != kNoParam};
  const HubTensor& gate = table.list[moe.gate].hub.front();
  r.gate_name = gate.name;
  r.experts = gate.shape.front();
  r.gate = read_if_there(checkpoint, gate, r.gate_dtype);
  if (!r.has_bias) return r;
  const HubTensor& bias = table.list[moe.bias].hub.front();
  r.bias_name = bias.name;
  r.bias = read_if_there(checkpoint, bias, r.bias_dtype);
  return r;
}

std::vector<double> row_norms(const Router& router) {
  if (router.gate.empty()) return {};
  std::vector<double> norms(static_cast<size_t>(router.experts));
  const size_t width = router.gate.size() / norms.size();
  for (size_t i = 0; i < router.gate.size(); ++i)
    norms[i / width] += static_cast<double>(router.gate[i]) * router.gate[i];
  for (double& n : norms) n = std::sqrt(n);
  return norms;
}

Fp8Statistics fp8_statistics(const Checkpoint& checkpoint) {
  Fp8Statistics s;
  s.smallest = INFINITY;
  const auto lose = [&](std::string why) {
    s.bad.push_back(why);
    s.lost.push_back(std::move(why));
  };
  for (const std::string& name : checkpoint.names()) {
    const FileTensor& t = checkpoint.at(name);
    if (t.dtype != FileDType::f8_e4m3) continue;
    ++s.tensors;
    s.codes += t.elements();
    const FileTensor* stored = checkpoint.find(scale_name(name));
    if (!stored) {
      lose(name + ": its scales are missing");
      continue;
    }
    const bool matrix = t.shape.size() == 2;
    const Fp8Shape shape = matrix ? Fp8Shape{t.shape[0], t.shape[1]} : Fp8Shape{};
    if (!matrix || stored->shape != std::vector<int64_t>{shape.block_rows(), shape.block_cols()}) {
      lose(fmt::format("{} of {}: its scales are of {}", name, shape_text(t.shape), shape_text(stored->shape)));
      continue;
    }
    std::vector<float> scales(static_cast<size_t>(shape.blocks()));
    if (!read_elements(*stored, 0, scales)) {
      lose(fmt::format("{}: its scales are {}", name, name_of(stored->dtype)));
      continue;
    }
    int64_t degenerate = 0, infinite = 0;
    for (const float scale : scales) {
      const bool good = scale > 0 && std::isnormal(scale);
      degenerate += !good;
      infinite += !std::isfinite(scale);
      if (good) s.smallest = std::min<double>(s.smallest, scale), s.largest = std::max<double>(s.largest, scale);
    }
    s.scales += shape.blocks();
    s.degenerate += degenerate;
    if (infinite)
      lose(fmt::format("{}: {} degenerate scales, {} of them not finite", name, degenerate, infinite));
    else if (degenerate)
      s.bad.push_back(fmt::format("{}: {} degenerate scales", name, degenerate));
  }
  if (s.largest == 0) s.smallest = 0;
  return s;
}

}  // namespace ballast
