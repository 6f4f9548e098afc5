#include "formats/safetensors_writer.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <memory>
#include <set>

#include "base/error.h"
#include "base/json.h"

namespace ballast {
namespace {

namespace fs = std::filesystem;

constexpr const char* kIndex = "model.safetensors.index.json";

// The list's positions in the order of the file: large elements first.
std::vector<size_t> layout(const std::vector<TensorSpec>& tensors, std::vector<size_t> members) {
  std::stable_sort(members.begin(), members.end(),
                   [&](size_t a, size_t b) { return size_of(tensors[a].dtype) > size_of(tensors[b].dtype); });
  return members;
}

std::string header_of(const std::vector<TensorSpec>& tensors, const std::vector<size_t>& order,
                      const SafetensorsFile::Metadata& metadata) {
  Json header = Json::object();
  if (!metadata.empty()) {
    Json& member = header["__metadata__"];
    for (const auto& [key, value] : metadata) member[key] = value;
  }
  // emplace_back and not operator[], which searches: a checkpoint has tens of thousands of tensors.
  uint64_t offset = 0;
  for (const size_t i : order) {
    const TensorSpec& t = tensors[i];
    Json entry = Json::object();
    entry["dtype"] = name_of(t.dtype);
    entry["shape"] = Json(Json::Array(t.shape.begin(), t.shape.end()));
    entry["data_offsets"] = Json(Json::Array{Json(offset), Json(offset + t.bytes())});
    header.as_object().emplace_back(t.name, std::move(entry));
    offset += t.bytes();
  }
  std::string text = header.dump();
  text.resize((text.size() + 7) / 8 * 8, ' ');  // the data starts 8-byte aligned
  return text;
}

// Writes everything but the final name.
std::unique_ptr<AtomicFile> write_uncommitted(const fs::path& path, const std::vector<TensorSpec>& tensors,
                                              const std::vector<size_t>& members, const TensorSource& source,
                                              const SafetensorsFile::Metadata& metadata) {
  const std::vector<size_t> order = layout(tensors, members);
  const std::string header = header_of(tensors, order, metadata);
  auto file = std::make_unique<AtomicFile>(path);
  const uint64_t header_size = header.size();
  file->write(&header_size, sizeof header_size);
  file->write(header);
  for (const size_t i : order) {
    const uint64_t end = file->offset() + tensors[i].bytes();
    source(i, [&](std::span<const std::byte> bytes) {
      CHECK(bytes.size() <= end - file->offset());
      file->write(bytes.data(), bytes.size());
    });
    CHECK(file->offset() == end);
  }
  return file;
}

void check_names(const std::vector<TensorSpec>& tensors) {
  std::set<std::string_view> names;
  for (const TensorSpec& t : tensors) CHECK(names.insert(t.name).second && t.name != "__metadata__");
}

std::vector<std::vector<size_t>> deal(const std::vector<TensorSpec>& tensors, uint64_t max_shard_bytes) {
  std::vector<std::vector<size_t>> shards(1);
  uint64_t filled = 0;
  for (size_t i = 0; i < tensors.size(); ++i) {
    if (!shards.back().empty() && filled + tensors[i].bytes() > max_shard_bytes) {
      shards.emplace_back();
      filled = 0;
    }
    shards.back().push_back(i);
    filled += tensors[i].bytes();
  }
  return shards;
}

std::string index_of(const std::vector<TensorSpec>& tensors, const std::vector<std::vector<size_t>>& shards,
                     const std::vector<std::string>& files) {
  std::map<std::string, std::string> file_of;
  uint64_t total = 0;
  for (size_t s = 0; s < shards.size(); ++s)
    for (const size_t i : shards[s]) {
      file_of[tensors[i].name] = files[s];
      total += tensors[i].bytes();
    }
  Json index = Json::object();
  index["metadata"]["total_size"] = Json(total);
  Json map = Json::object();
  for (const auto& [name, file] : file_of) map.as_object().emplace_back(name, Json(file));
  index["weight_map"] = std::move(map);
  return index.dump(2) + "\n";
}

bool is_model_file(const std::string& name) {
  return name == "model.safetensors" || name == kIndex ||
         (name.starts_with("model-") && name.ends_with(".safetensors") && name.find("-of-") != std::string::npos);
}

void remove_others(const fs::path& folder, const std::vector<std::string>& keep) {
  std::vector<fs::path> stale;
  for (const auto& entry : fs::directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    if (is_model_file(name) && std::find(keep.begin(), keep.end(), name) == keep.end()) stale.push_back(entry.path());
  }
  std::error_code ignored;
  for (const fs::path& path : stale) fs::remove(path, ignored);
}

}  // namespace

uint64_t TensorSpec::bytes() const {
  uint64_t n = size_of(dtype);
  for (const int64_t d : shape) n *= static_cast<uint64_t>(d);
  return n;
}

void write_safetensors(const fs::path& path, const std::vector<TensorSpec>& tensors, const TensorSource& source,
                       const SafetensorsFile::Metadata& metadata) {
  check_names(tensors);
  std::vector<size_t> all(tensors.size());
  for (size_t i = 0; i < all.size(); ++i) all[i] = i;
  write_uncommitted(path, tensors, all, source, metadata)->commit();
}

void write_model_folder(const fs::path& folder, const std::vector<TensorSpec>& tensors, const TensorSource& source,
                        uint64_t max_shard_bytes, const SafetensorsFile::Metadata& metadata) {
  check_names(tensors);
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) fail(ErrorKind::file, folder.string(), "cannot make this folder: {}", error.message());
  const auto shards = deal(tensors, max_shard_bytes);
  std::vector<std::string> names;
  std::vector<std::unique_ptr<AtomicFile>> files;
  for (size_t s = 0; s < shards.size(); ++s) {
    names.push_back(shards.size() == 1 ? "model.safetensors"
                                       : fmt::format("model-{:05}-of-{:05}.safetensors", s + 1, shards.size()));
    files.push_back(write_uncommitted(folder / names[s], tensors, shards[s], source, metadata));
  }
  for (auto& file : files) file->commit();
  if (shards.size() > 1) {
    write_file_atomic(folder / kIndex, index_of(tensors, shards, names));
    names.push_back(kIndex);
  }
  remove_others(folder, names);
}

}  // namespace ballast
