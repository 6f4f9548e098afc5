// Reading and writing a model's weights as a Hugging Face checkpoint, through the parameter table.
#pragma once

#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "formats/safetensors.h"
#include "model/params.h"

namespace ballast {

// The scales of the FP8 tensor `name` are beside it under this name, as the hub has them.
std::string scale_name(const std::string& name);

// Tensor `name` as T (float, double or bf16): F64, F32, F16, BF16, or e4m3 codes with their scales, dequantized in f32
// (formats/fp8_blocks.h). Straight out of the mapped file. Throws Error{format} or Error{shape} naming the first tensor
// that is missing or of another shape, with file and expected shape; Error{unsupported} for another dtype.
template <class T>
void read_weight(const Checkpoint& checkpoint, const std::string& name, std::span<const int64_t> shape,
                 std::span<T> out);

// The experts' matrices that can be multiplied by where they lie in the checkpoint's files: bf16 or e4m3 throughout, and
// aligned to the element. For ParamStore::Options::mapped, on a device whose memory is the host's.
std::vector<ParamId> mappable_experts(const ParamTable& table, const Checkpoint& checkpoint);

// Fills every parameter from the checkpoint, each tensor converted once, into the memory that the layers read; those that
// `params` has as mapped point into the files, and `checkpoint` must outlive them. Errors as read_weight's.
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
// The same of a folder whose weights are open, with as many MTP layers as are in them: transformers leaves them out when it
// saves a model, and leaves config.json's number. A layer with one tensor counts as there.
ModelConfig read_model_config(const std::filesystem::path& folder, const Checkpoint& files);

}  // namespace ballast
