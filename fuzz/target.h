// What the targets share. A target is one function: it parses `data` as a parser of ours would meet it in a file, and
// uses the result. Any Error is a good answer; another exception, a crash, a leak or a broken promise (CHECK) is not.
#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

#include "base/error.h"

// libFuzzer's name for it. The seeds' test holds all targets in one program and renames them.
#ifndef BALLAST_FUZZ_TARGET
#define BALLAST_FUZZ_TARGET LLVMFuzzerTestOneInput
#endif
extern "C" int BALLAST_FUZZ_TARGET(const uint8_t* data, size_t size);

namespace ballast::fuzz {

inline std::string_view text_of(const uint8_t* data, size_t size) {
  return size == 0 ? std::string_view() : std::string_view(reinterpret_cast<const char*>(data), size);
}

// Runs f; true where it ended without an Error.
template <class F>
bool accepts(F&& f) {
  try {
    f();
    return true;
  } catch (const Error&) {
    return false;
  }
}

// A file in memory, for parsers that map what a path names.
class MemoryFile {
 public:
  explicit MemoryFile(std::string_view bytes) : fd_(memfd_create("fuzz", MFD_CLOEXEC)) {
    CHECK(fd_ >= 0);
    CHECK(::write(fd_, bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size()));
  }
  ~MemoryFile() { ::close(fd_); }
  MemoryFile(const MemoryFile&) = delete;
  MemoryFile& operator=(const MemoryFile&) = delete;
  std::filesystem::path path() const { return "/proc/self/fd/" + std::to_string(fd_); }

 private:
  const int fd_;
};

}  // namespace ballast::fuzz
