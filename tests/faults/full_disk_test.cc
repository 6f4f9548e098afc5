// A disk that is full at each of a command's writes in turn: the error names the file, nothing half-written stays, and
// the same command ends well once there is room.
#include "faults/full_disk.h"

#include <gtest/gtest.h>

#include "e2e/tiny_corpus.h"
#include "resume/run_files.h"

namespace ballast::e2e {
namespace {

// Every file below the folder by its name there, folders as "".
Files tree(const fs::path& folder) {
  Files files;
  if (!fs::exists(folder)) return files;
  for (const auto& entry : fs::recursive_directory_iterator(folder))
    files[fs::relative(entry.path(), folder)] = entry.is_regular_file() ? slurp(entry.path()) : "";
  return files;
}

// The path that a message should name: a file in the making is called by its name to be.
std::string named(const std::string& refused) {
  const std::string path = refused.substr(refused.find('/'));
  return path.substr(0, path.find(".tmp-"));
}

class SlowFullDisk : public testing::Test {
 protected:
  void SetUp() override {
    if (!FullDisk::possible()) GTEST_SKIP() << "this machine does not let a process trace its child";
    write_tiny_sources(work_ / "src");
  }

  // Made once per test, in `work_`; the disk is full under `work_/out` alone.
  fs::path out() const { return work_ / "out"; }
  void restore() {
    fs::remove_all(out());
    if (fs::exists(work_ / "before")) fs::copy(work_ / "before", out(), fs::copy_options::recursive);
    else
      fs::create_directories(out());
  }

  // `changing`: files with times in them, which must be there but may differ.
  void at_every_write(const Words& command, const std::vector<std::string>& changing = {}) {
    at_every_write(command, [&](const Files& clean, const std::string& when) {
      const Files before = tree(work_ / "before");
      for (const auto& [name, text] : tree(out())) {
        const bool old = before.contains(name) && before.at(name) == text;
        const bool whole = clean.contains(name) && (is_one_of(changing, name) || clean.at(name) == text);
        EXPECT_TRUE(old || whole) << when << " left a half of " << name;
      }
      const Result again = e2e::run(command, in_child_);
      EXPECT_EQ(again.code, 0) << when << "; again: " << again.err;
      const Files got = tree(out());
      for (const auto& [name, text] : clean) {
        const bool there = got.contains(name);
        EXPECT_TRUE(there) << when << ": " << name << " is missing after the second run";
        EXPECT_TRUE(!there || is_one_of(changing, name) || got.at(name) == text)
            << when << ": " << name << " differs after the second run";
      }
      for (const auto& [name, text] : got) EXPECT_TRUE(clean.contains(name)) << when << ": " << name << " is too much";
    });
  }

  void at_every_write(const Words& command, const std::function<void(const Files& clean, const std::string&)>& check) {
    restore();
    const FullDisk::Outcome sound = FullDisk::run(command, out(), 0, in_child_);
    ASSERT_EQ(sound.result.code, 0) << sound.result.err;
    ASSERT_GT(sound.calls, 0);
    const Files clean = tree(out());
    for (int n = 1; n <= sound.calls && !HasFailure(); ++n) {
      restore();
      const FullDisk::Outcome full = FullDisk::run(command, out(), n, in_child_);
      const std::string when = "full at call " + std::to_string(n) + " (" + full.refused + ")";
      ASSERT_FALSE(full.refused.empty()) << n;
      EXPECT_EQ(full.result.code, 2) << when << "\n" << full.result.err;
      const size_t error = full.result.err.find("ballast: error: ");
      ASSERT_NE(error, std::string::npos) << when << "\n" << full.result.err;
      const std::string line = full.result.err.substr(error);
      EXPECT_EQ(std::count(line.begin(), line.end(), '\n'), 1) << when << "\n" << line;
      EXPECT_NE(line.find("No space left on device"), std::string::npos) << when << "\n" << line;
      EXPECT_NE(line.find(named(full.refused)), std::string::npos) << when << "\n" << line;
      for (const auto& [name, text] : tree(out()))
        EXPECT_EQ(name.find(".tmp-"), std::string::npos) << when << " left " << name;
      check(clean, when);
    }
    if (!HasFailure()) std::printf("%s: %d calls, each refused once\n", command.front().c_str(), sound.calls);
  }

  static bool is_one_of(const std::vector<std::string>& names, const std::string& name) {
    return std::find(names.begin(), names.end(), name) != names.end();
  }

  void make_corpus() {
    const Result r = run({"corpus", "--source", work_ / "src", "--vocab-size=300", "--out", work_ / "data"});
    ASSERT_EQ(r.code, 0) << r.err;
  }
  Words training(const Words& more) {
    Words words = tiny_training(work_ / "data");
    words.insert(words.end(), {"--schedule.steps=4", "--train.checkpoint_every=2", "--train.keep_last=1", "--out",
                               out() / "run", "-t", "1"});
    words.insert(words.end(), more.begin(), more.end());
    return words;
  }
  void make_run() {
    make_corpus();
    const Result r = run(training({}));
    ASSERT_EQ(r.code, 0) << r.err;
  }

  TemporaryFolder work_;
  std::function<void()> in_child_;
};

TEST_F(SlowFullDisk, UnderACorpus) {
  at_every_write({"corpus", "--source", work_ / "src", "--vocab-size=300", "--out", out() / "data", "-t", "1"},
                 {"data/corpus.json"});
}

// Into the folder of an earlier corpus: until the renames at the end all of that one is there, and between two of them
// training refuses what is mixed.
TEST_F(SlowFullDisk, UnderACorpusOverAnother) {
  make_corpus();
  fs::create_directories(work_ / "before");
  fs::rename(work_ / "data", work_ / "before/data");
  for (int file = 0; file < 3; ++file)
    spill(work_ / "src/epsilon" / ("part" + std::to_string(file) + ".py"),
          "def epsilon_" + std::to_string(file) + "():\n    return " + std::to_string(file * 37) + "\n");
  const Files before = tree(work_ / "before");
  const auto check = [&](const Files& clean, const std::string& when) {
    const Files after = tree(out());
    const bool renaming = when.find("rename " + (out() / "data").string()) != std::string::npos &&
                          when.find(".partial-corpus") == std::string::npos;
    const bool done = when.find("sync " + (out() / "data").string() + ")") != std::string::npos;
    if (!renaming) {
      EXPECT_TRUE(after == (done ? clean : before)) << when;
      return;
    }
    const auto is_old = [&](const char* name) { return after.at(name) == before.at(name); };
    if (is_old("data/train.shard") == is_old("data/held_out.shard")) return;
    Words words = tiny_training(out() / "data");
    words.insert(words.end(), {"--schedule.steps=1", "--out", work_ / "run"});
    const Result refused = e2e::run(words);
    EXPECT_EQ(refused.code, 2) << when << refused.err;
    // Of another tokenizer or another corpus than the other shard, or than data.tokenizer's, whichever is seen first.
    const bool said = refused.err.find("held_out.shard: was made ") != std::string::npos ||
                      refused.err.find("did not make the tokens of ") != std::string::npos;
    EXPECT_TRUE(said) << when << refused.err;
  };
  at_every_write({"corpus", "--source", work_ / "src", "--vocab-size=300", "--out", out() / "data", "-t", "1"}, check);
}

TEST_F(SlowFullDisk, UnderATokenizer) {
  at_every_write({"tokenizer", "train", "--source", work_ / "src", "--vocab-size=300", "--out", out() / "t.json"});
}

TEST_F(SlowFullDisk, UnderANewRun) {
  make_corpus();
  const Words command = training({"--resume"});
  ASSERT_EQ(run(training({"--out", work_ / "whole"})).code, 0);
  at_every_write(command, [&](const Files&, const std::string& when) {
    SCOPED_TRACE(when);
    const Result again = run(command);
    EXPECT_EQ(again.code, 0) << again.err;
    expect_equal_runs(out() / "run", work_ / "whole");
  });
}

TEST_F(SlowFullDisk, UnderAResumedRun) {
  make_corpus();
  ASSERT_EQ(run(training({"--out", work_ / "whole"})).code, 0);
  ASSERT_EQ(run(training({"--schedule.stop_after=2", "--out", work_ / "before/run"})).code, 0);
  const Words command = training({"--resume"});
  at_every_write(command, [&](const Files&, const std::string& when) {
    SCOPED_TRACE(when);
    const Result again = run(command);
    EXPECT_EQ(again.code, 0) << again.err;
    expect_equal_runs(out() / "run", work_ / "whole");
  });
}

TEST_F(SlowFullDisk, UnderAReport) {
  make_run();
  fs::rename(out(), work_ / "before");
  at_every_write({"report", out() / "run"}, {"run/report.html", "run/report.md", "run/report.csv"});
}

TEST_F(SlowFullDisk, UnderWhatCommandsPrint) {
  make_run();
  const fs::path model = *latest_checkpoint(out() / "run/checkpoints");
  fs::rename(model, work_ / "model");
  for (const Words& words : std::vector<Words>{
           {"eval", "-m", work_ / "model", "--source", work_ / "src", "--context=32", "--eval.lines=2",
            "--eval.prompt_bytes=16", "--eval.line_tokens=4", "-t", "1"},
           {"inspect", work_ / "model"},
           {"roofline", work_ / "model"},
           {"completion", "bash"},
           {"study", "skip", "-m", work_ / "model", "--shard", work_ / "data/held_out.shard", "--study.score_tokens=64",
            "--study.window=32", "--study.calibration_tokens=32", "--study.rounds=2", "--study.prompt=8",
            "--study.decode=4", "--dtype=f32", "-t", "1"},
       }) {
    Words command = words;
    command.insert(command.end(), {"--out", out() / "text"});
    at_every_write(command, {"text"});
  }
}

TEST_F(SlowFullDisk, UnderAConversion) {
  make_run();
  fs::rename(*latest_checkpoint(out() / "run/checkpoints"), work_ / "model");
  at_every_write({"convert", work_ / "model", "--dtype=bf16", "--shard-size=20KB", "--out", out() / "converted"});
}

// Without a folder, verify unpacks its reference model into a temporary one.
TEST_F(SlowFullDisk, UnderAVerification) {
  in_child_ = [folder = out()] { setenv("TMPDIR", folder.c_str(), 1); };
  at_every_write({"verify", "--json", "--out", out() / "text", "-t", "1"}, {"text"});
}

}  // namespace
}  // namespace ballast::e2e
