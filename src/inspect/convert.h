// `ballast convert`: a checkpoint in another type or in files of another size, as a new folder.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "base/json.h"
#include "formats/fp8_blocks.h"

namespace ballast {

struct ConvertOptions {
  // Empty: as stored. "f32": every number. "bf16": matrices; norms, gate and biases, which are small and must not lose
  // digits, stay in bf16 where they are in it and are f32 else. "fp8": the matrices of attention and feed-forward
  // networks, with scales, as in the hub's DeepSeek-V3; the others as with bf16. Tensors that are FP8 already pass
  // through to FP8 untouched, codes and scales byte for byte; types that nothing here computes in always do.
  std::string dtype;
  uint64_t max_shard_bytes = 5'000'000'000;
  bool center_bias = false;       // subtracts each router bias's mean, to which routing is blind; in f32
  std::filesystem::path compare;  // with "fp8": the FP8 checkpoint that these weights came from
  int threads = 0;                // 0: all cores
};

struct ConvertReport {
  std::map<std::string, int64_t> tensors;  // how many by "F8_E4M3 -> BF16", "F32 as they were"
  uint64_t bytes_before = 0, bytes_after = 0;
  int64_t files = 0;
  std::map<std::string, int64_t> other_types;  // how many did not get the type that was asked for: "F32 norms, ..."
  std::vector<std::string> ill_scales;         // FP8 that is passed on with scales that cannot be (Fp8Statistics::bad)
  int64_t missing = 0;                         // tensors that config.json asks for and the source has not
  int64_t quantized = 0;  // tensors
  bool compared = false;  // `change` is against ConvertOptions::compare, else against the source's values
  Fp8Change change;
  std::vector<std::string> carried, left_out;  // other files of the folder; folders and weights in other formats stay
  double seconds = 0;

  Json to_json() const;
  std::string to_text() const;
};

// Streams: in memory are a block of rows per thread and the files' headers, whatever the size of the checkpoint. `to`
// is written under another name in the same folder and renamed when whole. Throws Error{usage} where `to` exists, lies
// in `from` or an option says nothing, Error{file} where it cannot be made, Error{device} with the figures where the
// disk is too small, Error{format, shape, unsupported} naming file and tensor (FP8 without its scales, and FP8 to be
// dequantized with scales that are not finite, among them), Error{interrupted}; nothing is left behind then.
ConvertReport convert(const std::filesystem::path& from, const std::filesystem::path& to,
                      const ConvertOptions& options);

}  // namespace ballast
