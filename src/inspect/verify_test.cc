#include "inspect/verify.h"

#include <gtest/gtest.h>

#include <cstdlib>

namespace ballast {
namespace {
namespace fs = std::filesystem;

void expect_okay(const fs::path& folder, DeviceKind kind, DType storage) {
  auto device = Device::make(kind);
  const Verification v = verify(folder, *device, storage);
  EXPECT_GT(v.quantities.size(), 50u);
  EXPECT_TRUE(v.okay()) << folder << "\n" << v.worst_by_group();
  if (std::getenv("BALLAST_VERBOSE")) std::fputs(v.worst_by_group().c_str(), stderr);
}

fs::path own() { return fs::path(BALLAST_SOURCE_DIR) / "tests/golden/v3-tiny"; }

TEST(Verify, OwnReferenceOnRefF64) { expect_okay(own(), DeviceKind::ref, DType::f64); }
TEST(Verify, OwnReferenceOnRefF32) { expect_okay(own(), DeviceKind::ref, DType::f32); }
TEST(Verify, OwnReferenceOnCpu) { expect_okay(own(), DeviceKind::cpu, DType::f32); }

TEST(Verify, SharedGoldens) {
  const char* shared = std::getenv("BALLAST_SHARED");
  const fs::path root = shared ? fs::path(shared) : fs::path(BALLAST_SOURCE_DIR) / "../shared";
  const fs::path goldens = root / "data/goldens";
  if (!fs::exists(goldens)) GTEST_SKIP() << "no reference folders at " << goldens;
  for (const char* name : {"v3", "moonlight"}) {
    expect_okay(goldens / name, DeviceKind::ref, DType::f64);
    expect_okay(goldens / name, DeviceKind::cpu, DType::f32);
  }
}

TEST(Verify, SaysWhatIsMissing) {
  auto device = Device::make(DeviceKind::cpu, 1);
  EXPECT_THROW(verify("/nonexistent", *device, DType::f32), Error);
}

}  // namespace
}  // namespace ballast
