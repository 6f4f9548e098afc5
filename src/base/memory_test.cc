#include "base/memory.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <fstream>

#include "base/error.h"
#include "base/file.h"
#include "base/testing.h"

namespace ballast {
namespace {

TEST(Memory, AvailableIsReadFromMeminfo) {
  const TemporaryFolder folder;
  const std::filesystem::path file = folder / "meminfo";
  std::ofstream(file) << "MemTotal:       24646136 kB\nMemFree:          123 kB\nMemAvailable:   22020096 kB\nHuge: 0\n";
  EXPECT_EQ(available_memory(file), int64_t{22020096} * 1024);
  std::ofstream(file) << "MemTotal:       24646136 kB\n";
  EXPECT_THROW(available_memory(file), Error);
  std::filesystem::remove(file);
  EXPECT_THROW(available_memory(file), Error);
}

TEST(Memory, ReadAheadLeavesTheMappingAsItIs) {
  const TemporaryFolder folder;
  const std::filesystem::path file = folder / "text";
  const std::string text(100'000, 'x');
  write_file_atomic(file, text);
  const MappedFile mapped(file);
  read_ahead(mapped.bytes().subspan(4097, 70'001));  // not at a page's edge
  read_ahead(mapped.bytes().subspan(99'999));
  EXPECT_EQ(mapped.text(), text);
}

}  // namespace
}  // namespace ballast
