// A look at the model while it trains: a greedy continuation of a fixed prompt, logged and kept in samples.jsonl.
#pragma once

#include <filesystem>
#include <functional>
#include <string>

#include "model/model.h"

namespace ballast {

// For TrainHooks::sample. `tokenizer`: tokenizer.json. Keeps what it reads alive. Throws Error{file} where that is
// missing.
std::function<void(Model&, int64_t step)> sample_hook(const std::filesystem::path& tokenizer, std::string prompt,
                                                      const std::filesystem::path& jsonl);

}  // namespace ballast
