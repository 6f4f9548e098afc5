// A model folder in memory, ready for an Engine: config, weights in the device's memory, tokenizer.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>

#include "model/model.h"
#include "tokenizer/tokenizer.h"

namespace ballast {

struct LoadedModel {
  std::filesystem::path folder;
  ModelConfig config;
  std::unique_ptr<ParamStore> params;
  std::unique_ptr<Model> model;
  std::optional<Tokenizer> optional_tokenizer;  // absent where the folder has no tokenizer.json

  // Throws Error{file} where there is none: text cannot go in or out.
  const Tokenizer& tokenizer() const;
};

// Reads a Hugging Face model folder: config.json, model*.safetensors, tokenizer.json. Matrices are kept in `storage`
// (f32 or bf16; on Device::ref f32 or f64). `device` outlives the result. Throws Error{file, format, shape,
// unsupported} naming file and key or tensor, also where the tokenizer has more tokens than the model.
LoadedModel load_model(const std::filesystem::path& folder, Device& device, DType storage);

}  // namespace ballast
