#include "formats/fp8_blocks.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>

#include "base/error.h"
#include "base/rng.h"
#include "base/testing.h"
#include "formats/safetensors.h"
#include "formats/safetensors_writer.h"

namespace ballast {
namespace {

constexpr Fp8Shape kRagged{130, 300};  // 2 x 3 blocks: two rows in the last, 44 columns

std::vector<float> random_values(const Fp8Shape& s, uint64_t seed) {
  Rng rng(seed, 1);
  std::vector<float> v(static_cast<size_t>(s.elements()));
  for (float& x : v) x = static_cast<float>(0.02 * rng.normal());
  return v;
}

std::vector<float> dequantized(const Fp8Matrix& m) {
  std::vector<float> v(m.codes.size());
  dequantize_fp8<float>(m.shape, m.codes, m.scales, 0, m.shape.rows, v);
  return v;
}

TEST(Fp8Blocks, EveryElementHasTheScaleOfItsBlock) {
  const Fp8Shape s = kRagged;
  EXPECT_EQ(s.block_rows(), 2);
  EXPECT_EQ(s.block_cols(), 3);
  const std::vector<std::byte> codes(static_cast<size_t>(s.elements()), std::byte{e4m3(1.5f).bits});
  const std::vector<float> scales = {1, 2, 4, 8, 16, 32};
  std::vector<double> v(codes.size());
  dequantize_fp8<double>(s, codes, scales, 0, s.rows, v);
  for (int64_t i = 0; i < s.rows; ++i)
    for (int64_t j = 0; j < s.cols; ++j)
      ASSERT_EQ(v[i * s.cols + j], 1.5 * scales[i / 128 * 3 + j / 128]) << i << " " << j;
  std::vector<bf16> rows(static_cast<size_t>(3 * s.cols));
  dequantize_fp8<bf16>(s, codes, scales, 127, 130, rows);  // from the middle
  EXPECT_EQ(static_cast<float>(rows[0]), 1.5f);
  EXPECT_EQ(static_cast<float>(rows.back()), 48);
}

TEST(Fp8Blocks, QuantizedToTheLargestOfEachBlock) {
  const std::vector<float> v = random_values(kRagged, 1);
  const Fp8Matrix m = quantize_fp8(kRagged, v, "w");
  std::vector<float> largest(6);
  for (int64_t i = 0; i < 130; ++i)
    for (int64_t j = 0; j < 300; ++j)
      largest[i / 128 * 3 + j / 128] = std::max(largest[i / 128 * 3 + j / 128], std::abs(v[i * 300 + j]));
  for (int b = 0; b < 6; ++b) EXPECT_EQ(m.scales[b], largest[b] / 448);
  // Half a step of 3 bits at most, and f32's rounding of the scale.
  const Fp8Change change = change_of(m, v);
  EXPECT_LE(change.largest_relative_error, 1.0 / 16 + 1e-6);
  EXPECT_GT(change.largest_relative_error, 1.0 / 20);
  EXPECT_EQ(change.changed_code_share(), 1);
}

// Stored values that use the whole range of their block come back as the same codes and scales.
TEST(Fp8Blocks, QuantizingWhatIsDequantizedChangesNothing) {
  const Fp8Matrix m = quantize_fp8(kRagged, random_values(kRagged, 2), "w");
  const Fp8Matrix again = quantize_fp8(kRagged, dequantized(m), "w");
  const Fp8Change change = change_of(again, m.codes, m.scales);
  EXPECT_EQ(change.codes, 130 * 300);
  EXPECT_EQ(change.scales, 6);
  EXPECT_EQ(change.changed_codes, 0);
  // 448 * (x / 448) may differ from x in its last place.
  EXPECT_LE(change.largest_relative_error, 2e-7);
}

// A block whose scale leaves room, as one with power-of-two scales, gets another scale, and only it.
TEST(Fp8Blocks, ReportsWhatRequantizingChanges) {
  Fp8Matrix m = quantize_fp8(kRagged, random_values(kRagged, 3), "w");
  for (float& s : m.scales) s = 0.0078125f;  // exact in every product
  const Fp8Matrix same = quantize_fp8(kRagged, dequantized(m), "w");
  EXPECT_EQ(change_of(same, m.codes, m.scales).changed_scales, 0);
  const Fp8Matrix original = m;
  for (int64_t i = 0; i < 128; ++i)
    for (int64_t j = 0; j < 128; ++j) {  // the first block: nothing above 240
      std::byte& code = m.codes[i * 300 + j];
      if ((std::to_integer<int>(code) & 127) > 0x77) code = std::byte{0x77};
    }
  const Fp8Matrix smaller = quantize_fp8(kRagged, dequantized(m), "w");
  Fp8Change change = change_of(smaller, m.codes, m.scales);
  EXPECT_EQ(change.changed_scales, 1);
  EXPECT_GT(change.changed_codes, 128 * 128 / 2);
  EXPECT_LE(change.changed_codes, 128 * 128);
  EXPECT_GT(change.largest_relative_error, 0.03);
  EXPECT_LE(change.largest_relative_error, 1.0 / 16 + 1e-6);
  change += change_of(original, original.codes, original.scales);
  EXPECT_EQ(change.codes, 2 * 130 * 300);
  EXPECT_NEAR(change.changed_scale_share(), 1.0 / 12, 1e-15);
  Fp8Matrix broken = original;
  broken.codes[77] = std::byte{0x7f};
  EXPECT_TRUE(std::isinf(change_of(broken, original.codes, original.scales).largest_relative_error));
}

TEST(Fp8Blocks, ZerosStayZeros) {
  std::vector<float> v(static_cast<size_t>(kRagged.elements()));
  v.back() = 3;
  const Fp8Matrix m = quantize_fp8(kRagged, v, "w");
  EXPECT_EQ(m.scales.front(), 1);
  EXPECT_EQ(dequantized(m), v);
}

TEST(Fp8Blocks, RefusesWhatIsNotFinite) {
  std::vector<float> v(static_cast<size_t>(kRagged.elements()));
  v[2 * 300 + 7] = std::numeric_limits<float>::infinity();
  try {
    quantize_fp8(kRagged, v, "model.layers.0.x");
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.kind, ErrorKind::unsupported);
    EXPECT_NE(std::string(e.what()).find("model.layers.0.x: element (2, 7)"), std::string::npos) << e.what();
  }
}

// torch's own conversion, and its blocks as DeepSeek's act_quant makes them, on values of all sizes.
TEST(SlowFp8Blocks, EqualsTorch) {
  const TemporaryFolder folder;
  const Fp8Shape s{257, 391};
  Rng rng(5, 1);
  std::vector<float> v(static_cast<size_t>(s.elements()));
  for (float& x : v) x = static_cast<float>(rng.normal() * std::exp2(30 * rng.uniform() - 18));
  const auto bytes = std::as_bytes(std::span<const float>(v));
  write_safetensors(folder.path() / "in.safetensors", {{"v", FileDType::f32, {s.rows, s.cols}}},
                    [&](size_t, const TensorSink& sink) { sink(bytes); });
  const std::string program = R"(
import sys, torch
from safetensors.torch import load_file, save_file
v = load_file(sys.argv[1] + '/in.safetensors')['v']
r, c = [(n + 127) // 128 for n in v.shape]
blocks = torch.nn.functional.pad(v, (0, c * 128 - v.shape[1], 0, r * 128 - v.shape[0])).view(r, 128, c, 128)
scales = blocks.abs().amax(dim=(1, 3)) / 448
codes = (blocks / scales[:, None, :, None]).to(torch.float8_e4m3fn).view(r * 128, c * 128)[:v.shape[0], :v.shape[1]]
plain = v.to(torch.float8_e4m3fn)
save_file(dict(codes=codes.contiguous(), scales=scales, plain=plain, back=plain.float()), sys.argv[1] + '/out.safetensors')
)";
  if (!python_accepts(program, folder.path()))
    GTEST_SKIP() << "no Python with torch and safetensors (BALLAST_PYTHON names one)";
  const SafetensorsFile out(folder.path() / "out.safetensors");
  const Fp8Matrix m = quantize_fp8(s, v, "v");
  const auto equal = [&](const char* name, std::span<const std::byte> ours) {
    const auto theirs = out.find(name)->bytes;
    EXPECT_TRUE(std::equal(theirs.begin(), theirs.end(), ours.begin(), ours.end())) << name;
  };
  equal("codes", m.codes);
  equal("scales", std::as_bytes(std::span<const float>(m.scales)));
  std::vector<std::byte> plain;
  std::vector<float> back;
  for (const float x : v) {
    const e4m3 code(x);
    plain.push_back(std::byte{code.bits});
    back.push_back(static_cast<float>(code));
  }
  equal("plain", plain);
  std::vector<float> theirs(back.size());
  std::memcpy(theirs.data(), out.find("back")->bytes.data(), theirs.size() * 4);
  for (size_t i = 0; i < back.size(); ++i)
    ASSERT_TRUE(back[i] == theirs[i] || (std::isnan(back[i]) && std::isnan(theirs[i]))) << v[i];
}

}  // namespace
}  // namespace ballast
