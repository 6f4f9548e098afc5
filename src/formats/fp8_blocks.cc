#include "formats/fp8_blocks.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>

#include "base/error.h"

namespace ballast {
namespace {

const std::array<float, 256>& decoded() {
  static const std::array<float, 256> table = [] {
    std::array<float, 256> t;
    for (int code = 0; code < 256; ++code) {
      e4m3 v;
      v.bits = static_cast<uint8_t>(code);
      t[code] = static_cast<float>(v);
    }
    return t;
  }();
  return table;
}

// Calls f(row, first column, last column, block) for every run of a row that lies in one block.
template <class F>
void for_each_run(const Fp8Shape& s, int64_t begin, int64_t end, F&& f) {
  for (int64_t i = begin; i < end; ++i)
    for (int64_t b = 0; b < s.block_cols(); ++b)
      f(i, b * kFp8Block, std::min(s.cols, (b + 1) * kFp8Block), i / kFp8Block * s.block_cols() + b);
}

// The step below which e4m3's errors are absolute, of the coarser of two blocks.
double floor_of(float scale, float other) { return kE4m3SmallestNormal * std::max(std::abs(scale), std::abs(other)); }

double relative_error(float now, float before, double floor) {
  const double difference = std::abs(double(now) - before);
  return std::isfinite(difference) ? difference / std::max<double>(std::abs(before), floor) : INFINITY;
}

}  // namespace

template <class T>
void dequantize_fp8(const Fp8Shape& shape, std::span<const std::byte> codes, std::span<const float> scales,
                    int64_t begin, int64_t end, std::span<T> out) {
  CHECK(std::ssize(codes) == shape.elements() && std::ssize(scales) == shape.blocks());
  CHECK(std::ssize(out) == (end - begin) * shape.cols);
  const float* table = decoded().data();
  for_each_run(shape, begin, end, [&](int64_t i, int64_t first, int64_t last, int64_t block) {
    const std::byte* from = codes.data() + i * shape.cols;
    T* to = out.data() + (i - begin) * shape.cols;
    const float scale = scales[block];
    for (int64_t j = first; j < last; ++j) to[j] = T(table[static_cast<uint8_t>(from[j])] * scale);
  });
}
template void dequantize_fp8(const Fp8Shape&, std::span<const std::byte>, std::span<const float>, int64_t, int64_t,
                             std::span<float>);
template void dequantize_fp8(const Fp8Shape&, std::span<const std::byte>, std::span<const float>, int64_t, int64_t,
                             std::span<double>);
template void dequantize_fp8(const Fp8Shape&, std::span<const std::byte>, std::span<const float>, int64_t, int64_t,
                             std::span<bf16>);

std::vector<float> fp8_block_scales(const Fp8Shape& shape, std::span<const float> values, const std::string& where) {
  CHECK(std::ssize(values) == shape.elements());
  std::vector<float> largest(static_cast<size_t>(shape.blocks()));
  for_each_run(shape, 0, shape.rows, [&](int64_t i, int64_t first, int64_t last, int64_t block) {
    for (int64_t j = first; j < last; ++j) {
      const float v = values[i * shape.cols + j];
      if (!std::isfinite(v))
        fail(ErrorKind::unsupported, where, "element ({}, {}) is {}: only finite values can be quantized", i, j, v);
      largest[block] = std::max(largest[block], std::abs(v));
    }
  });
  std::transform(largest.begin(), largest.end(), largest.begin(), fp8_block_scale);
  return largest;
}

Fp8Matrix quantize_fp8(const Fp8Shape& shape, std::span<const float> values, const std::string& where) {
  Fp8Matrix out{shape, std::vector<std::byte>(values.size()), fp8_block_scales(shape, values, where)};
  for_each_run(shape, 0, shape.rows, [&](int64_t i, int64_t first, int64_t last, int64_t block) {
    for (int64_t j = first; j < last; ++j)
      out.codes[i * shape.cols + j] = std::byte{e4m3(values[i * shape.cols + j] / out.scales[block]).bits};
  });
  return out;
}

Fp8Change& Fp8Change::operator+=(const Fp8Change& other) {
  codes += other.codes, changed_codes += other.changed_codes;
  scales += other.scales, changed_scales += other.changed_scales;
  largest_relative_error = std::max(largest_relative_error, other.largest_relative_error);
  return *this;
}

Fp8Change change_of(const Fp8Matrix& stored, std::span<const float> values) {
  const Fp8Shape& s = stored.shape;
  CHECK(std::ssize(values) == s.elements());
  Fp8Change change{
      .codes = s.elements(), .changed_codes = s.elements(), .scales = s.blocks(), .changed_scales = s.blocks()};
  std::vector<float> now(static_cast<size_t>(s.cols));
  for_each_run(s, 0, s.rows, [&](int64_t i, int64_t first, int64_t last, int64_t block) {
    if (first == 0) dequantize_fp8<float>(s, stored.codes, stored.scales, i, i + 1, now);
    const double floor = floor_of(stored.scales[block], 0);
    for (int64_t j = first; j < last; ++j)
      change.largest_relative_error =
          std::max(change.largest_relative_error, relative_error(now[j], values[i * s.cols + j], floor));
  });
  return change;
}

Fp8Change change_of(const Fp8Matrix& stored, std::span<const std::byte> codes, std::span<const float> scales) {
  const Fp8Shape& s = stored.shape;
  CHECK(std::ssize(codes) == s.elements() && std::ssize(scales) == s.blocks());
  Fp8Change change{.codes = s.elements(), .scales = s.blocks()};
  for (int64_t b = 0; b < s.blocks(); ++b)
    change.changed_scales += std::bit_cast<uint32_t>(stored.scales[b]) != std::bit_cast<uint32_t>(scales[b]);
  std::vector<float> now(static_cast<size_t>(s.cols)), before(now.size());
  for_each_run(s, 0, s.rows, [&](int64_t i, int64_t first, int64_t last, int64_t block) {
    if (first == 0) {
      dequantize_fp8<float>(s, stored.codes, stored.scales, i, i + 1, now);
      dequantize_fp8<float>(s, codes, scales, i, i + 1, before);
    }
    const double floor = floor_of(stored.scales[block], scales[block]);
    for (int64_t j = first; j < last; ++j) {
      change.changed_codes += stored.codes[i * s.cols + j] != codes[i * s.cols + j];
      change.largest_relative_error = std::max(change.largest_relative_error, relative_error(now[j], before[j], floor));
    }
  });
  return change;
}

}  // namespace ballast
