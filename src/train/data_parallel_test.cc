// Counts do not depend on the number of ranks; what may differ is the order in which floats are added.
#include "train/data_parallel.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <filesystem>

#include "base/error.h"
#include "base/file.h"
#include "base/testing.h"
#include "dist/local.h"
#include "train/run_folder.h"
#include "train/tiny_recipe.h"
#include "train/trainer.h"

namespace ballast {
namespace {

namespace fs = std::filesystem;

class DataParallel : public FolderTest {
 protected:
  void SetUp() override {
    recipe_ = tiny_recipe(folder);
    recipe_.train.micro_batches = 4;
    recipe_.schedule.steps = 6;
    recipe_.balance.probe_every = 2;
  }

  fs::path train_on(int ranks, const std::string& name, bool resume = false) {
    const fs::path run = folder / name;
    std::vector<TrainSummary> summaries(static_cast<size_t>(ranks));
    run_local_ranks(ranks, [&](Communicator& comm) {
      summaries[static_cast<size_t>(comm.rank())] =
          train({.config = recipe_, .run = run, .resume = resume, .threads = 1, .ranks = &comm});
    });
    for (const TrainSummary& s : summaries) {
      EXPECT_EQ(s.steps, summaries[0].steps);
      EXPECT_EQ(s.tokens, summaries[0].tokens);
    }
    return run;
  }

  RunConfig recipe_;
};

void expect_close(const std::vector<double>& a, const std::vector<double>& b, double tolerance) {
  ASSERT_EQ(a.size(), b.size());
  ASSERT_FALSE(a.empty());
  for (size_t i = 0; i < a.size(); ++i) EXPECT_NEAR(a[i], b[i], tolerance * std::abs(b[i])) << i;
}

TEST_F(DataParallel, RanksComputeWhatOneComputes) {
  const fs::path one = train_on(1, "one");
  const std::string loads = read_file((one / "loads.npy").string());
  for (const int ranks : {2, 4}) {
    const fs::path several = train_on(ranks, "ranks" + std::to_string(ranks));
    for (const char* key : {"train/loss", "train/mtp_loss", "train/aux_seq", "grad_norm", "val/loss"})
      expect_close(series(several, key), series(one, key), 1e-5);
    EXPECT_EQ(series(several, "tokens"), series(one, "tokens"));
    EXPECT_EQ(names_in(several / "checkpoints"), names_in(one / "checkpoints"));

    // Counts are exact in the first step; how many differ after it is for the record.
    const std::string theirs = read_file((several / "loads.npy").string());
    ASSERT_EQ(theirs.size(), loads.size());
    const size_t row = 2 * 8 * sizeof(int64_t), header = loads.size() - 6 * row;
    EXPECT_EQ(theirs.substr(header, row), loads.substr(header, row));
    int differences = 0;
    for (size_t at = header; at < loads.size(); at += sizeof(int64_t))
      differences += theirs.compare(at, sizeof(int64_t), loads, at, sizeof(int64_t)) != 0;
    RecordProperty("differing_counts_" + std::to_string(ranks), differences);
    std::printf("%d ranks: %d of %zu counts differ from one rank's\n", ranks, differences, 6 * row / sizeof(int64_t));
  }
}

// The control: without the sum each rank follows its own micro-batches.
TEST_F(DataParallel, HalfOfTheDataIsAnotherRun) {
  const fs::path one = train_on(1, "one");
  recipe_.train.micro_batches = 2;
  const fs::path half = train_on(1, "half");
  const std::vector<double> a = series(one, "train/loss"), b = series(half, "train/loss");
  EXPECT_GT(std::abs(a.back() - b.back()), 1e-3 * std::abs(a.back()));
}

TEST_F(DataParallel, ResumesBitEqual) {
  recipe_.train.checkpoint_every = 3;
  const fs::path whole = train_on(2, "whole");
  recipe_.schedule.stop_after = 3;
  train_on(2, "parts");
  recipe_.schedule.stop_after = 0;
  const fs::path parts = train_on(2, "parts", true);
  EXPECT_EQ(series(parts, "train/loss"), series(whole, "train/loss"));
  EXPECT_EQ(read_file((parts / "loads.npy").string()), read_file((whole / "loads.npy").string()));
}

TEST_F(DataParallel, RefusesMicroBatchesThatDoNotDivide) {
  try {
    train_on(3, "three");
    FAIL() << "no error";
  } catch (const Error& e) {
    EXPECT_NE(std::string(e.what()).find("3 ranks"), std::string::npos) << e.what();
  }
}

TEST_F(DataParallel, RefusesTheGlobalAuxiliaryLoss) {
  recipe_.aux.global = 1e-3;
  EXPECT_THROW(train_on(2, "global"), Error);
}

TEST_F(DataParallel, AnErrorOfTheLeadingRankEndsAll) {
  fs::create_directories(folder / "held");
  RunLock other(folder / "held");
  other.claim();
  EXPECT_THROW(train_on(2, "held"), Error);
}

}  // namespace
}  // namespace ballast
