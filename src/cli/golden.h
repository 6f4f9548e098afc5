// The project's own reference results (tests/golden/v3-tiny), inside the program: `ballast verify` works wherever it is
// installed.
#pragma once

#include <filesystem>

namespace ballast::cli {

// Unpacked to a temporary folder for as long as this lives.
class EmbeddedGolden {
 public:
  EmbeddedGolden();
  ~EmbeddedGolden();
  EmbeddedGolden(const EmbeddedGolden&) = delete;
  EmbeddedGolden& operator=(const EmbeddedGolden&) = delete;
  const std::filesystem::path& folder() const { return folder_; }

 private:
  void remove();

  std::filesystem::path folder_;
};

}  // namespace ballast::cli
