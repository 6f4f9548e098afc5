#include "formats/tfevents.h"

#include <fcntl.h>
#include <unistd.h>

#include <bit>
#include <cerrno>
#include <cstring>

#include "base/error.h"
#include "base/file.h"
#include "base/hash.h"

namespace ballast {
namespace {

static_assert(std::endian::native == std::endian::little, "the files' numbers are little-endian");

template <class T>
void put_raw(std::string& out, T value) {
  out.append(reinterpret_cast<const char*>(&value), sizeof value);
}

// Protocol buffers' wire format: a key is field << 3 | wire type.
enum class Wire : uint8_t { varint = 0, fixed64 = 1, bytes = 2, fixed32 = 5 };

void put_varint(std::string& out, uint64_t v) {
  for (; v >= 0x80; v >>= 7) out += static_cast<char>(v | 0x80);
  out += static_cast<char>(v);
}
void put_key(std::string& out, int field, Wire wire) { out += static_cast<char>(field << 3 | static_cast<int>(wire)); }
void put_bytes(std::string& out, int field, std::string_view bytes) {
  put_key(out, field, Wire::bytes);
  put_varint(out, bytes.size());
  out += bytes;
}

// Event {double wall_time = 1; int64 step = 2; string file_version = 3; Summary summary = 5}
std::string event_head(double wall_time, int64_t step) {
  std::string event;
  put_key(event, 1, Wire::fixed64);
  put_raw(event, wall_time);
  put_key(event, 2, Wire::varint);
  put_varint(event, static_cast<uint64_t>(step));
  return event;
}

// TFRecord rotates and shifts its checksums, so that a checksum of data that holds checksums stays useful.
uint32_t masked_crc(std::string_view data) {
  const uint32_t crc = crc32c(data);
  return (crc >> 15 | crc << 17) + 0xa282ead8u;
}

}  // namespace

EventWriter::EventWriter(const std::filesystem::path& path, double wall_time) : path_(path) {
  open(O_CREAT | O_TRUNC);
  std::string event = event_head(wall_time, 0);
  put_bytes(event, 3, "brain.Event:2");
  add_frame(event);
}

EventWriter::EventWriter(const std::filesystem::path& path, uint64_t offset) : path_(path), written_(offset) {
  std::error_code error;
  const uint64_t size = std::filesystem::file_size(path, error);
  if (error) fail(ErrorKind::file, path.string(), "cannot read: {}", error.message());
  if (size < offset) fail(ErrorKind::file, path.string(), "has {} bytes; {} were expected", size, offset);
  open(0);
  if (::ftruncate(fd_, static_cast<off_t>(offset)) != 0 || ::lseek(fd_, 0, SEEK_END) < 0) {
    const int reason = errno;
    ::close(fd_);
    fail(ErrorKind::device, path.string(), "cannot shorten: {}", std::strerror(reason));
  }
}

EventWriter::~EventWriter() { ::close(fd_); }

void EventWriter::open(int flags) {
  fd_ = ::open(path_.c_str(), O_WRONLY | O_CLOEXEC | flags, 0644);
  if (fd_ < 0) fail(ErrorKind::file, path_.string(), "cannot open: {}", std::strerror(errno));
}

void EventWriter::add(int64_t step, double wall_time, std::span<const EventScalar> scalars) {
  std::string summary;  // Summary {repeated Value value = 1}; Value {string tag = 1; float simple_value = 2}
  for (const EventScalar& scalar : scalars) {
    std::string value;
    put_bytes(value, 1, scalar.tag);
    put_key(value, 2, Wire::fixed32);
    put_raw(value, scalar.value);
    put_bytes(summary, 1, value);
  }
  std::string event = event_head(wall_time, step);
  put_bytes(event, 5, summary);
  add_frame(event);
}

void EventWriter::add_frame(std::string_view data) {
  std::string length;
  put_raw(length, static_cast<uint64_t>(data.size()));
  buffer_ += length;
  put_raw(buffer_, masked_crc(length));
  buffer_ += data;
  put_raw(buffer_, masked_crc(data));
}

void EventWriter::flush() {
  write_all(fd_, buffer_.data(), buffer_.size(), path_);
  written_ += buffer_.size();
  buffer_.clear();
}

}  // namespace ballast
