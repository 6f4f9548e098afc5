// A token shard. Checksums would stop every mutation at the door, so each input is also tried with them made right.
#include <algorithm>
#include <cstring>

#include "base/hash.h"
#include "data/shards.h"
#include "fuzz/target.h"

namespace ballast::fuzz {
namespace {

constexpr size_t kTrailer = 24;  // u64 offset of the index, u32 its length, u32 its CRC-32C, magic

void put(std::string& file, size_t at, auto value) { std::memcpy(file.data() + at, &value, sizeof value); }

// `file` with the checksums of its sections and of its index, as far as its index can be read.
std::string with_checksums(std::string file) {
  if (file.size() < kTrailer) return file;
  uint64_t at;
  std::memcpy(&at, file.data() + file.size() - kTrailer, sizeof at);
  if (at > file.size() - kTrailer) return file;
  accepts([&] {
    Json index = Json::parse(std::string_view(file).substr(at, file.size() - kTrailer - at));
    for (auto& [name, section] : index["sections"].as_object()) {
      const int64_t offset = section.at("offset").as_int(), bytes = section.at("bytes").as_int();
      const auto size = static_cast<int64_t>(file.size());
      if (offset < 0 || bytes < 0 || offset > size || bytes > size - offset) continue;
      section["crc32c"] = int64_t{crc32c(std::string_view(file).substr(offset, bytes))};
    }
    const std::string text = index.dump();
    file.replace(at, file.size() - kTrailer - at, text);
    const size_t trailer = at + text.size();
    put(file, trailer + 8, static_cast<uint32_t>(text.size()));
    put(file, trailer + 12, crc32c(text));
  });
  return file;
}

void read(const std::string& bytes) {
  const MemoryFile file(bytes);
  accepts([&] {
    const ShardReader shard(file.path());
    int64_t tokens = 0, shortest = shard.documents() > 0 ? INT64_MAX : 0;
    for (int64_t d = 0; d < shard.documents(); ++d) {
      const auto document = shard.document(d);
      for (const int32_t id : document) CHECK(id >= 0 && id < shard.header().vocab_size);
      tokens += static_cast<int64_t>(document.size());
      shortest = std::min(shortest, shard.length(d));
      shard.text_bytes(d);
      shard.is_fim(d);
    }
    CHECK(tokens == shard.tokens() && shortest == shard.shortest());
  });
}

}  // namespace
}  // namespace ballast::fuzz

extern "C" int BALLAST_FUZZ_TARGET(const uint8_t* data, size_t size) {
  using namespace ballast;
  const std::string bytes(fuzz::text_of(data, size));
  fuzz::read(bytes);
  fuzz::read(fuzz::with_checksums(bytes));
  return 0;
}
