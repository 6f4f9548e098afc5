// A checkpoint is a Hugging Face folder (config.json, tokenizer.json, model*.safetensors in f32: the masters) plus
// trainer/ (moments.safetensors, state.json) and checksums.json over all of them. It is written beside its name and
// renamed when whole, so a folder under checkpoints/ is complete or absent.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>

#include "base/json.h"
#include "model/params.h"

namespace ballast {

// Writes checkpoints/<name>. `tokenizer` is the text of tokenizer.json, empty for none; `state` is trainer/state.json;
// `more` may put further files into the folder trainer/.
void save_checkpoint(const std::filesystem::path& checkpoints, const std::string& name, const ParamStore& params,
                     const ModelConfig& config, const std::string& tokenizer, const Json& state,
                     const std::function<void(const std::filesystem::path& trainer)>& more);

// Holds all files to their checksums and returns the state, which decides what memory to plan. Throws Error naming the
// file where something is missing or damaged.
Json read_checkpoint_state(const std::filesystem::path& checkpoint);
// Restores masters, weights and moments. Throws Error naming the file where one is of another shape.
void load_checkpoint(const std::filesystem::path& checkpoint, ParamStore& params);

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
