// For this module's tests: a copy of the small reference model with some of its tensors changed.
#pragma once

#include <cstring>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/file.h"
#include "formats/safetensors_writer.h"

namespace ballast::testing {

struct Edit {
  std::optional<std::vector<float>> values;  // absent: the tensor goes
  FileDType dtype = FileDType::f32;          // f32 or bf16
  std::vector<int64_t> shape = {};           // of a new tensor
};

inline std::filesystem::path tiny_model() { return std::filesystem::path(BALLAST_SOURCE_DIR) / "tests/golden/v3-tiny"; }
inline std::string tiny_bias(int layer) {
  return "model.layers." + std::to_string(layer) + ".mlp.gate.e_score_correction_bias";
}

inline std::vector<float> floats_of(const std::filesystem::path& folder, const std::string& name) {
  const Checkpoint c = Checkpoint::open(folder);
  std::vector<float> v(static_cast<size_t>(c.at(name).elements()));
  c.read(name, c.at(name).shape, std::span<float>(v));
  return v;
}

inline std::filesystem::path edited_model(const std::filesystem::path& folder,
                                          const std::map<std::string, Edit>& edits) {
  const Checkpoint c = Checkpoint::open(tiny_model());
  std::vector<TensorSpec> specs;
  std::vector<std::vector<std::byte>> data;
  const auto add = [&](const std::string& name, const Edit& edit, const std::vector<int64_t>& shape) {
    specs.push_back({name, edit.dtype, shape});
    std::vector<bf16> narrow;
    for (const float v : *edit.values) narrow.push_back(bf16(v));
    const auto bytes =
        edit.dtype == FileDType::f32 ? std::as_bytes(std::span(*edit.values)) : std::as_bytes(std::span(narrow));
    data.emplace_back(bytes.begin(), bytes.end());
  };
  for (const std::string& name : c.names()) {
    const FileTensor& t = c.at(name);
    const auto edit = edits.find(name);
    if (edit == edits.end()) {
      specs.push_back({name, t.dtype, t.shape});
      data.emplace_back(t.bytes.begin(), t.bytes.end());
    } else if (edit->second.values) {
      add(name, edit->second, t.shape);
    }
  }
  for (const auto& [name, edit] : edits)
    if (!c.contains(name)) add(name, edit, edit.shape);
  write_model_folder(folder, specs, [&](size_t i, const TensorSink& sink) { sink(data[i]); });
  write_file_atomic(folder / "config.json", read_file(tiny_model() / "config.json"));
  return folder;
}

// A tensor as it lies in a file.
struct RawTensor {
  TensorSpec spec;
  std::vector<std::byte> bytes;
};

// The model `from` with its tensors as `change` leaves them, whatever that makes of them; config.json comes along.
inline std::filesystem::path rewritten_model(const std::filesystem::path& from, const std::filesystem::path& folder,
                                             const std::function<void(std::map<std::string, RawTensor>&)>& change) {
  const Checkpoint c = Checkpoint::open(from);
  std::map<std::string, RawTensor> tensors;
  for (const std::string& name : c.names()) {
    const FileTensor& t = c.at(name);
    tensors[name] = {{name, t.dtype, t.shape}, {t.bytes.begin(), t.bytes.end()}};
  }
  change(tensors);
  std::vector<TensorSpec> specs;
  std::vector<std::vector<std::byte>> data;
  for (const auto& [name, t] : tensors) {
    specs.push_back({name, t.spec.dtype, t.spec.shape});
    data.push_back(t.bytes);
  }
  write_model_folder(folder, specs, [&](size_t i, const TensorSink& sink) { sink(data[i]); });
  write_file_atomic(folder / "config.json", read_file(from / "config.json"));
  return folder;
}

// `value` as the first scale of an FP8 tensor.
inline void set_scale(RawTensor& scales, float value) { std::memcpy(scales.bytes.data(), &value, sizeof value); }

}  // namespace ballast::testing
