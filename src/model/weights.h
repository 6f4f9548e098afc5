// Reading and writing a model's weights as a Hugging Face checkpoint, through the parameter table.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "formats/safetensors.h"
#include "model/params.h"

namespace ballast {

// Fills every parameter from the checkpoint (f32, bf16, f16 or f64 there). Throws Error{format} naming the first tensor
// that is missing or of another shape, and file and expected shape.
void load_weights(ParamStore& params, const Checkpoint& checkpoint);

struct SaveOptions {
  DType dtype = DType::f32;  // of matrices; norms, gate and bias are always f32
  uint64_t max_shard_bytes = uint64_t{5} << 30;
};
// Writes model*.safetensors (with an index when sharded) and config.json to `folder`.
void save_weights(const ParamStore& params, const ModelConfig& config, const std::filesystem::path& folder,
                  const SaveOptions& options);

// The config.json of a model folder, or a file like it. Validated. Throws Error{file} saying what a model folder must
// hold.
ModelConfig read_model_config(const std::filesystem::path& folder_or_file);

}  // namespace ballast
