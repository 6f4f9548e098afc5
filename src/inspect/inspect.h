// `ballast inspect`: what lies in a model folder, a config.json, a .safetensors file or a token shard, as text.
#pragma once

#include <filesystem>
#include <string>

namespace ballast {

// A model folder: shape, parameters total and active, bytes per decoded token, whether its tensors are those that the
// shape needs (missing, unexpected, of another shape), and the router's biases. `all` lists every tensor as well.
// Throws Error{file} or Error{format} naming the path.
std::string inspect_text(const std::filesystem::path& path, bool all);

}  // namespace ballast
