#include "base/checksums.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>

#include "base/error.h"
#include "base/file.h"

namespace ballast {
namespace {
namespace fs = std::filesystem;

class Checksums : public testing::Test {
 protected:
  void SetUp() override {
    fs::remove_all(folder_);
    fs::create_directories(folder_ / "inner");
    write_file_atomic(folder_ / "a", "some bytes");
    write_file_atomic(folder_ / "empty", "");
    write_file_atomic(folder_ / "inner/b", "more");
    write_checksums(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }

  std::string refusal() const {
    try {
      verify_checksums(folder_);
    } catch (const Error& e) {
      return e.what();
    }
    return "";
  }

  const fs::path folder_ = fs::temp_directory_path() / fmt::format("ballast-checksums-{}", ::getpid());
};

TEST_F(Checksums, OfSoundFilesHold) {
  EXPECT_TRUE(verify_checksums(folder_));
  EXPECT_FALSE(verify_checksums(folder_ / "inner"));
}

TEST_F(Checksums, EveryBitOfEveryFileCounts) {
  for (const char* name : {"a", "inner/b", "checksums.json"}) {
    const std::string sound = read_file(folder_ / name);
    for (size_t bit = 0; bit < sound.size() * 8; ++bit) {
      std::string text = sound;
      text[bit / 8] = static_cast<char>(text[bit / 8] ^ 1 << bit % 8);
      std::ofstream(folder_ / name, std::ios::binary) << text;  // thousands of them: not synced
      EXPECT_NE(refusal().find(name), std::string::npos) << name << " bit " << bit << ": " << refusal();
    }
    write_file_atomic(folder_ / name, sound);
  }
  EXPECT_EQ(refusal(), "");
}

TEST_F(Checksums, LengthsAndAbsenceCount) {
  write_file_atomic(folder_ / "empty", "x");
  EXPECT_NE(refusal().find("empty"), std::string::npos);
  fs::remove(folder_ / "empty");
  EXPECT_NE(refusal().find("empty"), std::string::npos);
}

TEST_F(Checksums, FilesThatCameLaterAreNotLookedAt) {
  write_file_atomic(folder_ / "notes.txt", "of somebody's");
  EXPECT_EQ(refusal(), "");
}

}  // namespace
}  // namespace ballast
