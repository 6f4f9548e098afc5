#include "base/checksums.h"

#include <algorithm>
#include <vector>

#include "base/error.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/json.h"

namespace ballast {
namespace fs = std::filesystem;
namespace {

constexpr int kFormat = 1;

std::string text_of(const Json& list) { return list.dump(1) + "\n"; }

Json checksum_of(std::span<const std::byte> bytes) {
  Json sum = Json::object();
  sum["bytes"] = static_cast<int64_t>(bytes.size());
  sum["crc32c"] = int64_t{crc32c(bytes)};
  return sum;
}

}  // namespace

void write_checksums(const fs::path& folder) {
  std::vector<std::string> names;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    const fs::path name = fs::relative(entry.path(), folder);
    if (entry.is_regular_file() && name != kChecksumList) names.push_back(name.string());
  }
  std::sort(names.begin(), names.end());
  Json files = Json::object();
  for (const std::string& name : names) files[name] = checksum_of(MappedFile(folder / name).bytes());
  Json whole = Json::object();
  whole["format"] = kFormat;
  whole["crc32c"] = int64_t{crc32c(files.dump())};
  whole["files"] = std::move(files);
  write_file_atomic(folder / kChecksumList, text_of(whole));
}

bool verify_checksums(const fs::path& folder) {
  const fs::path list = folder / kChecksumList;
  const std::string where = list.string();
  if (!fs::exists(list)) return false;
  const std::string text = read_file(list);
  const Json whole = Json::parse(text, where);
  const int64_t format = whole.at("format", where).as_int(where);
  if (format > kFormat) fail(ErrorKind::unsupported, where, "format {} is newer than this program's {}", format, kFormat);
  const Json& files = whole.at("files", where);
  // Any other spelling of the same values is damage, too.
  if (format < 1 || text_of(whole) != text || crc32c(files.dump()) != whole.at("crc32c", where).as_int(where))
    fail(ErrorKind::format, where, "the list of checksums is itself damaged");
  for (const auto& [name, sum] : files.as_object(where)) {
    const MappedFile file(folder / name);
    if (checksum_of(file.bytes()).dump() != sum.dump())
      fail(ErrorKind::format, (folder / name).string(),
           "is damaged: its checksum is not the one in {}; take another copy (if it was changed on purpose, remove that "
           "list)",
           kChecksumList);
  }
  return true;
}

}  // namespace ballast
