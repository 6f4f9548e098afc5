// Files: read whole, mapped, and written so that a reader never sees half of one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

#include "base/error.h"

namespace ballast {

// The whole file. Throws Error{file} with the path where it cannot be read. A pipe is read to its end: a signal while
// it keeps us waiting is an Error{interrupted} (base/interrupt.h).
std::string read_file(const std::filesystem::path& path);

// A read-only mapping; an empty file gives an empty span. Moves, does not copy. Throws Error{file}. A file that another
// process truncates while it is mapped raises SIGBUS, as with any mapping: files of ours are replaced, never cut.
class MappedFile {
 public:
  explicit MappedFile(const std::filesystem::path& path);
  ~MappedFile();
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;

  std::span<const std::byte> bytes() const { return {static_cast<const std::byte*>(data_), size_}; }
  std::string_view text() const { return {static_cast<const char*>(data_), size_}; }

 private:
  void* data_ = nullptr;
  size_t size_ = 0;
};

// Of a MappedFile: takes these bytes out of memory; whoever reads them again reads the file. For what is passed over
// once and is larger than memory: what stays mapped counts as resident until the system is short of it.
void drop_pages(std::span<const std::byte> mapped);

// Writes to a temporary name beside the target; commit() makes it durable (fsync of file and folder) and renames it
// there. Until then, and after any failure, the target is what it was before. The destructor removes what was not
// committed. A full disk throws Error{device}, an unwritable place Error{file}; both name the target's path.
class AtomicFile {
 public:
  explicit AtomicFile(const std::filesystem::path& path);
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  void write(const void* data, size_t size);
  void write(std::string_view text) { write(text.data(), text.size()); }
  uint64_t offset() const { return written_ + buffer_.size(); }  // bytes written so far
  void commit();

 private:
  void flush();

  std::filesystem::path path_, temporary_;
  int fd_ = -1;
  uint64_t written_ = 0;
  std::string buffer_;
};

void write_file_atomic(const std::filesystem::path& path, std::string_view text);

// Throw, before long work is done for it, what would be thrown when it is written: for a file in a folder that is
// there, and for a folder that is to be made with those above it. Nothing is left behind. The latter returns the
// nearest folder that is there already.
void require_writable_file(const std::filesystem::path& file);
std::filesystem::path require_writable_folder(const std::filesystem::path& folder);

// What std::filesystem throws, as an error of ours: the path, what failed, why, and what to do.
Error as_error(const std::filesystem::filesystem_error& error);

// write(2) until everything is written. Throws Error{device} naming `path`.
void write_all(int fd, const void* data, size_t size, const std::filesystem::path& path);

// Makes renames and new names in `folder` durable.
void sync_folder(const std::filesystem::path& folder);

}  // namespace ballast
