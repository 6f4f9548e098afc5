// The fuzz targets on their committed seeds, without a fuzzer: under every compiler and sanitizer of the suite.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

#include "base/file.h"

#define BALLAST_FUZZ_TARGETS(X) X(config) X(debian_copyright) X(jsonl) X(recipe) X(safetensors) X(shard) X(tokenizer)

extern "C" {
#define X(name) int fuzz_##name(const uint8_t* data, size_t size);
BALLAST_FUZZ_TARGETS(X)
#undef X
}

namespace ballast::fuzz {
namespace {
namespace fs = std::filesystem;

const fs::path kFolder = fs::path(BALLAST_SOURCE_DIR) / "fuzz";

struct Target {
  std::string name;
  int (*run)(const uint8_t* data, size_t size);
};

const std::vector<Target>& targets() {
  static const std::vector<Target> all{
#define X(name) {#name, fuzz_##name},
      BALLAST_FUZZ_TARGETS(X)
#undef X
  };
  return all;
}

class FuzzSeeds : public testing::TestWithParam<Target> {};

TEST_P(FuzzSeeds, AreAnsweredWithoutACrash) {
  int seeds = 0;
  for (const auto& entry : fs::directory_iterator(kFolder / "seeds" / GetParam().name)) {
    SCOPED_TRACE(entry.path().string());
    const std::string input = read_file(entry.path());
    // A copy of the exact size, so that a byte read behind it is seen by ASan.
    const std::vector<uint8_t> bytes(input.begin(), input.end());
    EXPECT_NO_THROW(GetParam().run(bytes.data(), bytes.size()));
    ++seeds;
  }
  EXPECT_GE(seeds, 3);
}

// A parser's worst inputs are often no input, one byte, and the same byte for ever.
TEST_P(FuzzSeeds, DullInputsAreAnsweredToo) {
  EXPECT_NO_THROW(GetParam().run(nullptr, 0));
  for (int b = 0; b < 256; ++b)
    for (const size_t size : {1, 64, 4096}) {
      const std::vector<uint8_t> bytes(size, static_cast<uint8_t>(b));
      EXPECT_NO_THROW(GetParam().run(bytes.data(), bytes.size())) << b << " x " << size;
    }
}

INSTANTIATE_TEST_SUITE_P(, FuzzSeeds, testing::ValuesIn(targets()),
                         [](const auto& info) { return info.param.name; });

TEST(FuzzTargets, AreAllListedHere) {
  std::vector<std::string> listed, there;
  for (const Target& t : targets()) listed.push_back(t.name);
  for (const auto& entry : fs::directory_iterator(kFolder)) {
    const std::string name = entry.path().filename();
    if (name.ends_with("_fuzz.cc")) there.push_back(name.substr(0, name.size() - 8));
  }
  std::sort(there.begin(), there.end());
  EXPECT_EQ(there, listed);
}

}  // namespace
}  // namespace ballast::fuzz
