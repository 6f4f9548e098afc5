#include "base/jsonl.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/error.h"

namespace ballast {
namespace {

// Parse errors say "where:1:column"; a line of a file has its own number.
Json parse_line(std::string_view text, const std::string& where, int64_t line) {
  try {
    return Json::parse(text, "");
  } catch (const Error& e) {
    const std::string column = e.where.substr(e.where.rfind(':') + 1);
    fail(ErrorKind::format, fmt::format("{}:{}:{}", where, line, column), "{}", e.what() + e.where.size() + 2);
  }
}

bool blank(std::string_view text) { return text.find_first_not_of(" \t\r") == std::string_view::npos; }

// Where the last whole line ends.
uint64_t whole_lines(const std::filesystem::path& path) {
  const MappedFile file(path);
  const size_t newline = file.text().rfind('\n');
  return newline == std::string_view::npos ? 0 : newline + 1;
}

}  // namespace

JsonlWriter::JsonlWriter(const std::filesystem::path& path, std::optional<uint64_t> resume_at) : path_(path) {
  fd_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
  if (fd_ < 0) fail(ErrorKind::file, path.string(), "cannot open for appending: {}", std::strerror(errno));
  try {
    const uint64_t size = std::filesystem::file_size(path);
    if (resume_at && size < *resume_at)
      fail(ErrorKind::file, path.string(), "has {} bytes, but the checkpoint was taken at byte {}", size, *resume_at);
    char before = '\n';
    if (resume_at && *resume_at > 0 && ::pread(fd_, &before, 1, static_cast<off_t>(*resume_at - 1)) != 1) before = 0;
    if (before != '\n')
      fail(ErrorKind::file, path.string(), "no line ends at byte {}, where the checkpoint was taken", *resume_at);
    cut(resume_at ? *resume_at : whole_lines(path));
  } catch (...) {
    ::close(fd_);
    throw;
  }
}

JsonlWriter::~JsonlWriter() { ::close(fd_); }

uint64_t JsonlWriter::write(const Json& value) {
  const std::string line = value.dump() + "\n";
  try {
    write_all(fd_, line.data(), line.size(), path_);
  } catch (const Error&) {
    cut(offset_);
    throw;
  }
  return offset_ += line.size();
}

void JsonlWriter::sync() {
  if (::fdatasync(fd_) != 0) fail(ErrorKind::device, path_.string(), "cannot flush to disk: {}", std::strerror(errno));
}

void JsonlWriter::cut(uint64_t size) {
  if (::ftruncate(fd_, static_cast<off_t>(size)) != 0)
    fail(ErrorKind::device, path_.string(), "cannot cut it to {} bytes: {}", size, std::strerror(errno));
  offset_ = size;
}

JsonlReader::JsonlReader(const std::filesystem::path& path, TornLine torn)
    : file_(path), where_(path.string()), rest_(file_.text()), torn_(torn) {}

bool JsonlReader::next(Json& value) {
  while (!rest_.empty()) {
    ++line_;
    const size_t newline = rest_.find('\n');
    const bool unfinished = newline == std::string_view::npos;
    const std::string_view text = rest_.substr(0, newline);
    rest_.remove_prefix(unfinished ? rest_.size() : newline + 1);
    if (blank(text)) continue;
    try {
      value = parse_line(text, where_, line_);
      return true;
    } catch (const Error&) {
      if (unfinished && torn_ == TornLine::skip) return false;
      throw;
    }
  }
  return false;
}

}  // namespace ballast
