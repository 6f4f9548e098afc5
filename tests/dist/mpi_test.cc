// Training on two processes, as a user would start it.
#include "dist/mpi.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <filesystem>

#include "base/file.h"
#include "base/testing.h"
#include "base/toml.h"
#include "e2e/child.h"
#include "train/tiny_recipe.h"

namespace ballast {
namespace {

namespace fs = std::filesystem;

class Mpi : public FolderTest {
 protected:
  void SetUp() override {
    if (!built_with_mpi()) GTEST_SKIP() << "built without MPI (libopenmpi-dev)";
    if (std::system("command -v mpirun >/dev/null") != 0) GTEST_SKIP() << "no mpirun here (openmpi-bin)";
    RunConfig recipe = tiny_recipe(folder);
    recipe.train.micro_batches = 2;
    recipe.schedule.steps = 6;
    write_file_atomic(folder / "recipe.toml", "format = 1\n\n" + write_toml(config_to_json(recipe)));
    setenv("OMPI_ALLOW_RUN_AS_ROOT", "1", 1);
    setenv("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1", 1);
    // Open MPI ends with memory of its own still allocated, by modules that are unloaded by then: no suppression finds them.
    const char* options = std::getenv("ASAN_OPTIONS");
    setenv("ASAN_OPTIONS", (std::string(options ? options : "") + ":detect_leaks=0").c_str(), 1);
  }

  e2e::Result train(std::vector<std::string> launcher, const std::string& name, std::vector<std::string> more = {}) {
    launcher.insert(launcher.end(), {BALLAST_BINARY, "train", "--config", (folder / "recipe.toml").string(), "--out",
                                     (folder / name).string(), "-t", "1"});
    launcher.insert(launcher.end(), more.begin(), more.end());
    return e2e::start_program(launcher).wait();
  }

  const std::vector<std::string> two_{"mpirun", "--oversubscribe", "-n", "2"};
};

TEST_F(Mpi, TwoProcessesComputeWhatOneComputes) {
  const e2e::Result one = train({}, "one"), two = train(two_, "two");
  ASSERT_EQ(one.code, 0) << one.err;
  ASSERT_EQ(two.code, 0) << two.err;
  const std::vector<double> a = series(folder / "one", "train/loss"), b = series(folder / "two", "train/loss");
  ASSERT_EQ(a.size(), 6u);
  ASSERT_EQ(b.size(), 6u);
  for (size_t i = 0; i < a.size(); ++i) EXPECT_NEAR(b[i], a[i], 1e-5 * a[i]) << "step " << i;
  const std::string loads = read_file((folder / "one/loads.npy").string()),
                    theirs = read_file((folder / "two/loads.npy").string());
  const size_t row = 2 * 8 * sizeof(int64_t), header = loads.size() - 6 * row;
  EXPECT_EQ(theirs.substr(0, header + row), loads.substr(0, header + row)) << "counts of the first step";
}

TEST_F(Mpi, ResumesBitEqual) {
  ASSERT_EQ(train(two_, "whole").code, 0);
  ASSERT_EQ(train(two_, "parts", {"--schedule.stop_after", "3"}).code, 0);
  const e2e::Result resumed = train(two_, "parts", {"--resume"});
  ASSERT_EQ(resumed.code, 0) << resumed.err;
  EXPECT_EQ(series(folder / "parts", "train/loss"), series(folder / "whole", "train/loss"));
}

TEST_F(Mpi, AnErrorEndsAllRanksWithItsCode) {
  const e2e::Result r = train(two_, "bad", {"--train.micro_batches", "3"});
  EXPECT_EQ(r.code, 2) << r.err;
  EXPECT_NE(r.err.find("2 ranks"), std::string::npos) << r.err;
  EXPECT_FALSE(fs::exists(folder / "bad"));
}

int count(const std::string& text, const std::string& part) {
  int n = 0;
  for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++n;
  return n;
}

// What all ranks see alike is said by one of them.
TEST_F(Mpi, AUsageErrorIsSaidOnce) {
  ASSERT_EQ(train({}, "used").code, 0);
  const std::pair<std::vector<std::string>, std::string> cases[] = {
      {{"--model.hiden_size=4"}, "--model.hidden_size"},
      {{"--balance.rate_drop_factor=-1"}, "balance.rate_drop_factor"},
      {{"--resume", "--fresh"}, "--fresh"},
      {{}, "has a run already"}};
  for (const auto& [more, named] : cases) {
    const e2e::Result r = train(two_, "used", more);
    EXPECT_EQ(r.code, 2) << r.err;
    EXPECT_EQ(count(r.err, "ballast: error: "), 1) << r.err;
    EXPECT_NE(r.err.find(named), std::string::npos) << r.err;
  }
  const e2e::Result plan = train(two_, "plan", {"--dry-run"});
  EXPECT_EQ(plan.code, 0) << plan.err;
  EXPECT_EQ(count(plan.out, "flops_per_token"), 1) << plan.out;
}

// Each process would do the whole of it.
TEST_F(Mpi, CommandsOfOneProcessRefuseSeveral) {
  for (const char* name : {"eval", "quickstart", "convert"}) {
    std::vector<std::string> words = two_;
    words.insert(words.end(), {BALLAST_BINARY, name, "--out", (folder / "out").string()});
    const e2e::Result r = e2e::start_program(words).wait();
    EXPECT_EQ(r.code, 2) << r.err;
    EXPECT_EQ(count(r.err, "ballast: error: "), 1) << r.err;
    EXPECT_NE(r.err.find(std::string(name) + ": runs in one process"), std::string::npos) << r.err;
    EXPECT_FALSE(fs::exists(folder / "out"));
  }
}

}  // namespace
}  // namespace ballast
