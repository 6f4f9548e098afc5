// `ballast inspect`: what lies in a model folder, a config.json, a .safetensors file or a token shard.
#pragma once

#include <filesystem>
#include <string>

#include "base/json.h"

namespace ballast {

// A model folder: shape, parameters total and active, bytes per decoded token, memory to train and to serve, tensors by
// type, those missing, unexpected or of another shape by name, routers and their biases layer by layer, FP8 scales. A
// config.json gives what follows from the shape; a .safetensors file what lies in it. `all` lists every tensor as well.
// Nothing of what is measured needs more memory than one router. Throws Error{file} or Error{format} naming the path.
Json inspect(const std::filesystem::path& path, bool all);
// The same for people.
std::string inspect_text(const Json& found);

}  // namespace ballast
