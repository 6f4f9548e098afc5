#include "formats/npy.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <bit>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <string_view>

#include "base/error.h"
#include "base/file.h"
#include "formats/safetensors.h"

namespace ballast {
namespace {

static_assert(std::endian::native == std::endian::little, "the files' integers are little-endian");

constexpr size_t kHeader = 128;
constexpr std::string_view kMagic("\x93NUMPY\x01\x00", 8);

std::string header_text(int64_t rows, const std::vector<int64_t>& row_shape) {
  std::string shape = std::to_string(rows) + ",";
  for (size_t i = 0; i < row_shape.size(); ++i) shape += (i ? ", " : " ") + std::to_string(row_shape[i]);
  std::string text(kMagic);
  text += static_cast<char>(kHeader - 10);
  text += '\0';
  text += fmt::format("{{'descr': '<i8', 'fortran_order': False, 'shape': ({}), }}", shape);
  CHECK(text.size() < kHeader);
  text.resize(kHeader - 1, ' ');
  return text + '\n';
}

struct Header {
  std::vector<int64_t> shape;
  size_t size;  // where the data begins
};

// The Python literal that numpy writes. Keys come sorted, and all three are always there.
Header parse_header(std::string_view file, const std::string& where) {
  if (file.size() < 10 || file.substr(0, 8) != kMagic)
    fail(ErrorKind::format, where, "is not a .npy file of version 1.0");
  const size_t length = static_cast<uint8_t>(file[8]) | static_cast<size_t>(static_cast<uint8_t>(file[9])) << 8;
  if (file.size() < 10 + length) fail(ErrorKind::format, where, "is cut off in its header");
  const std::string_view text = file.substr(10, length);
  if (text.find("'descr': '<i8'") == text.npos || text.find("'fortran_order': False") == text.npos)
    fail(ErrorKind::format, where, "is not an array of int64 in C order; its header says {}",
         text.substr(0, text.find('}') + 1));
  const size_t open = text.find("'shape': (");
  const size_t close = text.find(')', open == text.npos ? 0 : open);
  if (open == text.npos || close == text.npos) fail(ErrorKind::format, where, "has no shape in its header");
  Header header{{}, 10 + length};
  const char* at = text.data() + open + 10;
  const char* const end = text.data() + close;
  while (at < end) {
    if (*at == ' ' || *at == ',') {
      ++at;
      continue;
    }
    int64_t n = -1;
    const auto [next, error] = std::from_chars(at, end, n);
    if (error != std::errc() || n < 0) fail(ErrorKind::format, where, "has a shape that is no list of sizes");
    header.shape.push_back(n);
    at = next;
  }
  return header;
}

int64_t bytes_of(const std::vector<int64_t>& shape, const std::string& where) {
  int64_t bytes = sizeof(int64_t);
  for (const int64_t n : shape)
    if (__builtin_mul_overflow(bytes, n, &bytes)) fail(ErrorKind::format, where, "has a shape beyond 64 bits");
  return bytes;
}

}  // namespace

NpyAppender::NpyAppender(const std::filesystem::path& path, std::vector<int64_t> row_shape)
    : path_(path), row_shape_(std::move(row_shape)) {
  for (const int64_t n : row_shape_) row_elements_ *= n;
  CHECK(row_elements_ > 0);
  const std::string where = path.string();
  std::error_code ignored;
  const bool old = std::filesystem::exists(path, ignored) && std::filesystem::file_size(path, ignored) > 0;
  if (old) {
    const MappedFile file(path);
    const Header header = parse_header(file.text(), where);
    if (header.size != kHeader) fail(ErrorKind::format, where, "was written by another program; it cannot grow");
    if (header.shape.empty() ||
        !std::equal(header.shape.begin() + 1, header.shape.end(), row_shape_.begin(), row_shape_.end()))
      fail(ErrorKind::shape, where, "expected rows of shape {}, found an array of shape {}", shape_text(row_shape_),
           shape_text(header.shape));
    if (static_cast<uint64_t>(bytes_of(header.shape, where)) > file.bytes().size() - kHeader)
      fail(ErrorKind::format, where, "is truncated: fewer bytes than its {} rows take", header.shape[0]);
    rows_ = header.shape[0];
  }
  fd_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (fd_ < 0) fail(ErrorKind::file, where, "cannot open: {}", std::strerror(errno));
  try {
    if (old)
      cut_file(rows_);
    else
      write_header();
  } catch (...) {
    ::close(fd_);
    throw;
  }
}

NpyAppender::~NpyAppender() { ::close(fd_); }

uint64_t NpyAppender::file_bytes(int64_t rows, int64_t row_elements) {
  return kHeader + static_cast<uint64_t>(rows * row_elements) * sizeof(int64_t);
}

void NpyAppender::append(std::span<const int64_t> row) {
  CHECK(static_cast<int64_t>(row.size()) == row_elements_);
  pending_.insert(pending_.end(), row.begin(), row.end());
  ++rows_;
}

void NpyAppender::flush() {
  if (!pending_.empty()) {
    const int64_t flushed = rows_ - static_cast<int64_t>(pending_.size()) / row_elements_;
    ::lseek(fd_, static_cast<off_t>(file_bytes(flushed, row_elements_)), SEEK_SET);
    write_all(fd_, pending_.data(), pending_.size() * sizeof(int64_t), path_);
    pending_.clear();
  }
  write_header();
}

void NpyAppender::truncate(int64_t rows) {
  CHECK(rows >= 0);
  flush();
  if (rows > rows_) fail(ErrorKind::file, path_.string(), "holds {} rows; {} were expected", rows_, rows);
  rows_ = rows;
  write_header();  // before the cut: at no time does the header promise rows that are gone
  cut_file(rows);
}

void NpyAppender::write_header() {
  const std::string text = header_text(rows_, row_shape_);
  ::lseek(fd_, 0, SEEK_SET);
  write_all(fd_, text.data(), text.size(), path_);
}

void NpyAppender::cut_file(int64_t rows) {
  if (::ftruncate(fd_, static_cast<off_t>(file_bytes(rows, row_elements_))) != 0)
    fail(ErrorKind::device, path_.string(), "cannot shorten: {}", std::strerror(errno));
}

NpyArray read_npy(const std::filesystem::path& path) {
  const MappedFile file(path);
  const std::string where = path.string();
  const Header header = parse_header(file.text(), where);
  const int64_t bytes = bytes_of(header.shape, where);
  if (static_cast<uint64_t>(bytes) > file.bytes().size() - header.size)
    fail(ErrorKind::format, where, "is truncated: shape {} takes {} bytes, {} are there", shape_text(header.shape),
         bytes, file.bytes().size() - header.size);
  NpyArray array{header.shape, std::vector<int64_t>(bytes / sizeof(int64_t))};
  if (bytes > 0) std::memcpy(array.values.data(), file.bytes().data() + header.size, bytes);
  return array;
}

}  // namespace ballast
