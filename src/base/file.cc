#include "base/file.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <utility>

#include "base/error.h"
#include "base/interrupt.h"

namespace ballast {
namespace fs = std::filesystem;
namespace {

constexpr size_t kBuffer = 1 << 16;

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd(fd) {}
  ~Descriptor() {
    if (fd >= 0) ::close(fd);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  const int fd;
};

// Opening a pipe that nobody writes to does not wait.
int open_for_reading(const fs::path& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) fail(ErrorKind::file, path.string(), "cannot open: {}", std::strerror(errno));
  return fd;
}

fs::path folder_of(const fs::path& path) { return path.has_parent_path() ? path.parent_path() : fs::path("."); }

const char* advice_for(int error) {
  if (error == ENOSPC || error == EDQUOT) return "; free some space, then run it again";
  if (error == EACCES || error == EPERM || error == EROFS) return "; change the permissions, or name another place";
  return error == ENOTDIR ? "; a part of this path is a file" : "";
}

[[noreturn]] void fail_write(const fs::path& path, const char* what) {
  const int error = errno;
  fail(ErrorKind::device, path.string(), "cannot {}: {}{}", what, std::strerror(error), advice_for(error));
}

// Until a pipe or terminal has something to read. A signal sets a flag and restarts read(2), which would go on waiting.
void wait_for_input(int fd, const fs::path& path) {
  pollfd wanted{.fd = fd, .events = POLLIN, .revents = 0};
  while (::poll(&wanted, 1, 100) <= 0)
    if (interrupted()) fail(ErrorKind::interrupted, path.string(), "interrupted while waiting for it to be written");
}

}  // namespace

std::string read_file(const fs::path& path) {
  const Descriptor file(open_for_reading(path));
  struct stat status;
  if (::fstat(file.fd, &status) != 0) fail(ErrorKind::file, path.string(), "cannot stat: {}", std::strerror(errno));
  std::string text;
  size_t size = 0;
  // One byte more than the size, so that the end of file is met without growing; pipes and /proc say size 0.
  text.resize(static_cast<size_t>(status.st_size) + 1);
  for (;;) {
    if (size == text.size()) text.resize(text.size() * 2 + kBuffer);
    if (!S_ISREG(status.st_mode)) wait_for_input(file.fd, path);
    const ssize_t n = ::read(file.fd, text.data() + size, text.size() - size);
    if (n < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (n < 0) fail(ErrorKind::file, path.string(), "cannot read: {}", std::strerror(errno));
    if (n == 0) break;
    size += static_cast<size_t>(n);
  }
  text.resize(size);
  return text;
}

MappedFile::MappedFile(const fs::path& path) {
  const Descriptor file(open_for_reading(path));
  struct stat status;
  if (::fstat(file.fd, &status) != 0) fail(ErrorKind::file, path.string(), "cannot stat: {}", std::strerror(errno));
  if (!S_ISREG(status.st_mode)) fail(ErrorKind::file, path.string(), "not a regular file");
  if (status.st_size == 0) return;
  void* data = ::mmap(nullptr, static_cast<size_t>(status.st_size), PROT_READ, MAP_PRIVATE, file.fd, 0);
  if (data == MAP_FAILED) fail(ErrorKind::file, path.string(), "cannot map: {}", std::strerror(errno));
  data_ = data;
  size_ = static_cast<size_t>(status.st_size);
}

MappedFile::~MappedFile() {
  if (data_) ::munmap(data_, size_);
}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  return *this;
}

void drop_pages(std::span<const std::byte> mapped) {
  if (mapped.empty()) return;
  const size_t into_page = reinterpret_cast<uintptr_t>(mapped.data()) % static_cast<uintptr_t>(::sysconf(_SC_PAGESIZE));
  auto* const first = const_cast<std::byte*>(mapped.data() - into_page);
  ::madvise(first, mapped.size() + into_page, MADV_DONTNEED);  // an advice: it may fail
}

AtomicFile::AtomicFile(const fs::path& path) : path_(path) {
  std::error_code ignored;
  if (fs::is_symlink(path_, ignored)) path_ = fs::weakly_canonical(path_);  // replace what a link points to
  const fs::file_status status = fs::status(path_, ignored);
  // Renaming over /dev/null or a pipe would replace it by a file.
  if (fs::exists(status) && !fs::is_regular_file(status))
    fail(ErrorKind::file, path_.string(), "exists and is not a regular file");
  static std::atomic<int> serial{0};
  temporary_ = path_;
  temporary_ += fmt::format(".tmp-{}-{}", ::getpid(), serial.fetch_add(1));
  fd_ = ::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  if (fd_ < 0 && errno == ENOENT) fail(ErrorKind::file, path_.string(), "cannot create: its folder does not exist");
  if (fd_ < 0 && errno == ENOSPC) fail_write(path_, "create");
  if (fd_ < 0) fail(ErrorKind::file, path_.string(), "cannot create: {}{}", std::strerror(errno), advice_for(errno));
}

AtomicFile::~AtomicFile() {
  if (fd_ < 0) return;
  ::close(fd_);
  ::unlink(temporary_.c_str());
}

void AtomicFile::write(const void* data, size_t size) {
  CHECK(fd_ >= 0);
  if (buffer_.size() + size > kBuffer) flush();
  if (size > kBuffer) {
    write_all(fd_, data, size, path_);
    written_ += size;
  } else {
    buffer_.append(static_cast<const char*>(data), size);
  }
}

void AtomicFile::flush() {
  write_all(fd_, buffer_.data(), buffer_.size(), path_);
  written_ += buffer_.size();
  buffer_.clear();
}

void AtomicFile::commit() {
  CHECK(fd_ >= 0);
  flush();
  if (::fsync(fd_) != 0) fail_write(path_, "flush to disk");
  if (::rename(temporary_.c_str(), path_.c_str()) != 0) fail_write(path_, "rename into place");
  ::close(std::exchange(fd_, -1));
  sync_folder(folder_of(path_));
}

void write_file_atomic(const fs::path& path, std::string_view text) {
  AtomicFile file(path);
  file.write(text);
  file.commit();
}

void require_writable_file(const fs::path& file) { const AtomicFile probe(file); }

fs::path require_writable_folder(const fs::path& folder) {
  fs::path there = folder;
  std::error_code ignored;
  while (!there.empty() && !fs::exists(fs::status(there, ignored))) there = there.parent_path();
  if (there.empty()) there = ".";
  if (!fs::is_directory(there, ignored))
    fail(ErrorKind::file, there.string(), "is a file, and the folder {} was to be made or written", folder.string());
  if (::faccessat(AT_FDCWD, there.c_str(), W_OK | X_OK, AT_EACCESS) != 0)
    fail(ErrorKind::file, there.string(), "cannot write into this folder: {}{}", std::strerror(errno),
         advice_for(errno));
  return there;
}

Error as_error(const fs::filesystem_error& error) {
  const std::string reason = error.code().message();
  std::string what = error.what();  // "filesystem error: cannot rename: REASON [FROM] [TO]"
  const std::string_view title = "filesystem error: ";
  if (what.starts_with(title)) what.erase(0, title.size());
  what.resize(std::min(what.size(), what.find(": " + reason)));
  if (what.find("cannot") == std::string::npos) what = "cannot read it";  // "status" and the like
  if (!error.path2().empty()) what += " (with " + error.path2().string() + ")";
  const int code = error.code().value();
  return Error(code == ENOSPC || code == EDQUOT ? ErrorKind::device : ErrorKind::file, error.path1().string(),
               what + ": " + reason + advice_for(code));
}

void write_all(int fd, const void* data, size_t size, const fs::path& path) {
  const char* next = static_cast<const char*>(data);
  while (size > 0) {
    const ssize_t n = ::write(fd, next, size);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) fail_write(path, "write");
    next += n;
    size -= static_cast<size_t>(n);
  }
}

void sync_folder(const fs::path& folder) {
  const Descriptor file(open_for_reading(folder));
  // Some file systems cannot sync a folder and say EINVAL; they have no stronger promise to give.
  if (::fsync(file.fd) != 0 && errno != EINVAL) fail_write(folder, "flush to disk");
}

}  // namespace ballast
