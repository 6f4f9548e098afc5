#include "base/progress.h"

#include <gtest/gtest.h>

#include <vector>

#include "base/log.h"

namespace ballast {
namespace {

struct RecordingSink : LogSink {
  explicit RecordingSink(int columns) : columns(columns) {}
  void line(LogLevel level, std::string_view text) override {
    lines.push_back((level == LogLevel::warning ? "W " : "I ") + std::string(text));
  }
  int status_columns() const override { return columns; }
  void status(std::string_view text) override { statuses.emplace_back(text); }
  int columns;
  std::vector<std::string> lines, statuses;
};

double now_seconds = 0;
double fake_clock() { return now_seconds; }

TEST(Log, LinesGoToTheScopedSink) {
  RecordingSink outer(0), inner(0);
  const ScopedLogSink a(outer);
  log_info("one {}", 1);
  {
    const ScopedLogSink b(inner);
    log_warning("two");
  }
  log_info("{}", "three {}");
  EXPECT_EQ(outer.lines, (std::vector<std::string>{"I one 1", "I three {}"}));
  EXPECT_EQ(inner.lines, std::vector<std::string>{"W two"});
}

TEST(Log, StderrGetsPlainLinesWithoutATerminal) {
  testing::internal::CaptureStderr();
  log_status("never shown");
  log_info("hello");
  log_warning("mind");
  log_info("two\nlines of \x1B[31mred");
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "hello\nwarning: mind\ntwo\nlines of \\x1b[31mred\n");
}

TEST(Progress, OnATerminalABarAtMostTenTimesASecond) {
  RecordingSink sink(100);
  const ScopedLogSink scope(sink);
  now_seconds = 100;
  Progress progress("train", 200, "steps", fake_clock);
  for (int step = 0; step <= 100; ++step) {
    progress.update(step, "loss 3.2");
    now_seconds += 0.03125;  // 32 steps a second
  }
  EXPECT_EQ(sink.statuses.size(), 26u);  // every fourth step of an eighth of a second
  EXPECT_EQ(sink.statuses.back(),
            "train  [==========>         ]  50%  100/200 steps  32 steps/s  3.1 s left  loss 3.2");
  EXPECT_TRUE(sink.lines.empty());
  progress.finish();
  EXPECT_EQ(sink.statuses.back(), "");
  EXPECT_EQ(sink.lines, std::vector<std::string>{"I train: 100 steps in 3.2 s, 31.7 steps/s, loss 3.2"});
}

// The last line is about this process: what an earlier one did is neither its work nor its rate.
TEST(Progress, AResumedStageCountsItsOwnWork) {
  RecordingSink sink(0);
  const ScopedLogSink scope(sink);
  now_seconds = 0;
  Progress progress("train", 1000, "steps", fake_clock);
  progress.resume_at(900);
  now_seconds = 2;
  progress.update(1000);
  progress.finish();
  EXPECT_EQ(sink.lines, (std::vector<std::string>{"I train  900/1.00k steps  90%",
                                                  "I train: 100 steps (1.00k in all) in 2.0 s, 50 steps/s"}));
}

TEST(Progress, WithoutATerminalALineEveryTenSeconds) {
  RecordingSink sink(0);
  const ScopedLogSink scope(sink);
  now_seconds = 0;
  Progress progress("read", 0, "files", fake_clock);
  for (int i = 1; i <= 300; ++i) {
    progress.update(i);
    now_seconds += 0.125;
  }
  EXPECT_EQ(sink.lines.size(), 4u);  // at once, then every ten seconds
  EXPECT_EQ(sink.lines[0], "I read  1 files");
  EXPECT_EQ(sink.lines[2], "I read  161 files  8 files/s");
  EXPECT_TRUE(sink.statuses.empty());
}

TEST(Progress, BytesAreShownAsPeopleReadThem) {
  RecordingSink sink(0);
  const ScopedLogSink scope(sink);
  now_seconds = 0;
  Progress progress("convert", int64_t{8} << 20, "bytes", fake_clock);
  progress.update(0);
  now_seconds = 10;
  progress.update(int64_t{2} << 20);
  EXPECT_EQ(sink.lines.back(), "I convert  2.00 MiB/8.00 MiB  25%  205 KiB/s  30 s left");
  progress.finish();
  EXPECT_EQ(sink.lines.back(), "I convert: 2.00 MiB in 10 s, 205 KiB/s");
}

TEST(Progress, WithoutATerminalALineEverySoManySteps) {
  RecordingSink sink(0);
  const ScopedLogSink scope(sink);
  Progress progress("train", 200, "steps", fake_clock);
  progress.plain_every(20);
  for (int step = 1; step <= 100; ++step) progress.update(step);
  EXPECT_EQ(sink.lines.size(), 6u);  // the first step, then every twentieth
  progress.finish();
}

TEST(Progress, AResumedRunsRateCountsItsOwnStepsOnly) {
  RecordingSink sink(0);
  const ScopedLogSink scope(sink);
  now_seconds = 0;
  Progress progress("train", 1000, "steps", fake_clock);
  progress.update(500);
  now_seconds = 10;
  progress.update(520);
  EXPECT_EQ(sink.lines.back(), "I train  520/1.00k steps  52%  2 steps/s  4m 00s left");
}

TEST(Progress, TheBarFitsTheTerminal) {
  RecordingSink sink(30);
  const ScopedLogSink scope(sink);
  now_seconds = 0;
  {
    Progress progress("tr\xC3\xA4in", 10, "steps", fake_clock);
    progress.update(10, "note");
    EXPECT_EQ(sink.statuses.back(), "tr\xC3\xA4in  [====================]");
  }
  EXPECT_EQ(sink.statuses.back(), "");  // an abandoned bar goes away
}

}  // namespace
}  // namespace ballast
