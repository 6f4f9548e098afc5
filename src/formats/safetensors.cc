#include "formats/safetensors.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <iterator>
#include <utility>

#include "base/error.h"
#include "base/json.h"
#include "core/dtype.h"

namespace ballast {
namespace {

static_assert(std::endian::native == std::endian::little, "the files' numbers are little-endian");

struct DTypeFact {
  FileDType dtype;
  const char* name;
  size_t size;
};
constexpr DTypeFact kDTypes[] = {
    {FileDType::f64, "F64", 8},
    {FileDType::f32, "F32", 4},
    {FileDType::f16, "F16", 2},
    {FileDType::bf16, "BF16", 2},
    {FileDType::f8_e4m3, "F8_E4M3", 1},
    {FileDType::f8_e5m2, "F8_E5M2", 1},
    {FileDType::f8_e8m0, "F8_E8M0", 1},
    {FileDType::f8_e4m3fnuz, "F8_E4M3FNUZ", 1},
    {FileDType::f8_e5m2fnuz, "F8_E5M2FNUZ", 1},
    {FileDType::c64, "C64", 8},
    {FileDType::i64, "I64", 8},
    {FileDType::i32, "I32", 4},
    {FileDType::i16, "I16", 2},
    {FileDType::i8, "I8", 1},
    {FileDType::u64, "U64", 8},
    {FileDType::u32, "U32", 4},
    {FileDType::u16, "U16", 2},
    {FileDType::u8, "U8", 1},
    {FileDType::boolean, "BOOL", 1},
};
constexpr bool in_order_of_the_enumeration() {
  for (size_t i = 0; i < std::size(kDTypes); ++i)
    if (kDTypes[i].dtype != static_cast<FileDType>(i)) return false;
  return std::size(kDTypes) == static_cast<size_t>(FileDType::boolean) + 1;
}
static_assert(in_order_of_the_enumeration());

// Half precision (IEEE 754 binary16), exact in float.
float from_f16(uint16_t h) {
  const uint32_t sign = uint32_t{h & 0x8000u} << 16, exponent = h >> 10 & 31, fraction = h & 1023;
  if (exponent == 31) return std::bit_cast<float>(sign | 0x7f800000u | fraction << 13);
  if (exponent == 0) {
    const float magnitude = static_cast<float>(fraction) * 0x1p-24f;
    return sign ? -magnitude : magnitude;
  }
  return std::bit_cast<float>(sign | (exponent + 112) << 23 | fraction << 13);
}

// Calls convert(stored element) for each element into `out`; the bytes may be unaligned.
template <class Stored, class T, class F>
void convert(const FileTensor& tensor, std::span<T> out, F&& element) {
  const std::byte* from = tensor.bytes.data();
  for (size_t i = 0; i < out.size(); ++i) {
    Stored s;
    std::memcpy(&s, from + i * sizeof(Stored), sizeof(Stored));
    out[i] = element(s);
  }
}

template <class T>
bool copy_out(const FileTensor& tensor, std::span<T> out) {
  const auto same = [](auto v) { return static_cast<T>(v); };
  switch (tensor.dtype) {
    case FileDType::f64:
      convert<double>(tensor, out, same);
      return true;
    case FileDType::f32:
      convert<float>(tensor, out, same);
      return true;
    case FileDType::f16:
      convert<uint16_t>(tensor, out, [](uint16_t h) { return T(from_f16(h)); });
      return true;
    case FileDType::bf16:
      convert<bf16>(tensor, out, [](bf16 b) { return T(static_cast<float>(b)); });
      return true;
    default:
      return false;
  }
}

template <>
bool copy_out<int64_t>(const FileTensor& tensor, std::span<int64_t> out) {
  const auto same = [](auto v) { return static_cast<int64_t>(v); };
  switch (tensor.dtype) {
    case FileDType::i64:
      convert<int64_t>(tensor, out, same);
      return true;
    case FileDType::i32:
      convert<int32_t>(tensor, out, same);
      return true;
    case FileDType::u8:
    case FileDType::boolean:
      convert<uint8_t>(tensor, out, same);
      return true;
    default:
      return false;
  }
}

// The bytes that dtype and shape ask for. `where` names file and tensor.
uint64_t bytes_of(FileDType dtype, const std::vector<int64_t>& shape, const std::string& where) {
  uint64_t bytes = size_of(dtype);
  for (const int64_t n : shape) {
    if (n < 0) fail(ErrorKind::format, where, "negative size in shape {}", shape_text(shape));
    if (__builtin_mul_overflow(bytes, static_cast<uint64_t>(n), &bytes))
      fail(ErrorKind::format, where, "shape {} is larger than 64 bits can count", shape_text(shape));
  }
  return bytes;
}

uint64_t offset_of(const Json& v, const std::string& where) {
  const int64_t offset = v.as_int(where);
  if (offset < 0) fail(ErrorKind::format, where, "negative offset {}", offset);
  return static_cast<uint64_t>(offset);
}

FileTensor parse_tensor(const Json& entry, std::span<const std::byte> data, const std::string& where) {
  const std::string& dtype_name = entry.at("dtype", where).as_string(where + ": dtype");
  const auto dtype = file_dtype_of(dtype_name);
  if (!dtype) fail(ErrorKind::format, where, "unknown dtype '{}'", dtype_name);
  FileTensor tensor{*dtype, {}, {}};
  for (const Json& n : entry.at("shape", where).as_array(where + ": shape"))
    tensor.shape.push_back(n.as_int(where + ": shape"));
  const Json::Array& offsets = entry.at("data_offsets", where).as_array(where + ": data_offsets");
  if (offsets.size() != 2) fail(ErrorKind::format, where, "data_offsets must be two numbers, found {}", offsets.size());
  const uint64_t begin = offset_of(offsets[0], where), end = offset_of(offsets[1], where);
  if (begin > end || end > data.size())
    fail(ErrorKind::format, where, "its bytes are [{}, {}), but the file holds {} bytes of tensors; is it truncated?",
         begin, end, data.size());
  const uint64_t wanted = bytes_of(*dtype, tensor.shape, where);
  if (wanted != end - begin)
    fail(ErrorKind::format, where, "{} of shape {} takes {} bytes, but its entry spans {}", dtype_name,
         shape_text(tensor.shape), wanted, end - begin);
  tensor.bytes = data.subspan(begin, end - begin);
  return tensor;
}

// Tensors must tile the data: no overlap, no hole, nothing after the last.
void check_tiling(const SafetensorsFile::Tensors& tensors, std::span<const std::byte> data, const std::string& file) {
  std::vector<std::pair<std::span<const std::byte>, const std::string*>> spans;
  for (const auto& [name, tensor] : tensors) spans.emplace_back(tensor.bytes, &name);
  std::sort(spans.begin(), spans.end(), [](const auto& a, const auto& b) {
    return std::pair(a.first.data(), a.first.size()) < std::pair(b.first.data(), b.first.size());
  });
  const std::byte* reached = data.data();
  for (const auto& [bytes, name] : spans) {
    if (bytes.data() != reached)
      fail(ErrorKind::format, file + ": tensor '" + *name + "'", "{} the bytes before it",
           bytes.data() < reached ? "overlaps" : "leaves a hole after");
    reached = bytes.data() + bytes.size();
  }
  if (reached != data.data() + data.size())
    fail(ErrorKind::format, file, "{} bytes after the last tensor", data.data() + data.size() - reached);
}

[[noreturn]] void fail_without_weights(const std::filesystem::path& folder) {
  const std::vector<std::string> there = safetensors_in(folder);
  if (there.empty())
    fail(ErrorKind::file, folder.string(), "holds neither model.safetensors nor model.safetensors.index.json");
  constexpr size_t kMostNamed = 4;
  std::string names;
  for (size_t i = 0; i < std::min(there.size(), kMostNamed); ++i) names += (i ? ", " : "") + there[i];
  if (there.size() > kMostNamed) names += fmt::format(" and {} more", there.size() - kMostNamed);
  fail(ErrorKind::file, folder.string(),
       "has {}, but neither model.safetensors nor model.safetensors.index.json, which says which tensors are in which "
       "file; take the index from where these files came from",
       names);
}

}  // namespace

size_t size_of(FileDType dtype) { return kDTypes[static_cast<int>(dtype)].size; }
const char* name_of(FileDType dtype) { return kDTypes[static_cast<int>(dtype)].name; }

std::optional<FileDType> file_dtype_of(std::string_view name) {
  for (const DTypeFact& fact : kDTypes)
    if (name == fact.name) return fact.dtype;
  return std::nullopt;
}

std::string shape_text(std::span<const int64_t> shape) {
  std::string text = "(";
  for (size_t i = 0; i < shape.size(); ++i) text += (i ? ", " : "") + std::to_string(shape[i]);
  return text + ")";
}

bool read_elements(const FileTensor& tensor, int64_t begin, std::span<float> out) {
  CHECK(begin >= 0 && begin + std::ssize(out) <= tensor.elements());
  const size_t size = size_of(tensor.dtype);
  return copy_out({tensor.dtype, {}, tensor.bytes.subspan(static_cast<size_t>(begin) * size, out.size() * size)}, out);
}

SafetensorsFile::SafetensorsFile(const std::filesystem::path& path) : path_(path), file_(path) {
  const std::string where = path.string();
  const auto bytes = file_.bytes();
  uint64_t header_size = 0;
  if (bytes.size() < sizeof header_size)
    fail(ErrorKind::format, where, "{} bytes are too few for a safetensors file", bytes.size());
  std::memcpy(&header_size, bytes.data(), sizeof header_size);
  if (header_size > bytes.size() - sizeof header_size)
    fail(ErrorKind::format, where,
         "its header should be {} bytes long, but the file has {}; truncated, or not "
         "safetensors",
         header_size, bytes.size());
  const std::string_view text = file_.text().substr(sizeof header_size, header_size);
  if (!text.starts_with('{')) fail(ErrorKind::format, where, "its header is not a JSON object; not safetensors?");
  const Json header = Json::parse(text, where + ": header");
  const auto data = bytes.subspan(sizeof header_size + header_size);
  for (const auto& [name, entry] : header.as_object(where + ": header")) {
    if (name == "__metadata__") {
      for (const auto& [key, value] : entry.as_object(where + ": __metadata__"))
        metadata_.emplace(key, value.as_string(where + ": __metadata__: " + key));
    } else {
      tensors_.emplace(name, parse_tensor(entry, data, where + ": tensor '" + name + "'"));
    }
  }
  check_tiling(tensors_, data, where);
}

std::vector<std::string> safetensors_in(const std::filesystem::path& folder) {
  std::vector<std::string> names;
  std::error_code error;
  for (std::filesystem::directory_iterator entry(folder, error), end; !error && entry != end; entry.increment(error))
    if (entry->path().extension() == ".safetensors") names.push_back(entry->path().filename().string());
  std::sort(names.begin(), names.end());
  return names;
}

const FileTensor* SafetensorsFile::find(std::string_view name) const {
  const auto found = tensors_.find(name);
  return found == tensors_.end() ? nullptr : &found->second;
}

Checkpoint Checkpoint::open(const std::filesystem::path& path) {
  namespace fs = std::filesystem;
  Checkpoint checkpoint(path);
  std::error_code ignored;
  if (!fs::is_directory(path, ignored)) {
    checkpoint.files_.emplace_back(path);
    checkpoint.add_all(0);
  } else if (fs::exists(path / "model.safetensors", ignored)) {
    checkpoint.files_.emplace_back(path / "model.safetensors");
    checkpoint.add_all(0);
  } else if (fs::exists(path / "model.safetensors.index.json", ignored)) {
    checkpoint.open_shards(path / "model.safetensors.index.json");
  } else {
    fail_without_weights(path);
  }
  for (const auto& [name, file] : checkpoint.file_of_) checkpoint.names_.push_back(name);
  return checkpoint;
}

void Checkpoint::add_all(size_t file) {
  for (const auto& [name, tensor] : files_[file].tensors()) file_of_.emplace(name, file);
}

void Checkpoint::open_shards(const std::filesystem::path& index) {
  const std::string where = index.string();
  const Json json = Json::read(index);
  std::map<std::string, size_t, std::less<>> opened;
  for (const auto& [name, value] : json.at("weight_map", where).as_object(where + ": weight_map")) {
    const std::string& shard = value.as_string(where + ": weight_map: " + name);
    const std::string place = where + ": tensor '" + name + "'";
    if (shard.empty() || shard.find('/') != std::string::npos || shard == "..")
      fail(ErrorKind::format, place, "'{}' is not the name of a file beside the index", shard);
    const auto [entry, is_new] = opened.emplace(shard, files_.size());
    if (is_new) files_.emplace_back(index.parent_path() / shard);
    if (!files_[entry->second].find(name)) fail(ErrorKind::format, place, "is not in {}, as the index says", shard);
    file_of_.emplace(name, entry->second);
  }
}

std::pair<size_t, const FileTensor*> Checkpoint::locate(std::string_view name) const {
  const auto found = file_of_.find(name);
  if (found == file_of_.end()) fail(ErrorKind::format, path_.string(), "has no tensor '{}'", name);
  return {found->second, files_[found->second].find(name)};
}

const FileTensor* Checkpoint::find(std::string_view name) const {
  const auto found = file_of_.find(name);
  return found == file_of_.end() ? nullptr : files_[found->second].find(name);
}

const FileTensor& Checkpoint::at(std::string_view name) const { return *locate(name).second; }

const std::filesystem::path& Checkpoint::file_of(std::string_view name) const {
  return files_[locate(name).first].path();
}

uint64_t Checkpoint::total_bytes() const {
  uint64_t total = 0;
  for (const std::string& name : names_) total += find(name)->bytes.size();
  return total;
}

template <class T>
void Checkpoint::read_as(std::string_view name, std::span<const int64_t> shape, std::span<T> out) const {
  const auto [file, tensor] = locate(name);
  const std::string where = files_[file].path().string() + ": tensor '" + std::string(name) + "'";
  if (!std::equal(shape.begin(), shape.end(), tensor->shape.begin(), tensor->shape.end()))
    fail(ErrorKind::shape, where, "expected shape {}, found {}", shape_text(shape), shape_text(tensor->shape));
  CHECK(static_cast<int64_t>(out.size()) == tensor->elements());
  if (!copy_out(*tensor, out))
    fail(ErrorKind::unsupported, where, "is of dtype {}; expected {}", name_of(tensor->dtype),
         std::is_integral_v<T> ? "I64, I32, U8 or BOOL" : "F64, F32, F16 or BF16");
}

void Checkpoint::read(std::string_view name, std::span<const int64_t> shape, std::span<float> out) const {
  read_as(name, shape, out);
}
void Checkpoint::read(std::string_view name, std::span<const int64_t> shape, std::span<double> out) const {
  read_as(name, shape, out);
}
void Checkpoint::read(std::string_view name, std::span<const int64_t> shape, std::span<bf16> out) const {
  read_as(name, shape, out);
}
void Checkpoint::read(std::string_view name, std::span<const int64_t> shape, std::span<int64_t> out) const {
  read_as(name, shape, out);
}

}  // namespace ballast
