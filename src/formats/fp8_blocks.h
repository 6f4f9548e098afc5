// Matrices in FP8 as DeepSeek-V3 stores them: codes (rows, cols) in e4m3, row-major, and scales (ceil(rows / 128),
// ceil(cols / 128)) in f32; element (i, j) is code * scale[i / 128, j / 128], a product of two f32. core/fp8.h has the
// element and the rule for scales. Codes that are only passed on need nothing from here.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "core/dtype.h"
#include "core/fp8.h"

namespace ballast {

struct Fp8Shape {
  int64_t rows = 0, cols = 0;
  int64_t block_rows() const { return (rows + kFp8Block - 1) / kFp8Block; }
  int64_t block_cols() const { return (cols + kFp8Block - 1) / kFp8Block; }
  int64_t elements() const { return rows * cols; }
  int64_t blocks() const { return block_rows() * block_cols(); }
};

// Rows [begin, end) as T: float, double or bf16 (rounded from f32). `codes` and `scales` are the whole matrix's; `out`
// holds those rows.
template <class T>
void dequantize_fp8(const Fp8Shape& shape, std::span<const std::byte> codes, std::span<const float> scales,
                    int64_t begin, int64_t end, std::span<T> out);

struct Fp8Matrix {
  Fp8Shape shape;
  std::vector<std::byte> codes;
  std::vector<float> scales;
};

// The scale of every block, of its largest magnitude. Errors as quantize_fp8's.
std::vector<float> fp8_block_scales(const Fp8Shape& shape, std::span<const float> values, const std::string& where);

// Every block gets the scale of its largest magnitude. Throws Error{unsupported} naming `where` and the element that is
// not finite.
Fp8Matrix quantize_fp8(const Fp8Shape& shape, std::span<const float> values, const std::string& where);

// What quantizing changed. An element's error is relative to its value, but at least to the smallest normal number of
// the block it came from or went to: below that e4m3 has a fixed step, and everything there would count as lost.
struct Fp8Change {
  int64_t codes = 0, changed_codes = 0;
  int64_t scales = 0, changed_scales = 0;
  double largest_relative_error = 0;

  double changed_code_share() const { return codes ? double(changed_codes) / double(codes) : 0; }
  double changed_scale_share() const { return scales ? double(changed_scales) / double(scales) : 0; }
  Fp8Change& operator+=(const Fp8Change& other);
};

// Of a matrix of another type: its values against what is stored now. All codes and scales are new.
Fp8Change change_of(const Fp8Matrix& stored, std::span<const float> values);
// Of a matrix that was FP8 before: `codes` and `scales` were the stored ones.
Fp8Change change_of(const Fp8Matrix& stored, std::span<const std::byte> codes, std::span<const float> scales);

}  // namespace ballast
