#include "base/memory.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <optional>
#include <sstream>
#include <string>
#include <string_view>

#include "base/error.h"

namespace ballast {
namespace fs = std::filesystem;
namespace {

int64_t machine_memory(const fs::path& meminfo) {
  std::ifstream in(meminfo);
  std::string key;
  for (int64_t kib = 0; in >> key >> kib; in.ignore(64, '\n'))
    if (key == "MemAvailable:") return kib * 1024;
  fail(ErrorKind::device, meminfo.string(), "has no line MemAvailable: cannot tell how much memory is left");
}

std::optional<int64_t> number_in(const fs::path& file) {
  std::ifstream in(file);
  int64_t n = 0;
  if (in >> n) return n;
  return {};  // no such file, or "max"
}

// The soft limit of RLIMIT_AS minus what is mapped.
int64_t address_space_left(const fs::path& self) {
  std::ifstream limits(self / "limits");
  constexpr std::string_view kName = "Max address space";
  for (std::string line; std::getline(limits, line);) {
    if (!line.starts_with(kName)) continue;
    std::istringstream words(line.substr(kName.size()));
    int64_t limit = 0;
    const auto pages = number_in(self / "statm");
    if (!pages || !(words >> limit)) break;  // "unlimited"
    return std::max<int64_t>(0, limit - *pages * ::sysconf(_SC_PAGESIZE));
  }
  return AvailableMemory::kUnlimited;
}

// What the two versions of control groups call the same things.
struct GroupFiles {
  const char *limit, *used;
  std::array<std::string_view, 3> reclaimable;  // of memory.stat: files' pages, which give way as MemAvailable's do
};
constexpr GroupFiles kVersion2{"memory.max", "memory.current", {"inactive_file", "active_file", "slab_reclaimable"}};
constexpr GroupFiles kVersion1{
    "memory.limit_in_bytes", "memory.usage_in_bytes", {"total_inactive_file", "total_active_file"}};

// The least that is left of a group's limit and of those of all groups above it.
int64_t group_memory_left(const fs::path& hierarchy, fs::path group, const GroupFiles& files) {
  int64_t left = AvailableMemory::kUnlimited;
  for (;; group = group.parent_path()) {
    const fs::path folder = hierarchy / group.relative_path();
    const auto limit = number_in(folder / files.limit), used = number_in(folder / files.used);
    if (limit && used) {
      int64_t taken = *used;
      std::ifstream stat(folder / "memory.stat");
      std::string key;
      for (int64_t n = 0; stat >> key >> n;)
        if (std::ranges::find(files.reclaimable, key) != files.reclaimable.end()) taken -= n;
      left = std::min(left, std::max<int64_t>(0, *limit - std::max<int64_t>(0, taken)));
    }
    if (!group.has_relative_path()) return left;
  }
}

// Lines are "hierarchy:controllers:path", with no controllers for version 2. A container may see its own group's files
// at the root while the path is the host's: the way upwards then finds them at its end.
int64_t control_groups_left(const fs::path& root) {
  const fs::path mount = root / "sys/fs/cgroup";
  int64_t left = AvailableMemory::kUnlimited;
  std::ifstream in(root / "proc/self/cgroup");
  for (std::string line; std::getline(in, line);) {
    const size_t first = line.find(':'), second = line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1), path = line.substr(second + 1);
    if (controllers.empty()) left = std::min(left, group_memory_left(mount, path, kVersion2));
    if (("," + controllers + ",").find(",memory,") != std::string::npos)
      left = std::min(left, group_memory_left(mount / "memory", path, kVersion1));
  }
  return left;
}

}  // namespace

const char* AvailableMemory::limit() const {
  return address_space < resident ? "ulimit -v" : of_control_group ? "the control group's limit" : "the machine";
}

AvailableMemory available_memory(const fs::path& root) {
  const int64_t machine = machine_memory(root / "proc/meminfo"), groups = control_groups_left(root);
  return {.resident = std::min(machine, groups),
          .of_control_group = groups < machine,
          .address_space = address_space_left(root / "proc/self")};
}

void read_ahead(std::span<const std::byte> mapped) {
  const auto page = static_cast<uintptr_t>(::sysconf(_SC_PAGESIZE));
  const auto begin = reinterpret_cast<uintptr_t>(mapped.data()) / page * page;
  const auto end = reinterpret_cast<uintptr_t>(mapped.data() + mapped.size());
  ::madvise(reinterpret_cast<void*>(begin), end - begin, MADV_POPULATE_READ);
}

}  // namespace ballast
