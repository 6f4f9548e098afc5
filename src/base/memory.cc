#include "base/memory.h"

#include <sys/mman.h>
#include <unistd.h>

#include <fstream>
#include <string>

#include "base/error.h"

namespace ballast {

int64_t available_memory(const std::filesystem::path& meminfo) {
  std::ifstream in(meminfo);
  std::string key;
  for (int64_t kib = 0; in >> key >> kib; in.ignore(64, '\n'))
    if (key == "MemAvailable:") return kib * 1024;
  fail(ErrorKind::device, meminfo.string(), "has no line MemAvailable: cannot tell how much memory is left");
}

void read_ahead(std::span<const std::byte> mapped) {
  const auto page = static_cast<uintptr_t>(::sysconf(_SC_PAGESIZE));
  const auto begin = reinterpret_cast<uintptr_t>(mapped.data()) / page * page;
  const auto end = reinterpret_cast<uintptr_t>(mapped.data() + mapped.size());
  ::madvise(reinterpret_cast<void*>(begin), end - begin, MADV_POPULATE_READ);
}

}  // namespace ballast
