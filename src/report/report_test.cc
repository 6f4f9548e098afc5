#include "report/report.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "base/error.h"
#include "base/file.h"
#include "base/testing.h"
#include "report/sections.h"
#include "report/synthetic_run.h"

namespace ballast::report {
namespace {

namespace fs = std::filesystem;

using Report = FolderTest;

bool contains(const std::string& page, std::string_view words) { return page.find(words) != std::string::npos; }

size_t occurrences(const std::string& page, std::string_view words) {
  size_t n = 0;
  for (size_t at = 0; (at = page.find(words, at)) != std::string::npos; at += words.size()) ++n;
  return n;
}

TEST_F(Report, QuickstartHasEveryPart) {
  write_synthetic_run(folder);
  const ReportFiles files = write_report(folder);
  const std::string page = read_file(files.html);
  for (const char* id : {"training", "balance", "heldout", "skipping", "speed", "commands", "definitions"})
    EXPECT_TRUE(contains(page, "<section id=\"" + std::string(id) + "\"")) << id;
  for (const char* words :
       {"no interval on this page includes the training seed", "18\u202f350\u202f080", "sha256:5f0c7a1be2d94413",
        "ceiling 3.0", "floor 0.06", ">A/A</text>", "paired bootstrap over files", "ballast quickstart --seed 1",
        "json/decoder.py", "max_vio/layer_N", "hardly uses its experts"})
    EXPECT_TRUE(contains(page, words)) << words;
  EXPECT_FALSE(contains(page, "class=\"banner\""));
  // 3 arms x 5 layers, each one image, and the scale.
  EXPECT_EQ(occurrences(page, "data:image/png;base64,"), 16u);
  // The model's exact match is below the best rival's, its edit similarity above.
  EXPECT_TRUE(contains(page, "9.4 <span class=\"badge\">at floor</span>"));
  EXPECT_FALSE(contains(page, "47.3 <span"));
}

TEST_F(Report, IsSelfContainedAndEscaped) {
  write_synthetic_run(folder, {.steps = 60});
  Json summary = Json::read(folder / "summary.json");
  summary["completion"]["output"] = Json("</code><script>alert(1)</script>\x01");
  summary["header"]["machine"] = Json("\"<b>\" & co");
  write_file_atomic(folder / "summary.json", summary.dump());
  const std::string page = read_file(write_report(folder).html);
  for (const char* words : {"<script", "http://", "https://", "src=\"/", "@import", "<link"})
    EXPECT_FALSE(contains(page, words)) << words;
  EXPECT_TRUE(contains(page, "&lt;/code&gt;&lt;script&gt;alert(1)&lt;/script&gt;\ufffd"));
  EXPECT_TRUE(contains(page, "&quot;&lt;b&gt;&quot; &amp; co"));
  for (const char* words : {">nan", " nan", "\"nan", "Lnan", "inf\"", " inf<", ">inf"})
    EXPECT_FALSE(contains(page, words)) << words;
}

TEST_F(Report, SaysFirstThatBalanceWasNotReached) {
  write_synthetic_run(folder, {.steps = 60, .balanced = false});
  const ReportFiles files = write_report(folder);
  const std::string page = read_file(files.html), words = "Balance was not reached";
  ASSERT_TRUE(contains(page, words));
  EXPECT_LT(page.find(words), page.find("<h1>"));
  EXPECT_EQ(read_file(files.markdown).find(words), 0u);
}

TEST_F(Report, WhatDoesNotBeatItsRivalsIsNoHeadline) {
  write_synthetic_run(folder, {.steps = 60});
  const std::string tile = "held-out, lower is better";
  EXPECT_TRUE(contains(read_file(write_report(folder).html), tile));
  Json summary = Json::read(folder / "summary.json");
  summary["heldout"]["bpb"] = Json(2.2);  // above the 5-gram, below xz
  write_file_atomic(folder / "summary.json", summary.dump());
  const ReportFiles files = write_report(folder);
  EXPECT_FALSE(contains(read_file(files.html), tile));
  EXPECT_TRUE(contains(read_file(files.html), "<b>At floor:</b>"));
  EXPECT_TRUE(contains(read_file(files.markdown), "2.2000 (at floor)"));
}

TEST_F(Report, TheShippedModelStandsBesideTheFreshOne) {
  write_synthetic_run(folder, {.steps = 60});
  const std::string without = read_file(write_report(folder).html);
  EXPECT_FALSE(contains(without, "comes with the program"));
  EXPECT_FALSE(contains(without, "infilling</td>"));
  Json summary = Json::read(folder / "summary.json");
  summary["line"]["infill"] = Json::parse(R"({"em": 3.2, "es": 40.1})");
  summary["shipped"] = Json::parse(R"({"name": "tiny-one", "heldout": {"bpb": 1.4321}, "output": "return <none>",
    "line": {"em": 17.5, "es": 55.5, "infill": {"em": 21.25, "es": 57.5}}, "skip_tokens": 4096, "skip_rounds": 4})");
  summary["shipped"]["skip"] = synthetic_skip();
  write_file_atomic(folder / "summary.json", summary.dump());
  const ReportFiles files = write_report(folder);
  const std::string page = read_file(files.html), tables = read_file(files.markdown);
  for (const char* words :
       {"What tiny-one wrote", "return &lt;none&gt;", "tiny-one, the model that comes with the program",
        "On 4\u202f096 tokens and in 4 rounds", "What skipping buys and costs on tiny-one"})
    EXPECT_TRUE(contains(page, words)) << words;
  for (const char* words : {"| tiny-one | 1.4321 |", "| this model, infilling | 3.2 (at floor) | 40.1 (at floor) |",
                            "| tiny-one | 17.5 | 55.5 |", "| tiny-one, infilling | 21.2 | 57.5 |"})
    EXPECT_TRUE(contains(tables, words)) << words << "\n" << tables;
  EXPECT_EQ(occurrences(page, ">A/A</text>"), 2 * occurrences(without, ">A/A</text>"));
}

TEST_F(Report, GrowsWithTheRun) {
  EXPECT_TRUE(contains(read_file(write_report(folder).html), "<h1>"));  // nothing yet: a page all the same
  write_synthetic_arm(folder / "none", "none", 30);
  const std::string page = read_file(write_report(folder).html);
  EXPECT_TRUE(contains(page, "<section id=\"balance\""));
  EXPECT_FALSE(contains(page, "<section id=\"skipping\""));
  EXPECT_FALSE(contains(page, "<section id=\"heldout\""));
  fs::remove(folder / "none" / "loads.npy");
  EXPECT_FALSE(contains(read_file(write_report(folder).html), "data:image/png"));
}

TEST_F(Report, OverlaysRuns) {
  write_synthetic_arm(folder / "warm", "none", 40);
  write_synthetic_arm(folder / "cold", "sign_centered", 60);
  write_synthetic_run(folder / "quick", {.steps = 60});
  const ReportFiles files = write_report({folder / "warm", folder / "cold", folder / "quick"}, folder / "three.html");
  const std::string page = read_file(files.html), csv = read_file(files.csv);
  for (const char* name : {">warm<", ">cold<", ">quick/sign_centered<"}) EXPECT_TRUE(contains(page, name)) << name;
  EXPECT_EQ(files.csv, folder / "three.csv");
  EXPECT_EQ(csv.find("run,step,tokens,key,value\n"), 0u);
  EXPECT_TRUE(contains(csv, "\nwarm,20,81920,val/loss,"));
  EXPECT_FALSE(fs::exists(folder / "warm" / "report.html"));
  EXPECT_THROW(write_report({folder / "absent"}, folder / "three.html"), Error);
  EXPECT_THROW(write_report({}, folder / "three.html"), Error);
}

TEST_F(Report, BoundsAndBalance) {
  write_synthetic_arm(folder, "sign_centered", 120);
  const RunGroup group = load_group(folder);
  const LoadBounds bounds = load_bounds({.summary = Json::object()}, group.runs.front());
  EXPECT_EQ(*bounds.ceiling, 3);
  // L = 4096 tokens x 8 / 32 experts; rounding the loads may move the mean by less than one.
  EXPECT_NEAR(*bounds.sampling_floor, 0.83 * std::sqrt(2 * std::log(32.0) * 0.75 / 1024), 1e-3);
  const std::vector<Sample> worst = worst_layer_mean(group.runs.front());
  ASSERT_EQ(worst.size(), 120u);
  double largest = 0;
  for (int layer = 1; layer <= kSynLayers; ++layer)
    largest = std::max(
        largest, running_mean(group.runs.front().metric("max_vio/layer_" + std::to_string(layer)), 20).back().value);
  EXPECT_DOUBLE_EQ(worst.back().value, largest);
}

}  // namespace
}  // namespace ballast::report
