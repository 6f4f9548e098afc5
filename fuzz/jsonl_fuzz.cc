// A JSONL file: records, metrics, corpora. Values that were read, written and read again are the same.
#include "base/jsonl.h"
#include "fuzz/target.h"

namespace ballast::fuzz {
namespace {

// The number of lines that were read; every one of them survives being written.
size_t read(const std::filesystem::path& path, TornLine torn) {
  size_t lines = 0;
  accepts([&] {
    JsonlReader reader(path, torn);
    for (Json value; reader.next(value); ++lines) {
      const std::string written = value.dump();
      CHECK(written.find('\n') == std::string::npos);
      CHECK(Json::parse(written).dump() == written);
    }
  });
  return lines;
}

}  // namespace
}  // namespace ballast::fuzz

extern "C" int BALLAST_FUZZ_TARGET(const uint8_t* data, size_t size) {
  using namespace ballast;
  const fuzz::MemoryFile file(fuzz::text_of(data, size));
  CHECK(fuzz::read(file.path(), TornLine::skip) == fuzz::read(file.path(), TornLine::fail));
  return 0;
}
