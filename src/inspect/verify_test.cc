#include "inspect/verify.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <vector>

#include "base/testing.h"

namespace ballast {
namespace {
namespace fs = std::filesystem;

void expect_okay(const fs::path& folder, DeviceKind kind, DType storage, size_t at_least = 50) {
  auto device = Device::make(kind);
  const Verification v = verify(folder, *device, storage);
  EXPECT_GE(v.quantities.size(), at_least) << folder;
  EXPECT_TRUE(v.okay()) << folder << "\n" << v.worst_by_group();
  if (std::getenv("BALLAST_VERBOSE")) std::fputs(v.worst_by_group().c_str(), stderr);
}

fs::path own() { return fs::path(BALLAST_SOURCE_DIR) / "tests/golden/v3-tiny"; }

TEST(Verify, OwnReferenceOnRefF64) { expect_okay(own(), DeviceKind::ref, DType::f64); }
TEST(Verify, OwnReferenceOnRefF32) { expect_okay(own(), DeviceKind::ref, DType::f32); }
TEST(Verify, OwnReferenceOnCpu) { expect_okay(own(), DeviceKind::cpu, DType::f32); }

TEST(Verify, SharedGoldens) {
  const fs::path goldens = shared_dir() / "data/goldens";
  SKIP_WITHOUT(goldens);
  for (const char* name : {"v3", "moonlight", "v2", "v2-lite", "v3-fp8"}) {
    const size_t at_least = std::string_view(name) == "v3-fp8" ? 15 : 80;  // no gradients and no training there
    expect_okay(goldens / name, DeviceKind::ref, DType::f64, at_least);
    expect_okay(goldens / name, DeviceKind::cpu, DType::f32, at_least);
  }
}

// Shapes of all four families that transformers computes here and now (tools/make_reference.py --random).
// BALLAST_RANDOM_SHAPES sets how many, BALLAST_PYTHON the interpreter. From number 4 on: three of the eight are in FP8.
TEST(SlowVerify, RandomShapesOfTheFamily) {
  const char* set = std::getenv("BALLAST_RANDOM_SHAPES");
  const std::string count = set ? set : "8";
  if (!python_accepts("import torch, transformers, safetensors"))
    GTEST_SKIP() << python_program() << " has no torch, transformers and safetensors; BALLAST_PYTHON names another";
  const TemporaryFolder folder;
  const std::string script = (fs::path(BALLAST_SOURCE_DIR) / "tools/make_reference.py").string();
  ASSERT_EQ(run_python({script, "--seed", "4", "--random", count, "--out", folder.path().string()}), 0);
  std::vector<fs::path> made;
  for (const auto& entry : fs::directory_iterator(folder.path())) made.push_back(entry.path());
  std::sort(made.begin(), made.end());
  EXPECT_EQ(std::to_string(made.size()), count);
  for (const fs::path& shape : made) {
    expect_okay(shape, DeviceKind::ref, DType::f64, 15);
    expect_okay(shape, DeviceKind::cpu, DType::f32, 15);
  }
}

TEST(Verify, SaysWhatIsMissing) {
  auto device = Device::make(DeviceKind::cpu, 1);
  EXPECT_THROW(verify("/nonexistent", *device, DType::f32), Error);
}

}  // namespace
}  // namespace ballast
