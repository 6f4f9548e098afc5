#include "base/memory.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>
#include <string>

#include "base/error.h"
#include "base/file.h"
#include "base/testing.h"

namespace ballast {
namespace {

constexpr int64_t kMib = 1 << 20;

// A root folder with fake /proc and /sys/fs/cgroup.
class AvailableMemoryTest : public FolderTest {
 protected:
  void put(const std::string& file, const std::string& text) {
    std::filesystem::create_directories((folder / file).parent_path());
    std::ofstream(folder / file) << text;
  }
  // A machine that has 8 GiB, and a process that has 100 MiB mapped, in this group.
  void machine(const std::string& groups) {
    put("proc/meminfo", "MemTotal:       24646136 kB\nMemFree:          123 kB\nMemAvailable:   8388608 kB\nHuge: 0\n");
    put("proc/self/limits", limits("unlimited"));
    put("proc/self/statm", std::to_string(100 * kMib / ::sysconf(_SC_PAGESIZE)) + " 2 1 1 0 2 0\n");
    put("proc/self/cgroup", groups);
  }
  static std::string limits(const std::string& address_space) {
    return "Limit                     Soft Limit           Hard Limit           Units     \n"
           "Max cpu time              7                    7                    seconds   \n"
           "Max address space         " +
           address_space + "            unlimited            bytes     \n";
  }
  AvailableMemory available() const { return available_memory(folder); }
};

TEST_F(AvailableMemoryTest, IsWhatTheMachineHasWithoutLimits) {
  machine("0::/\n");
  EXPECT_EQ(available().resident, 8192 * kMib);
  EXPECT_EQ(available().bytes(), 8192 * kMib);
  EXPECT_EQ(available().address_space, AvailableMemory::kUnlimited);
  EXPECT_STREQ(available().limit(), "the machine");
  put("proc/meminfo", "MemTotal:       24646136 kB\n");
  EXPECT_THROW(available(), Error);
  std::filesystem::remove(folder / "proc/meminfo");
  EXPECT_THROW(available(), Error);
}

TEST_F(AvailableMemoryTest, HasNoMoreThanTheAddressSpaceLeft) {
  machine("0::/\n");
  put("proc/self/limits", limits(std::to_string(164 * kMib)));
  EXPECT_EQ(available().bytes(), 64 * kMib);
  EXPECT_EQ(available().resident, 8192 * kMib);
  EXPECT_STREQ(available().limit(), "ulimit -v");
  put("proc/self/limits", limits(std::to_string(10 * kMib)));
  EXPECT_EQ(available().bytes(), 0);
}

// The tightest group on the way up counts; pages of files give way, as in MemAvailable.
TEST_F(AvailableMemoryTest, HasNoMoreThanTheControlGroupsLeave) {
  machine("0::/user/job/step\n");
  const std::string root = "sys/fs/cgroup/";
  put(root + "user/job/step/memory.max", "max\n");
  put(root + "user/job/step/memory.current", "1048576\n");
  put(root + "user/job/memory.max", std::to_string(1000 * kMib) + "\n");
  put(root + "user/job/memory.current", std::to_string(900 * kMib) + "\n");
  put(root + "user/memory.max", std::to_string(2000 * kMib) + "\n");
  put(root + "user/memory.current", std::to_string(1950 * kMib) + "\n");
  EXPECT_EQ(available().bytes(), 50 * kMib);
  EXPECT_STREQ(available().limit(), "the control group's limit");
  put(root + "user/memory.stat", "anon 7\ninactive_file " + std::to_string(200 * kMib) + "\nactive_file " +
                                     std::to_string(100 * kMib) + "\nslab_reclaimable 0\n");
  EXPECT_EQ(available().bytes(), 100 * kMib) << "now the job's";
  put(root + "user/job/memory.current", std::to_string(1001 * kMib) + "\n");
  EXPECT_EQ(available().bytes(), 0);
}

// A container's own group lies at the root of what it sees, whatever the host calls it.
TEST_F(AvailableMemoryTest, FindsAContainersGroupAtTheRoot) {
  machine("0::/../../host/name\n");
  put("sys/fs/cgroup/memory.max", std::to_string(512 * kMib) + "\n");
  put("sys/fs/cgroup/memory.current", std::to_string(112 * kMib) + "\n");
  EXPECT_EQ(available().bytes(), 400 * kMib);
}

TEST_F(AvailableMemoryTest, ReadsGroupsOfVersion1) {
  machine("5:cpu,cpuacct:/a\n4:hugetlb,memory:/job\n0::/\n");
  const std::string group = "sys/fs/cgroup/memory/job/";
  put(group + "memory.limit_in_bytes", std::to_string(300 * kMib) + "\n");
  put(group + "memory.usage_in_bytes", std::to_string(250 * kMib) + "\n");
  put(group + "memory.stat", "cache 1\ninactive_file 1\ntotal_inactive_file " + std::to_string(30 * kMib) + "\n");
  put("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
  put("sys/fs/cgroup/memory/memory.usage_in_bytes", "1\n");
  EXPECT_EQ(available().bytes(), 80 * kMib);
}

TEST(Memory, IsAvailableHere) {
  EXPECT_GT(available_memory().bytes(), 0);
  EXPECT_LE(available_memory().resident, int64_t{1} << 50);
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
