// The small trained model that comes with the program: models/ballast-nano, beside the sources or installed.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>

namespace ballast {

inline constexpr const char* kShippedModel = "ballast-nano";
inline constexpr int64_t kShippedContext = 512;  // tokens of the windows it was trained on

// Where it is for a program at `program`: in share/ballast/models beside its bin folder, else in models/ of one of the
// folders above it, so that a program in a build folder finds its source tree's.
std::optional<std::filesystem::path> find_shipped_model(const std::filesystem::path& program);
// Of the running program.
std::optional<std::filesystem::path> find_shipped_model();

// `given`, or the shipped model where that is empty. Throws Error{usage} where there is none.
std::filesystem::path model_or_shipped(const std::filesystem::path& given);

}  // namespace ballast
