// Files with one JSON value per line: metrics, records, corpora.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "base/file.h"
#include "base/json.h"

namespace ballast {

// Appends lines, each with one write(2), so that another process never sees less than what was written before a crash.
class JsonlWriter {
 public:
  // Creates the file or goes on at its end; what a killed process left of a last line is dropped. With `resume_at`,
  // everything from that offset on is cut off first: throws Error{file} where the file is shorter or no line ends
  // there.
  explicit JsonlWriter(const std::filesystem::path& path, std::optional<uint64_t> resume_at = {});
  ~JsonlWriter();
  JsonlWriter(const JsonlWriter&) = delete;
  JsonlWriter& operator=(const JsonlWriter&) = delete;

  // Returns the offset behind the line. On a full disk throws Error{device} and leaves no part of the line.
  uint64_t write(const Json& value);
  uint64_t offset() const { return offset_; }
  void sync();  // durable up to offset()

 private:
  void cut(uint64_t size);

  std::filesystem::path path_;
  int fd_ = -1;
  uint64_t offset_ = 0;
};

enum class TornLine { fail, skip };

// Reads the lines in order; blank ones are passed over. A line that does not parse throws Error{format} with
// file:line:column; with TornLine::skip, an unfinished last line (no line break, as a killed writer leaves it) ends the
// file instead.
class JsonlReader {
 public:
  explicit JsonlReader(const std::filesystem::path& path, TornLine torn = TornLine::fail);
  bool next(Json& value);                 // false at the end
  int64_t line() const { return line_; }  // of the value last read, from 1

 private:
  MappedFile file_;
  std::string where_;
  std::string_view rest_;
  TornLine torn_;
  int64_t line_ = 0;
};

}  // namespace ballast
