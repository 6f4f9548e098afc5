// The machine's memory: how much is left, and filling it from a mapped file.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <span>

namespace ballast {

// What this process can still take, in bytes.
struct AvailableMemory {
  static constexpr int64_t kUnlimited = std::numeric_limits<int64_t>::max();
  // Memory without swapping, the page cache's share included: Linux's MemAvailable, or what is left of a control
  // group's limit where that is less.
  int64_t resident = 0;
  bool of_control_group = false;
  int64_t address_space = kUnlimited;  // left of RLIMIT_AS (ulimit -v), which files count for that are already mapped

  int64_t bytes() const { return resident < address_space ? resident : address_space; }
  // What bytes() is the limit of, for a message: "ulimit -v", "the control group's limit", "the machine".
  const char* limit() const;
};

// Reads `root`/proc and the control groups (v2 and v1) under `root`/sys/fs/cgroup, from the process's own upwards.
// Throws Error{device} where /proc/meminfo does not say what is available.
AvailableMemory available_memory(const std::filesystem::path& root = "/");

// Reads this part of a MappedFile into the page cache, in order, and enters it into the page tables: what would otherwise
// happen page by page at its first use. Where the system cannot (before Linux 5.14), nothing happens.
void read_ahead(std::span<const std::byte> mapped);

}  // namespace ballast
