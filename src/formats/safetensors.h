// safetensors, the weight files of Hugging Face: an 8-byte little-endian header length, a JSON header
// {name: {dtype, shape, data_offsets}}, then the tensors' bytes without holes (github.com/huggingface/safetensors,
// "Format"). Here is reading; formats/safetensors_writer.h writes. Tensor names mean nothing on this floor.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/file.h"
#include "core/dtype.h"

namespace ballast {

// All types of the format (0.8) with whole bytes: F4 and F6 are not among them. Checkpoint::read says which of them are
// numbers here; the others can be listed and passed on.
enum class FileDType : uint8_t {
  f64,
  f32,
  f16,
  bf16,
  f8_e4m3,
  f8_e5m2,
  f8_e8m0,
  f8_e4m3fnuz,
  f8_e5m2fnuz,
  c64,
  i64,
  i32,
  i16,
  i8,
  u64,
  u32,
  u16,
  u8,
  boolean
};
size_t size_of(FileDType dtype);       // bytes of an element
const char* name_of(FileDType dtype);  // as in the header: "F64", "F32", "F16", "BF16", "F8_E4M3", "I64", ...
std::optional<FileDType> file_dtype_of(std::string_view name);

// A tensor in a mapped file. `bytes` need not be aligned to the element.
struct FileTensor {
  FileDType dtype;
  std::vector<int64_t> shape;
  std::span<const std::byte> bytes;
  int64_t elements() const { return static_cast<int64_t>(bytes.size() / size_of(dtype)); }
};

// Elements [begin, begin + out.size()) in row-major order, converted as Checkpoint::read does. False: of a dtype that
// Checkpoint::read refuses.
bool read_elements(const FileTensor& tensor, int64_t begin, std::span<float> out);

// "(3, 4)"
std::string shape_text(std::span<const int64_t> shape);

// The names of the *.safetensors files in a folder, sorted. A folder that cannot be read has none.
std::vector<std::string> safetensors_in(const std::filesystem::path& folder);

class SafetensorsFile {
 public:
  using Tensors = std::map<std::string, FileTensor, std::less<>>;
  using Metadata = std::map<std::string, std::string, std::less<>>;

  // Throws Error{file} where the file cannot be read and Error{format} naming file and tensor where its header lies:
  // truncated, overlapping or loose tensors, sizes that contradict dtype and shape, names twice.
  explicit SafetensorsFile(const std::filesystem::path& path);

  const std::filesystem::path& path() const { return path_; }
  const Tensors& tensors() const { return tensors_; }
  const Metadata& metadata() const { return metadata_; }
  const FileTensor* find(std::string_view name) const;  // null when absent

 private:
  std::filesystem::path path_;
  MappedFile file_;
  Tensors tensors_;
  Metadata metadata_;
};

// The weights of a model: a folder with model.safetensors, or with model.safetensors.index.json and its shards, or one
// .safetensors file. Moves, does not copy.
class Checkpoint {
 public:
  // Errors as SafetensorsFile's; also Error{format} where index and shards contradict each other, and Error{file}
  // naming what is there where a folder has shards without an index, or no weights at all.
  static Checkpoint open(const std::filesystem::path& path);

  const std::vector<std::string>& names() const { return names_; }  // sorted
  const FileTensor* find(std::string_view name) const;              // null when absent
  const FileTensor& at(std::string_view name) const;                // Error{format} naming the checkpoint
  bool contains(std::string_view name) const { return find(name) != nullptr; }
  const std::filesystem::path& file_of(std::string_view name) const;  // the file that holds it
  const std::filesystem::path& path() const { return path_; }
  uint64_t total_bytes() const;  // of tensors, without headers

  // Copies a tensor out, converted from F64, F32, F16 or BF16 (to bf16: rounded from f32). Throws Error{shape} naming
  // file, tensor, expected and found shape, Error{unsupported} for another dtype. out.size() is the product of `shape`.
  void read(std::string_view name, std::span<const int64_t> shape, std::span<float> out) const;
  void read(std::string_view name, std::span<const int64_t> shape, std::span<double> out) const;
  void read(std::string_view name, std::span<const int64_t> shape, std::span<bf16> out) const;
  // The same for I64, I32, U8 and BOOL.
  void read(std::string_view name, std::span<const int64_t> shape, std::span<int64_t> out) const;

 private:
  explicit Checkpoint(std::filesystem::path path) : path_(std::move(path)) {}
  void add_all(size_t file);
  void open_shards(const std::filesystem::path& index);
  std::pair<size_t, const FileTensor*> locate(std::string_view name) const;

  template <class T>
  void read_as(std::string_view name, std::span<const int64_t> shape, std::span<T> out) const;

  std::filesystem::path path_;
  std::vector<SafetensorsFile> files_;
  std::map<std::string, size_t, std::less<>> file_of_;  // tensor name -> position in files_
  std::vector<std::string> names_;
};

}  // namespace ballast
