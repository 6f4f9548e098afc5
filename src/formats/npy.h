// NumPy's .npy, version 1.0 (numpy/lib/format.py), for int64 arrays in C order: a writer that appends along the first
// axis and a reader of whole files.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

namespace ballast {

// An array (rows, row_shape...) that grows by rows. The header has a fixed 128 bytes and is rewritten by flush(), after
// the data: numpy opens the file at any time and sees the rows of the last flush.
class NpyAppender {
 public:
  // Makes the file, or goes on with one. Rows after the last flush of an interrupted process are dropped. Throws
  // Error{format} where the file is no such array, Error{shape} where its rows have another shape.
  NpyAppender(const std::filesystem::path& path, std::vector<int64_t> row_shape);
  ~NpyAppender();  // without flush(): unflushed rows are lost
  NpyAppender(const NpyAppender&) = delete;
  NpyAppender& operator=(const NpyAppender&) = delete;

  static uint64_t file_bytes(int64_t rows, int64_t row_elements);
  int64_t rows() const { return rows_; }  // those not yet flushed included
  void append(std::span<const int64_t> row);
  void flush();  // throws Error{device} where the disk is full
  // Keeps the first `rows` rows, as a resumed run needs. Error{file} where there are fewer.
  void truncate(int64_t rows);

 private:
  void write_header();
  void cut_file(int64_t rows);

  std::filesystem::path path_;
  std::vector<int64_t> row_shape_;
  int64_t row_elements_ = 1;
  int64_t rows_ = 0;
  std::vector<int64_t> pending_;
  int fd_ = -1;
};

struct NpyArray {
  std::vector<int64_t> shape;
  std::vector<int64_t> values;  // C order
};

// Throws Error{file}, and Error{format} where the file is truncated or not int64 in C order.
NpyArray read_npy(const std::filesystem::path& path);

}  // namespace ballast
