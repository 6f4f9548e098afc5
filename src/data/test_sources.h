// For the tests of the corpus: a folder of sources, of which the package "held" is held out.
#pragma once

#include <filesystem>
#include <string>

#include "base/file.h"
#include "base/testing.h"
#include "data/corpus.h"

namespace ballast {

class SourcesTest : public FolderTest {
 protected:
  void put(const std::string& path, const std::string& text) {
    std::filesystem::create_directories((folder / "src" / path).parent_path());
    write_file_atomic(folder / "src" / path, text);
  }
  CorpusOptions options() const {
    CorpusOptions o;
    o.source = {(folder / "src").string()};
    o.held_out = {"held"};
    return o;
  }
};

}  // namespace ballast
