#include "base/checksums.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>

#include "base/error.h"
#include "base/file.h"
#include "base/testing.h"

namespace ballast {
namespace {
namespace fs = std::filesystem;

class Checksums : public FolderTest {
 protected:
  void SetUp() override {
    fs::create_directories(folder / "inner");
    write_file_atomic(folder / "a", "some bytes");
    write_file_atomic(folder / "empty", "");
    write_file_atomic(folder / "inner/b", "more");
    write_checksums(folder);
  }

  std::string refusal() const {
    try {
      verify_checksums(folder);
    } catch (const Error& e) {
      return e.what();
    }
    return "";
  }
};

TEST_F(Checksums, OfSoundFilesHold) {
  EXPECT_TRUE(verify_checksums(folder));
  EXPECT_FALSE(verify_checksums(folder / "inner"));
}

TEST_F(Checksums, EveryBitOfEveryFileCounts) {
  for (const char* name : {"a", "inner/b", "checksums.json"}) {
    const std::string sound = read_file(folder / name);
    for (size_t bit = 0; bit < sound.size() * 8; ++bit) {
      std::string text = sound;
      text[bit / 8] = static_cast<char>(text[bit / 8] ^ 1 << bit % 8);
      std::ofstream(folder / name, std::ios::binary) << text;  // thousands of them: not synced
      EXPECT_NE(refusal().find(name), std::string::npos) << name << " bit " << bit << ": " << refusal();
    }
    write_file_atomic(folder / name, sound);
  }
  EXPECT_EQ(refusal(), "");
}

TEST_F(Checksums, LengthsAndAbsenceCount) {
  write_file_atomic(folder / "empty", "x");
  EXPECT_NE(refusal().find("empty"), std::string::npos);
  fs::remove(folder / "empty");
  EXPECT_NE(refusal().find("empty"), std::string::npos);
}

TEST_F(Checksums, FilesThatCameLaterAreNotLookedAt) {
  write_file_atomic(folder / "notes.txt", "of somebody's");
  EXPECT_EQ(refusal(), "");
}

}  // namespace
}  // namespace ballast
