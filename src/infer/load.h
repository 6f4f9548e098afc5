// A model folder in memory, ready for an Engine: config, weights in the device's memory, tokenizer.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>

#include "formats/safetensors.h"
#include "model/model.h"
#include "tokenizer/tokenizer.h"

namespace ballast {

// A folder whose small files are read; its weights are mapped, and not read yet.
struct OpenedModel {
  std::filesystem::path folder;
  ModelConfig config;
  Checkpoint files;
  std::optional<Tokenizer> optional_tokenizer;  // absent where the folder has no tokenizer.json

  // Throws Error{file} where there is none: text cannot go in or out.
  const Tokenizer& tokenizer() const;
};

struct LoadedModel : OpenedModel {
  std::unique_ptr<ParamStore> params;
  std::unique_ptr<Model> model;
};

// Reads config.json and tokenizer.json of a Hugging Face model folder and the headers of its model*.safetensors. Throws
// Error{file, format, unsupported} naming file and key, also where the tokenizer has more tokens than the model.
OpenedModel open_model(const std::filesystem::path& folder);

// Throws Error{usage} naming `key` where the model was not made for so many positions. `what` they are: "a window of
// 300 tokens".
void check_positions(const ModelConfig& config, int64_t positions, const std::string& key, const std::string& what);

// How load_model keeps the weights: matrices in `storage` (f32 or bf16; on Device::ref f32 or f64), but routed experts that
// the files have in bf16 or FP8 stay there and are used where they lie (on the CPU and on Device::ref).
ParamStore::Options serving_options(const OpenedModel& model, const Device& device, DType storage);

// Reads the weights. `device` outlives the result. Throws Error{format, shape, unsupported} naming file and tensor,
// also where a router's bias is not finite.
LoadedModel load_model(OpenedModel opened, Device& device, DType storage);
LoadedModel load_model(const std::filesystem::path& folder, Device& device, DType storage);

}  // namespace ballast
