// Every op, every case, every dtype, on the device named by BALLAST_DEVICE (cpu unless set). Coverage is checked
// against coverage.txt: what is supported there and fails here as unsupported is a failure.
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <set>

#include "parity/runner.h"

namespace ballast::ops {
namespace {

struct Instance {
  OpCase c;
  DType storage;
  bool backward;
};

std::vector<Instance> instances() {
  std::vector<Instance> list;
  for (const auto& c : all_cases())
    for (const DType t : {DType::f32, DType::bf16})
      for (const bool backward : {false, true})
        if (!backward || c.backward) list.push_back({c, t, backward});
  return list;
}

std::string key(const Instance& i, DeviceKind kind) {
  return i.c.op + (i.backward ? ".backward " : ".forward ") + name_of(kind) + " " + name_of(i.storage);
}

std::set<std::string> declared_coverage() {
  std::ifstream in(std::string(BALLAST_SOURCE_DIR) + "/tests/parity/coverage.txt");
  std::set<std::string> lines;
  for (std::string line; std::getline(in, line);)
    if (!line.empty() && line[0] != '#') lines.insert(line);
  return lines;
}

DeviceKind device_under_test() {
  const char* name = std::getenv("BALLAST_DEVICE");
  return name && std::string(name) == "cuda" ? DeviceKind::cuda : DeviceKind::cpu;
}

class Parity : public testing::TestWithParam<Instance> {
 protected:
  static void SetUpTestSuite() { device = Device::make(device_under_test()); }
  static void TearDownTestSuite() { device.reset(); }
  static std::unique_ptr<Device> device;
};
std::unique_ptr<Device> Parity::device;

TEST_P(Parity, EqualsReference) {
  static const auto declared = declared_coverage();
  const Instance& i = GetParam();
  for (const uint64_t seed : {1, 2}) {
    const Verdict v = check_parity(i.c, *device, i.storage, i.backward, seed);
    const bool expected = declared.count(key(i, device->kind)) > 0;
    if (v.outcome == Outcome::unsupported) {
      EXPECT_FALSE(expected) << "coverage lost: " << v.message;
      GTEST_SKIP() << "unsupported: " << v.message;
    }
    EXPECT_TRUE(expected) << key(i, device->kind) << " runs here: add it to tests/parity/coverage.txt";
    EXPECT_EQ(v.outcome, Outcome::passed) << v.message;
  }
}

void PrintTo(const Instance& i, std::ostream* out) { *out << i.c.op << " / " << i.c.name; }

std::string label(const testing::TestParamInfo<Instance>& info) {
  const Instance& i = info.param;
  std::string s = i.c.op + "_" + i.c.name + (i.backward ? "_backward_" : "_forward_") + name_of(i.storage);
  for (char& ch : s)
    if (!std::isalnum(static_cast<unsigned char>(ch))) ch = '_';
  return s;
}
INSTANTIATE_TEST_SUITE_P(Ops, Parity, testing::ValuesIn(instances()), label);

}  // namespace
}  // namespace ballast::ops
