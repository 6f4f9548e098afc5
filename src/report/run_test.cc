#include "report/run.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "base/file.h"
#include "base/testing.h"
#include "report/synthetic_run.h"

namespace ballast::report {
namespace {

namespace fs = std::filesystem;

class RunFolder : public FolderTest {
 protected:
  void put(const std::string& name, const std::string& bytes) { write_file_atomic(folder / name, bytes); }
  std::string error_of_load() {
    try {
      load_run(folder);
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  }
};

TEST_F(RunFolder, LinesMayLackAnyKey) {
  put("metrics.jsonl",
      "{\"format\": 1}\n{\"step\": 1, \"train/loss\": 9, \"tokens\": 100}\n\n{\"step\": 2, \"train/loss\": null}\n"
      "{\"step\": 3, \"val/loss\": 8.5}\n{\"step\": 5, \"train/loss\": 7, \"tokens\": 500}\n{\"step\": 6, \"tra");
  const report::Run run = load_run(folder);
  ASSERT_EQ(run.metric("train/loss").size(), 2u);
  EXPECT_EQ(run.metric("train/loss")[1].step, 5);
  EXPECT_TRUE(run.metric("lr").empty());
  EXPECT_DOUBLE_EQ(*run.tokens_at(1), 100);
  EXPECT_DOUBLE_EQ(*run.tokens_at(3), 300);    // between records
  EXPECT_DOUBLE_EQ(*run.tokens_at(10), 1000);  // beyond them
  EXPECT_TRUE(run.loads.empty());
}

TEST_F(RunFolder, BadLineIsNamed) {
  put("metrics.jsonl", "{\"step\": 1}\n{\"step\": }\n{\"step\": 3}\n");
  EXPECT_NE(error_of_load().find("metrics.jsonl:2"), std::string::npos) << error_of_load();
}

TEST_F(RunFolder, ReadsLoads) {
  std::vector<int64_t> values(2 * 3 * 4);
  for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<int64_t>(i) - 3;
  put("loads.npy", npy_of(values, "(2, 3, 4)"));
  const Loads loads = read_loads(folder / "loads.npy");
  EXPECT_EQ(loads.steps, 2);
  EXPECT_EQ(loads.at(1, 2, 3), 20);
  EXPECT_EQ(loads.at(0, 1, 0), 1);
  EXPECT_DOUBLE_EQ(loads.fair_load(), 8.5);
  put("loads.npy", npy_of(values, "(1, 3, 4)"));  // a row appended, the header not yet rewritten
  EXPECT_EQ(read_loads(folder / "loads.npy").steps, 1);
}

TEST_F(RunFolder, RefusesOtherArrays) {
  const std::vector<int64_t> values(24);
  const std::string good = npy_of(values, "(2, 3, 4)");
  const auto replaced = [&](const std::string& from, const std::string& to) {
    std::string bytes = good;
    return bytes.replace(bytes.find(from), from.size(), to);
  };
  const std::pair<std::string, const char*> bad[] = {
      {"", "not an npy"},
      {good.substr(0, 40), "truncated"},
      {good.substr(0, good.size() - 1), "truncated"},
      {replaced("<i8", "<i4"), "int64"},
      {replaced("False", "True "), "Fortran"},
      {replaced("(2, 3, 4)", "(24,)    "), "dimensions"},
      {replaced("(2, 3, 4)", "(9, 9, 9)"), "truncated"},
      {replaced("(2, 3, 4)", "(2, 3, 99999999999999)"), "too large"},
      {replaced("'shape'", "'shapo'"), "lacks"},
  };
  for (const auto& [bytes, words] : bad) {
    put("loads.npy", bytes);
    EXPECT_NE(error_of_load().find(words), std::string::npos) << words << ": " << error_of_load();
  }
}

TEST_F(RunFolder, ArmsComeInOrder) {
  for (const char* arm : {"zeta", "sign_centered", "none", "aux_global"}) write_synthetic_arm(folder / arm, arm, 3);
  fs::create_directories(folder / "checkpoints");
  const RunGroup group = load_group(folder);
  ASSERT_EQ(group.runs.size(), 4u);
  EXPECT_EQ(group.runs[0].name, "none");
  EXPECT_EQ(group.runs[2].name, "sign_centered");
  EXPECT_EQ(group.runs[3].name, "zeta");
  EXPECT_EQ(load_group(folder / "zeta/").runs.size(), 1u);
}

TEST(RunningMean, WindowIsInSteps) {
  const std::vector<Sample> mean = running_mean({{1, 2}, {2, 4}, {5, 9}, {6, 1}}, 3);
  ASSERT_EQ(mean.size(), 4u);
  EXPECT_DOUBLE_EQ(mean[1].value, 3);
  EXPECT_DOUBLE_EQ(mean[2].value, 9);
  EXPECT_DOUBLE_EQ(mean[3].value, 5);
}

}  // namespace
}  // namespace ballast::report
