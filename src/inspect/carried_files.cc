#include "inspect/carried_files.h"

#include <algorithm>
#include <set>

#include "base/checksums.h"
#include "base/error.h"
#include "base/file.h"
#include "base/interrupt.h"

namespace ballast {
namespace fs = std::filesystem;
namespace {

constexpr size_t kPiece = size_t{16} << 20;
constexpr const char* kIndex = "model.safetensors.index.json";
constexpr const char* kReference = "reference.safetensors";  // results for `ballast verify`, no weights

bool is_weights(const fs::path& name) {
  constexpr std::string_view kExtensions[] = {".safetensors", ".bin", ".pt",      ".pth", ".gguf",
                                              ".onnx",        ".h5",  ".msgpack", ".ckpt"};
  const std::string text = name.string();
  return std::find(std::begin(kExtensions), std::end(kExtensions), name.extension().string()) !=
             std::end(kExtensions) ||
         text.ends_with(".bin.index.json") || text.ends_with(".safetensors.index.json");
}

// Why this entry stays, in the report's words; empty for one that is carried.
std::string left_out_as(const fs::path& entry) {
  const std::string name = entry.filename().string();
  std::error_code error;
  const fs::file_status status = fs::status(entry, error);
  if (fs::is_directory(status)) return name + "/";
  if (!fs::exists(status)) return name + (fs::is_symlink(entry) ? " (a broken link)" : " (cannot be read)");
  if (!fs::is_regular_file(status)) return name + " (not a regular file)";
  return name != kReference && is_weights(name) ? name : "";
}

}  // namespace

CarriedFiles list_carried_files(const fs::path& folder, const Checkpoint& weights) {
  std::set<std::string> remade = {"config.json", kChecksumList, kIndex};
  for (const std::string& name : weights.names()) remade.insert(weights.file_of(name).filename().string());
  std::vector<fs::path> entries;
  for (const auto& entry : fs::directory_iterator(folder)) entries.push_back(entry.path());
  std::sort(entries.begin(), entries.end());
  CarriedFiles files;
  for (const fs::path& entry : entries) {
    const std::string name = entry.filename().string();
    if (remade.count(name)) continue;
    if (std::string reason = left_out_as(entry); !reason.empty()) {
      files.left_out.push_back(std::move(reason));
    } else {
      files.bytes += MappedFile(entry).bytes().size();
      files.names.push_back(name);
    }
  }
  return files;
}

void carry_files(const CarriedFiles& files, const fs::path& from, const fs::path& to) {
  for (const std::string& name : files.names) {
    const MappedFile source(from / name);
    AtomicFile target(to / name);
    for (size_t at = 0; at < source.bytes().size(); at += kPiece) {
      if (interrupted()) fail(ErrorKind::interrupted, "convert", "interrupted; nothing was written");
      const auto piece = source.bytes().subspan(at, std::min(kPiece, source.bytes().size() - at));
      target.write(piece.data(), piece.size());
      drop_pages(piece);
    }
    target.commit();
  }
}

}  // namespace ballast
