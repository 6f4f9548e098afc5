#include "infer/shipped_model.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "base/file.h"
#include "base/testing.h"

namespace ballast {
namespace {
namespace fs = std::filesystem;

class ShippedModel : public ::testing::Test {
 protected:
  void put(const fs::path& folder) {
    fs::create_directories(root / folder);
    write_file_atomic(root / folder / "config.json", "{}");
  }
  TemporaryFolder folder;
  const fs::path root = folder.path();
};

TEST_F(ShippedModel, IsFoundInstalledAndInTheSourceTree) {
  EXPECT_FALSE(find_shipped_model(root / "tree/build/release/ballast"));
  put("tree/models/ballast-nano");
  EXPECT_EQ(find_shipped_model(root / "tree/build/release/ballast"), root / "tree/models/ballast-nano");
  EXPECT_EQ(find_shipped_model(root / "tree/build/release/tests/some_test"), root / "tree/models/ballast-nano");
  EXPECT_FALSE(find_shipped_model(root / "other/bin/ballast"));
  put("usr/share/ballast/models/ballast-nano");
  EXPECT_EQ(find_shipped_model(root / "usr/bin/ballast"), root / "usr/share/ballast/models/ballast-nano");
  // A folder without a model is none.
  fs::create_directories(root / "usr/local/share/ballast/models/ballast-nano");
  EXPECT_FALSE(find_shipped_model(root / "usr/local/bin/ballast"));
}

TEST(ShippedModelChoice, WhatWasGivenWins) { EXPECT_EQ(model_or_shipped("some/where"), fs::path("some/where")); }

}  // namespace
}  // namespace ballast
