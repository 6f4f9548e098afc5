// TensorBoard's event files: TFRecord frames {uint64 length, masked CRC-32C of it, data, masked CRC-32C of the data}
// (tensorflow/core/lib/io/record_writer.cc) that hold Event messages (tensorflow/core/util/event.proto), here encoded
// by hand. TensorBoard finds files whose name contains "tfevents".
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

namespace ballast {

struct EventScalar {
  std::string_view tag;
  float value;
};

class EventWriter {
 public:
  // A new file, begun with the version event; or, for a resumed run, the first `offset` bytes of an old one, to be
  // gone on with. Throws Error{file} where the old file is shorter than that.
  EventWriter(const std::filesystem::path& path, double wall_time);
  EventWriter(const std::filesystem::path& path, uint64_t offset);
  ~EventWriter();  // without flush(): unflushed events are lost
  EventWriter(const EventWriter&) = delete;
  EventWriter& operator=(const EventWriter&) = delete;

  // One event with these scalars. `wall_time` in seconds since 1970.
  void add(int64_t step, double wall_time, std::span<const EventScalar> scalars);
  void flush();                                                  // Error{device} where the disk is full
  uint64_t offset() const { return written_ + buffer_.size(); }  // what a checkpoint stores

 private:
  void open(int flags);
  void add_frame(std::string_view data);

  std::filesystem::path path_;
  int fd_ = -1;
  uint64_t written_ = 0;
  std::string buffer_;
};

}  // namespace ballast
