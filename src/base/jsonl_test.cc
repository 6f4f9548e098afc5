#include "base/jsonl.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <csignal>
#include <cstdlib>

#include "base/error.h"
#include "base/testing.h"

namespace ballast {
namespace {
namespace fs = std::filesystem;

class JsonlTest : public FolderTest {
 protected:
  static Json step(int64_t n) { return Json(Json::Object{{"step", n}}); }

  int64_t steps_read(TornLine torn = TornLine::fail) const {
    JsonlReader reader(path, torn);
    Json value;
    int64_t n = 0;
    while (reader.next(value)) EXPECT_EQ(value.at("step").as_int(), n++);
    return n;
  }

  const fs::path path = folder / "m.jsonl";
};

TEST_F(JsonlTest, AppendsAndReadsBack) {
  {
    JsonlWriter writer(path);
    EXPECT_EQ(writer.write(step(0)), 12u);  // {"step": 0}\n
    EXPECT_EQ(writer.offset(), 12u);
    EXPECT_EQ(read_file(path), "{\"step\": 0}\n");  // visible at once
    writer.write(step(1));
    writer.sync();
  }
  JsonlWriter(path).write(step(2));
  EXPECT_EQ(steps_read(), 3);
}

TEST_F(JsonlTest, ResumeCutsToTheOffset) {
  uint64_t at = 0;
  {
    JsonlWriter writer(path);
    writer.write(step(0));
    at = writer.write(step(1));
    writer.write(step(77));
  }
  JsonlWriter(path, at).write(step(2));
  EXPECT_EQ(steps_read(), 3);
  { const JsonlWriter writer(path, 0); }
  EXPECT_EQ(read_file(path), "");
}

TEST_F(JsonlTest, ResumeRefusesAnotherFile) {
  JsonlWriter(path).write(step(0));
  for (const uint64_t at : {uint64_t{5}, uint64_t{100}}) {
    try {
      JsonlWriter writer(path, at);
      FAIL();
    } catch (const Error& e) {
      EXPECT_EQ(e.kind, ErrorKind::file);
      EXPECT_NE(std::string(e.what()).find(std::to_string(at)), std::string::npos);
    }
  }
  EXPECT_EQ(steps_read(), 1);  // nothing was cut
}

TEST_F(JsonlTest, ATornLastLineIsDroppedWhenWritingGoesOn) {
  write_file_atomic(path, "{\"step\": 0}\n{\"st");
  JsonlWriter(path).write(step(1));
  EXPECT_EQ(steps_read(), 2);
}

TEST_F(JsonlTest, ATornLastLineIsToleratedOnlyWhenAsked) {
  write_file_atomic(path, "{\"step\": 0}\n{\"st");
  EXPECT_EQ(steps_read(TornLine::skip), 1);
  EXPECT_THROW(steps_read(), Error);
  write_file_atomic(path, "{\"step\": 0}\n{\"step\": 1}");  // whole but for the line break
  EXPECT_EQ(steps_read(), 2);
}

TEST_F(JsonlTest, ABadLineIsNamedEvenWhenTornOnesAreTolerated) {
  write_file_atomic(path, "{\"step\": 0}\n\r\n{\"step\": x}\n{\"step\": 1}\n");
  try {
    steps_read(TornLine::skip);
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.where, path.string() + ":3:10");
    EXPECT_EQ(std::string(e.what()).rfind(path.string() + ":3:10: syntax error", 0), 0u) << e.what();
  }
}

TEST_F(JsonlTest, AFullDiskLeavesWholeLines) {
  struct rlimit before;
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
  const auto old_handler = std::signal(SIGXFSZ, SIG_IGN);
  const struct rlimit small = {30, before.rlim_max};
  JsonlWriter writer(path);
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &small), 0);
  writer.write(step(0));
  writer.write(step(1));
  EXPECT_THROW(writer.write(step(2)), Error);
  EXPECT_EQ(writer.offset(), 24u);
  setrlimit(RLIMIT_FSIZE, &before);
  std::signal(SIGXFSZ, old_handler);
  EXPECT_EQ(steps_read(), 2);
  writer.write(step(2));  // and it can go on when there is room again
  EXPECT_EQ(steps_read(), 3);
}

}  // namespace
}  // namespace ballast
