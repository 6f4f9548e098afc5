// A checkpoint is a Hugging Face folder (config.json, tokenizer.json, model*.safetensors in f32: the masters) plus
// trainer/ (moments.safetensors, state.json). It is written beside its name and renamed when whole, so a folder under
// checkpoints/ is complete or absent.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>

#include "base/json.h"
#include "model/params.h"

namespace ballast {

// Writes checkpoints/<name>. `state` is trainer/state.json; `more` may put further files into the folder trainer/.
void save_checkpoint(const std::filesystem::path& checkpoints, const std::string& name, const ParamStore& params,
                     const ModelConfig& config, const std::filesystem::path& tokenizer, const Json& state,
                     const std::function<void(const std::filesystem::path& trainer)>& more);

// Restores masters, weights and moments; returns the state. Throws Error naming the file where something is missing,
// damaged or of another shape.
Json load_checkpoint(const std::filesystem::path& checkpoint, ParamStore& params);
// The state alone, to decide before memory is planned.
Json read_checkpoint_state(const std::filesystem::path& checkpoint);

std::string checkpoint_name(int64_t step);  // "step-000120"
// The complete checkpoint of the highest step, if any.
std::optional<std::filesystem::path> latest_checkpoint(const std::filesystem::path& checkpoints);
// What a process that was killed while it saved or removed left behind. Only for the folder's one writer.
void remove_leftovers(const std::filesystem::path& checkpoints);
// Removes all but the last `keep` and `best`.
void prune_checkpoints(const std::filesystem::path& checkpoints, int64_t keep, const std::string& best);
// Renames, then removes: a folder never stands half-removed under its own name.
void discard_folder(const std::filesystem::path& folder);
// Writes best.json.
void mark_best(const std::filesystem::path& checkpoints, const std::string& name, double val_loss);

}  // namespace ballast
