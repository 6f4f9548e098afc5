// A Debian copyright file, and behind its first zero byte a path to look up.
#include <algorithm>

#include "data/corpus/debian_copyright.h"
#include "fuzz/target.h"

extern "C" int BALLAST_FUZZ_TARGET(const uint8_t* data, size_t size) {
  using namespace ballast;
  const std::string_view input = fuzz::text_of(data, size);
  const size_t end = std::min(input.find('\0'), input.size());
  const std::string_view path = input.substr(std::min(end + 1, input.size()));
  fuzz::accepts([&] {
    const DebianCopyright copyright = parse_debian_copyright(input.substr(0, end));
    for (const std::string_view file : {path, std::string_view("src/a.py"), std::string_view()})
      CHECK(!copyright.license_of(file).empty());
    for (const std::string& license : copyright.licenses()) CHECK(!license.empty());
  });
  CHECK(glob_matches("*", path));
  glob_matches(path, input.substr(0, end));
  return 0;
}
