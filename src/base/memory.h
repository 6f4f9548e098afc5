// The machine's memory: how much is left, and filling it from a mapped file.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>

namespace ballast {

// Bytes that programs can still allocate without swapping, the page cache's share included: MemAvailable of Linux. Throws
// Error{device} where `meminfo` does not say.
int64_t available_memory(const std::filesystem::path& meminfo = "/proc/meminfo");

// Reads this part of a MappedFile into the page cache, in order, and enters it into the page tables: what would otherwise
// happen page by page at its first use. Where the system cannot (before Linux 5.14), nothing happens.
void read_ahead(std::span<const std::byte> mapped);

}  // namespace ballast
