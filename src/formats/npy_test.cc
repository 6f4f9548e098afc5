#include "formats/npy.h"

#include <gtest/gtest.h>

#include <fstream>

#include "base/error.h"
#include "base/file.h"
#include "base/testing.h"

namespace ballast {
namespace {

namespace fs = std::filesystem;

std::vector<int64_t> row(int64_t i) { return {i, -i, i << 40, 3, 4, 5}; }

std::string error_of(const fs::path& path, std::vector<int64_t> row_shape = {2, 3}) {
  try {
    NpyAppender(path, std::move(row_shape));
  } catch (const Error& e) {
    return e.what();
  }
  return "";
}

TEST(Npy, AppendsFlushesTruncates) {
  const TemporaryFolder folder;
  const fs::path path = folder.path() / "loads.npy";
  {
    NpyAppender loads(path, {2, 3});
    EXPECT_EQ(read_npy(path).shape, (std::vector<int64_t>{0, 2, 3}));
    for (int i = 0; i < 3; ++i) loads.append(row(i));
    loads.flush();
    loads.append(row(3));  // never flushed: lost
    EXPECT_EQ(loads.rows(), 4);
  }
  EXPECT_EQ(fs::file_size(path), 128 + 3 * 48u);
  std::ofstream(path, std::ios::app | std::ios::binary) << "a row that was cut off";
  {
    NpyAppender loads(path, {2, 3});
    EXPECT_EQ(loads.rows(), 3);
    EXPECT_THROW(loads.truncate(4), Error);
    loads.truncate(2);
    EXPECT_EQ(read_npy(path).shape[0], 2);
    loads.append(row(7));
    loads.flush();
  }
  const NpyArray array = read_npy(path);
  EXPECT_EQ(array.shape, (std::vector<int64_t>{3, 2, 3}));
  std::vector<int64_t> expected;
  for (const int64_t i : {0, 1, 7})
    for (const int64_t v : row(i)) expected.push_back(v);
  EXPECT_EQ(array.values, expected);
  if (python_accepts("import numpy")) {
    EXPECT_TRUE(
        python_accepts("import sys, numpy; a = numpy.load(sys.argv[1]); assert a.shape == (3, 2, 3); "
                       "assert a.dtype == numpy.int64; assert a[2, 0].tolist() == [7, -7, 7 << 40]",
                       path));
  }
}

TEST(Npy, BadFilesAreNamed) {
  const TemporaryFolder folder;
  const fs::path path = folder.path() / "x.npy";
  { NpyAppender(path, {2, 3}).append(row(0)); }
  const std::string good = read_file(path);
  EXPECT_NE(error_of(path, {3, 2}).find("expected rows of shape (3, 2), found an array of shape (0, 2, 3)"),
            std::string::npos);
  const auto damaged = [&](const std::string& bytes) {
    std::ofstream(path, std::ios::binary) << bytes;
    EXPECT_THROW(read_npy(path), Error);
    return error_of(path);
  };
  std::string promise = good;
  promise.replace(promise.find("(0,"), 3, "(9,");
  EXPECT_NE(damaged(promise).find("truncated"), std::string::npos);
  std::string huge = good;
  huge.replace(huge.find("(0, 2, 3)"), 30, "(4611686018427387904, 2, 3), }");
  EXPECT_NE(damaged(huge).find("64 bits"), std::string::npos);
  std::string floats = good;
  floats.replace(floats.find("<i8"), 3, "<f8");
  EXPECT_NE(damaged(floats).find("int64"), std::string::npos);
  for (size_t n = 1; n < 128; ++n) EXPECT_NE(damaged(good.substr(0, n)).find("x.npy"), std::string::npos);
}

TEST(Npy, FullDiskIsSaid) {
  if (!fs::exists("/dev/full")) GTEST_SKIP() << "no /dev/full";
  EXPECT_THROW(NpyAppender("/dev/full", {1}), Error);
}

}  // namespace
}  // namespace ballast
