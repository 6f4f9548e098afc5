#include "data/corpus/filters.h"

#include <gtest/gtest.h>

#include "data/corpus/benchmarks.h"
#include "data/corpus/caps.h"
#include "data/test_shard.h"

namespace ballast {
namespace {

TEST(Filters, TestsAreToldByTheirPlace) {
  for (const char* path : {"p/tests/a.py", "test/a.py", "p/testing/util.py", "p/test_a.py", "p/a_test.py", "p/tests.py", "conftest.py"})
    EXPECT_TRUE(is_test_path(path)) << path;
  for (const char* path : {"p/a.py", "p/testament.py", "latest/a.py", "p/contest.py", "attest.py", ""})
    EXPECT_FALSE(is_test_path(path)) << path;
}

TEST(Filters, BenchmarksAreToldByName) {
  EXPECT_EQ(benchmark_in_path("lib/human_eval/data.py"), "humaneval");
  EXPECT_EQ(benchmark_in_path("x/HumanEvalPlus.py"), "humaneval");
  EXPECT_EQ(benchmark_in_path("mbpp.py"), "mbpp");
  EXPECT_EQ(benchmark_in_path("tools/human/evaluate.py"), "");
  EXPECT_EQ(benchmark_in_path("numpy/core/numeric.py"), "");
}

std::vector<CappedFile> files_of(std::initializer_list<int> packages, int64_t bytes) {
  std::vector<CappedFile> files;
  uint32_t package = 0;
  for (const int count : packages) {
    for (int i = 0; i < count; ++i) files.push_back({package, bytes, false, std::to_string(files.size() * 7919 % 1000 + 1000)});
    ++package;
  }
  return files;
}

int64_t kept_bytes(const std::vector<CappedFile>& files, const CapResult& r, int package) {  // -1: all, -2: tests
  int64_t total = 0;
  for (size_t i = 0; i < files.size(); ++i) {
    const bool counts = package == -1 || (package == -2 ? files[i].test : files[i].package == static_cast<uint32_t>(package));
    total += counts && r.verdict[i] == CapVerdict::kept ? files[i].bytes : 0;
  }
  return total;
}

TEST(Caps, LargePackagesAreCutToTheirShare) {
  const std::vector<CappedFile> files = files_of({300, 100, 20, 20, 20, 20, 20, 20, 20, 20, 20, 20, 20, 20, 20, 20}, 10);
  const CapResult r = apply_caps(files, 0.1, 1);
  EXPECT_TRUE(r.packages_capped);
  const double total = static_cast<double>(kept_bytes(files, r, -1));
  for (const int package : {0, 1}) {
    const double share = static_cast<double>(kept_bytes(files, r, package)) / total;
    EXPECT_LE(share, 0.101);
    EXPECT_GT(share, 0.09);  // and no further
  }
  for (int package = 2; package < 16; ++package) EXPECT_EQ(kept_bytes(files, r, package), 200);
  EXPECT_EQ(apply_caps(files, 1, 1).verdict, std::vector<CapVerdict>(files.size()));
}

TEST(Caps, FewPackagesAreLeftAsTheyAre) {
  const std::vector<CappedFile> files = files_of({50, 1, 1}, 10);
  const CapResult r = apply_caps(files, 0.1, 1);
  EXPECT_FALSE(r.packages_capped);
  EXPECT_EQ(kept_bytes(files, r, -1), 520);
  EXPECT_EQ(apply_caps({}, 0.1, 0.25).verdict.size(), 0u);
}

TEST(Caps, TestsAreCutToTheirShareWhateverTheOrder) {
  std::vector<CappedFile> files = files_of({60, 60}, 10);
  for (size_t i = 0; i < files.size(); i += 2) files[i].test = true;
  const CapResult r = apply_caps(files, 1, 0.25);
  EXPECT_EQ(kept_bytes(files, r, -2), 200);  // beside 600 of others
  EXPECT_EQ(kept_bytes(files, r, -1), 800);
  std::vector<CappedFile> turned(files.rbegin(), files.rend());
  const CapResult again = apply_caps(turned, 1, 0.25);
  EXPECT_EQ(std::vector<CapVerdict>(again.verdict.rbegin(), again.verdict.rend()), r.verdict);
}

class BenchmarkTest : public FolderTest {};

constexpr const char* kProblem =
    "def running_total(values, start):\n    \"\"\" Return the running totals of all the given values. Begin at start.\n    \"\"\"\n";
constexpr const char* kSolution =
    "    totals = []\n    current = start\n    for value in values:\n        current += value\n        totals.append(current)\n"
    "    return totals\n";

TEST_F(BenchmarkTest, DocumentsWithAProblemGo) {
  Json record = Json::object();
  record["task_id"] = "Own/0";
  record["prompt"] = kProblem;
  record["entry_point"] = "running_total";
  record["canonical_solution"] = kSolution;
  write_file_atomic(folder / "own.jsonl", record.dump() + "\n");
  BenchmarkTexts texts;
  EXPECT_TRUE(texts.empty());
  texts.add_file(folder / "own.jsonl");
  EXPECT_GT(texts.runs(), 10u);
  const std::string solved = texts.reason("import os\n" + std::string(kSolution));
  EXPECT_NE(solved.find("own.jsonl"), std::string::npos) << solved;
  EXPECT_EQ(texts.reason("def RUNNING_TOTAL(a):\n    '''return the running\n    totals of all the given values. x'''\n"),
            "benchmark problem: Own/0");
  EXPECT_EQ(texts.reason("def other(a):\n    '''Return the running totals of all the given values. x'''\n"), "");
  EXPECT_EQ(texts.reason("def running_total(a):\n    '''Return something else of all values. x'''\n"), "");
  // Seven runs are not enough: sixteen tokens of the solution.
  EXPECT_EQ(texts.reason("totals = []\ncurrent = start\nfor value in values:\n    current +"), "");
}

TEST_F(BenchmarkTest, NumbersDoNotCount) {
  std::string table;
  for (int i = 0; i < 200; ++i) table += std::to_string(i) + ", ";
  Json record = Json::object();
  record["test"] = table;
  write_file_atomic(folder / "t.json", "[" + record.dump() + "]");
  BenchmarkTexts texts;
  texts.add_file(folder / "t.json");
  EXPECT_EQ(texts.runs(), 0u);
  EXPECT_EQ(texts.reason(table), "");
}

TEST_F(BenchmarkTest, BadFilesAreNamed) {
  BenchmarkTexts texts;
  EXPECT_NE(error_text(ErrorKind::file, [&] { texts.add_file(folder / "none.jsonl"); }).find("none.jsonl"), std::string::npos);
  write_file_atomic(folder / "bad.jsonl", "{\"a\": 1}\n{\n");
  EXPECT_NE(error_text(ErrorKind::format, [&] { texts.add_file(folder / "bad.jsonl"); }).find("bad.jsonl:2"), std::string::npos);
}

}  // namespace
}  // namespace ballast
