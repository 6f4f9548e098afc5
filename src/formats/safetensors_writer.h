// Writing safetensors: one file, or a model folder as Hugging Face lays it out (model.safetensors, or
// model-00001-of-0000N.safetensors with model.safetensors.index.json). The same tensors give the same bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "formats/safetensors.h"

namespace ballast {

// What a header must know before the first byte of data is written.
struct TensorSpec {
  std::string name;
  FileDType dtype;
  std::vector<int64_t> shape;
  uint64_t bytes() const;
};

// Takes the next bytes of a tensor, in order; any number of calls, all bytes of the spec in the end.
using TensorSink = std::function<void(std::span<const std::byte>)>;
// Called once per tensor, to pass its bytes to the sink. Tensors come shard by shard and, within one, by element size
// (large first, so that every tensor is aligned) and then in the order given. `index` is the place in the list.
using TensorSource = std::function<void(size_t index, const TensorSink& sink)>;

// One file. Names are distinct. Errors are AtomicFile's: nothing half-written is left.
void write_safetensors(const std::filesystem::path& path, const std::vector<TensorSpec>& tensors,
                       const TensorSource& source, const SafetensorsFile::Metadata& metadata = {{"format", "pt"}});

// A model folder, created if need be. Tensors are dealt to shards in the order given; a shard holds at most
// `max_shard_bytes` of tensors, or one larger tensor. No shard appears under its name before all are written, the index
// comes last, and then model files of an earlier, differently sharded save are removed.
void write_model_folder(const std::filesystem::path& folder, const std::vector<TensorSpec>& tensors,
                        const TensorSource& source, uint64_t max_shard_bytes = 5'000'000'000,
                        const SafetensorsFile::Metadata& metadata = {{"format", "pt"}});

}  // namespace ballast
