// The files of a model folder besides its weights and config.json, on their way into a converted folder.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "formats/safetensors.h"

namespace ballast {

struct CarriedFiles {
  std::vector<std::string> names;  // tokenizer.json, ...; sorted
  std::vector<std::string>
      left_out;  // "trainer/", "old.safetensors", "socket (not a regular file)": what stays, and why
  uint64_t bytes = 0;
};

// Looks at every entry of `folder`, symbolic links followed, and opens what will be carried, so that what cannot be
// read is said before anything is written. Neither carried nor left out: the files that `weights` lies in and their
// index, config.json and the list of checksums, which the conversion makes anew. Left out: folders, weights that the
// checkpoint does not use or that are in another program's format (carried, they would contradict the new ones), broken
// links, and what is no regular file. Throws Error{file}.
CarriedFiles list_carried_files(const std::filesystem::path& folder, const Checkpoint& weights);

// Copies them, each atomically and a piece at a time. Throws Error{file, device}, Error{interrupted}.
void carry_files(const CarriedFiles& files, const std::filesystem::path& from, const std::filesystem::path& to);

}  // namespace ballast
