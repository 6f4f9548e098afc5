// What xz -9e makes of a text, alone and after having seen other text.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>

namespace ballast {

// The bytes of `xz -9e` on this text: one .xz file with its headers and CRC-64.
int64_t xz_size(std::string_view text);

// LZMA2 at xz's preset 9e after `before`: size(before + text) - size(before), with both the window and the adaptive
// probabilities primed, and without the container. `before` is compressed once; then the encoder's whole state, which
// lives in memory of ours, is put back for every text. Uses about 25 times the memory of `before`, so no more than
// kMostPriming bytes of its end are taken.
class PrimedCompressor {
 public:
  static constexpr size_t kMostPriming = size_t{12} << 20;
  static constexpr size_t kLongestText = size_t{1} << 20;

  explicit PrimedCompressor(std::string_view before);
  ~PrimedCompressor();
  int64_t size(std::string_view text);  // of at most kLongestText bytes
  int64_t primed_bytes() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace ballast
