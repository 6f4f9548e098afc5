// The command line as its users meet it: help, flags, other tools' names, a short way from sources to a report.
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <regex>
#include <set>
#include <thread>

#include "base/config.h"
#include "base/toml.h"
#include "cli/foreign_names.h"
#include "e2e/child.h"
#include "e2e/help_text.h"
#include "e2e/tiny_corpus.h"
#include "train/config.h"

namespace ballast::e2e {
namespace {

const fs::path kSource = BALLAST_SOURCE_DIR;

void expect_file(const fs::path& file, const std::string& text) {
  if (std::getenv("BALLAST_UPDATE")) spill(file, text);
  EXPECT_EQ(slurp(file), text) << "if this change is meant: BALLAST_UPDATE=1 " << BALLAST_TEST_NAME << " rewrites "
                               << file;
}

TEST(Help, TourNamesEveryCommandWithAnExample) {
  const Result r = run({"--help"});
  EXPECT_EQ(r.code, 0);
  const std::vector<std::string> names = commands();
  ASSERT_GE(names.size(), 9u);
  for (const std::string& name : names) EXPECT_NE(r.out.find("$ ballast " + name), std::string::npos) << name;
  EXPECT_EQ(run({}).out, r.out);
  EXPECT_EQ(run({"help"}).out, r.out);
}

TEST(Help, EveryCommandKnowsTheCommonFlags) {
  for (const std::string& name : commands()) {
    const std::set<std::string> flags = names_in(help_of(name));
    for (const char* flag : {"-h", "--help", "--seed", "-t", "--threads", "--out"})
      EXPECT_TRUE(flags.count(flag)) << name << " " << flag;
  }
}

TEST(Help, TrainListsEveryKeyWithItsDefault) {
  const std::string help = help_of("train");
  for (const Field& f : list_fields(RunConfig{})) {
    EXPECT_TRUE(names_in(help).count("--" + f.key)) << f.key;
    EXPECT_FALSE(f.help.empty()) << f.key;
  }
  EXPECT_NE(help.find("(int; default 7168)"), std::string::npos);
}

TEST(Help, SnapshotOfAllFlagsAndKeys) {
  std::string text;
  for (const std::string& name : commands()) {
    text += name + "\n";
    for (const std::string& flag : names_in(help_of(name))) text += "  " + flag + "\n";
  }
  expect_file(kSource / "tests/e2e/cli_snapshot.txt", text);
}

TEST(Help, Version) {
  const Result r = run({"--version"});
  EXPECT_EQ(r.code, 0) << r.err;
  EXPECT_TRUE(std::regex_match(r.out, std::regex("ballast \\d+\\.\\d+\\.\\d+\n"
                                                 "commit   ([0-9a-f]{7,}\\+?|unknown)\n"
                                                 "build    \\w+(, -fsanitize=[a-z,]+)?, (GCC|Clang) \\d+\\..*\n"
                                                 "CPU      .+, (amx_bf16|avx512_bf16|avx512|avx2|baseline)\n"
                                                 "kernels  built for \\w+(, \\w+)*; here \\w+\n"
                                                 "oneDNN   \\d+\\.\\d+\\.\\d+ \\(\\w+( \\w+)?\\); here \\w+\n"
                                                 "CUDA     (not in this build|\\d+\\.\\d+ for sm_90a, .+)\n"
                                                 "MPI      (not built in|built in)\n")))
      << r.out;
  std::smatch kernels;
  ASSERT_TRUE(std::regex_search(r.out, kernels, std::regex("built for (.*); here (\\w+)")));
  EXPECT_NE((kernels.str(1) + ",").find(kernels.str(2) + ","), std::string::npos) << "not one of those built";
}

TEST(ForeignNames, PointToNamesThatExist) {
  std::set<std::string> known;
  for (const std::string& name : commands()) known.merge(names_in(help_of(name)));
  std::set<std::pair<std::string_view, std::string_view>> seen;
  for (const ForeignName& n : cli::foreign_keys()) {
    EXPECT_TRUE(known.count("--" + std::string(n.ours))) << n.ours;
    EXPECT_FALSE(known.count("--" + std::string(n.ours.substr(0, n.ours.find('.'))) + "." + std::string(n.theirs)))
        << n.theirs << " is ours, too";
    EXPECT_TRUE(seen.emplace(n.theirs, n.ours).second) << n.theirs << " twice";
  }
  EXPECT_GE(cli::foreign_keys().size(), 30u);
  for (const ForeignName& n : cli::foreign_flags()) EXPECT_TRUE(known.count(std::string(n.ours))) << n.ours;
}

TEST(ForeignNames, TableInDocsIsTheList) {
  expect_file(kSource / "docs/foreign-names.md", cli::foreign_names_markdown());
}

TEST(ForeignNames, AreAnsweredWithOurs) {
  const auto error = [](const std::vector<std::string>& line) {
    const Result r = run(line);
    EXPECT_EQ(r.code, 2);
    return r.err;
  };
  EXPECT_EQ(
      error({"train", "--moe-router-topk", "8"}),
      "ballast: error: train: --moe-router-topk is Megatron-Core's name; here it is --model.num_experts_per_tok\n");
  EXPECT_NE(error({"train", "--lr=1e-3"}).find("--optimizer.learning_rate"), std::string::npos);
  EXPECT_NE(error({"train", "--model.expert_used_count", "2"}).find("model.num_experts_per_tok"), std::string::npos);
  EXPECT_NE(error({"tokenizer", "train", "--vocab_size", "300"}).find("--vocab-size"), std::string::npos);
  TemporaryFolder work;
  spill(work / "r.toml", "[balance]\nload_balance_coeff = 1e-3\n");
  const std::string text = error({"train", "--config", work / "r.toml"});
  EXPECT_NE(text.find("r.toml"), std::string::npos);
  EXPECT_NE(text.find("torchtitan"), std::string::npos);
  EXPECT_NE(text.find("balance.bias_update_rate"), std::string::npos);
}

TEST(Verify, OwnReferenceNeedsNoFolder) {
  const Result r = run({"verify"}, [] { (void)!chdir("/"); });
  EXPECT_EQ(r.code, 0) << r.err;
  EXPECT_TRUE(r.out.ends_with("okay\n")) << r.out;
  const Result json = run({"verify", "--json"});
  EXPECT_TRUE(Json::parse(json.out).at("okay").as_bool());
  EXPECT_GT(Json::parse(json.out).at("quantities").as_array().size(), 100u);
}

TEST(Verify, AChangedWeightIsFound) {
  TemporaryFolder work;
  fs::copy(kSource / "tests/golden/v3-tiny", work / "m", fs::copy_options::recursive);
  std::string weights = slurp(work / "m/model.safetensors");
  weights[weights.size() - 1] = static_cast<char>(0x3f);  // the last float becomes about 0.5
  weights[weights.size() - 2] = 0;
  spill(work / "m/model.safetensors", weights);
  const Result r = run({"verify", work / "m", "-v"});
  EXPECT_EQ(r.code, 1) << r.err;
  EXPECT_NE(r.out.find("FAILED"), std::string::npos);
  EXPECT_EQ(r.out.find("okay"), std::string::npos);
}

TEST(Convert, ToFp8AndAnotherFileSize) {
  TemporaryFolder work;
  const std::string golden = kSource / "tests/golden/v3-tiny";
  const Result r = run({"convert", golden, "--dtype", "fp8", "--shard-size", "30kB", "--out", work / "fp8", "--json"});
  ASSERT_EQ(r.code, 0) << r.err;
  const Json report = Json::parse(r.out);
  EXPECT_GT(report.at("files").as_int(), 1);
  EXPECT_GT(report.at("quantized").at("largest_relative_error").as_double(), 0.01);
  const Json found = Json::parse(run({"inspect", work / "fp8", "--json"}).out);
  EXPECT_EQ(found.at("weights").at("files").as_int(), report.at("files").as_int());
  EXPECT_EQ(found.at("fp8").at("degenerate_scales").as_int(), 0);
  const Result kept = run({"convert", golden, "--out", work / "same"});
  EXPECT_EQ(kept.code, 0) << kept.err;
  EXPECT_EQ(run({"verify", work / "same"}).code, 0);
  ASSERT_EQ(run({"convert", work / "same", "--out", work / "again"}).code, 0);  // the first was another writer's
  EXPECT_TRUE(slurp(work / "same/model.safetensors") == slurp(work / "again/model.safetensors"));
}

// A name without a folder is one in the folder that the command runs in.
TEST(Output, ABareNameOfAFileOrFolder) {
  TemporaryFolder work;
  write_tiny_sources(work / "src");
  const std::string golden = kSource / "tests/golden/v3-tiny", shape = golden + "/config.json";
  const auto there = [&] { (void)!chdir(work.path().c_str()); };
  const auto expect_made = [&](std::vector<std::string> line, const std::string& name, const std::string& file = "") {
    line.insert(line.end(), {"--out", name});
    const Result r = run(line, there);
    EXPECT_EQ(r.code, 0) << line[0] << "\n" << r.err;
    EXPECT_TRUE(fs::exists(file.empty() ? work / name : work / name / file)) << line[0];
  };
  expect_made({"convert", golden}, "converted", "model.safetensors");
  expect_made({"corpus", "--source", "src", "--vocab-size", "300"}, "data", "train.shard");
  expect_made({"corpus", "report", "data"}, "corpus.txt");
  expect_made({"tokenizer", "train", "--source", "src", "--vocab-size", "300"}, "t.json");
  expect_made({"tokenizer", "encode", "t.json", "-p", "x"}, "ids.txt");
  std::vector<std::string> training = tiny_training("data");
  training.insert(training.end(), {"--schedule.steps=2", "-t", "1"});
  expect_made(training, "run", "metrics.jsonl");
  expect_made({"report", "run"}, "page.html");
  expect_made({"report", "run", "run"}, "pages.html");
  expect_made({"inspect", golden}, "inspect.txt");
  expect_made({"doctor", golden}, "doctor.txt");
  expect_made({"verify", golden}, "verify.txt");
  expect_made({"roofline", shape}, "roofline.txt");
  expect_made({"completion", "bash"}, "completion.txt");
}

// 0: nothing is ill, 1: something is.
TEST(Doctor, ExitsByTheDiagnosis) {
  TemporaryFolder work;
  const Result good = run({"doctor", kSource / "tests/golden/v3-tiny"});
  EXPECT_EQ(good.code, 0) << good.out << good.err;
  EXPECT_NE(good.out.find("healthy"), std::string::npos);
  const Result json = run({"doctor", kSource / "tests/golden/v3-tiny", "--json"});
  EXPECT_TRUE(Json::parse(json.out).at("healthy").as_bool());
  fs::copy(kSource / "tests/golden/v3-tiny", work / "m", fs::copy_options::recursive);
  std::string weights = slurp(work / "m/model.safetensors");
  const std::string name = "model.layers.1.mlp.gate.e_score_correction_bias", other = "model.layers.1.mlp.gate.e_score_correction_bia_";
  weights.replace(weights.find(name), name.size(), other);
  spill(work / "m/model.safetensors", weights);
  const Result ill = run({"doctor", work / "m"});
  EXPECT_EQ(ill.code, 1) << ill.err;
  EXPECT_NE(ill.out.find(name + " is not there"), std::string::npos) << ill.out;
}

TEST(Recipes, AreConfigurationsThatCanBe) {
  int recipes = 0;
  for (const auto& entry : fs::directory_iterator(kSource / "configs")) {
    if (entry.path().extension() != ".toml") continue;
    const Json recipe = read_toml(entry.path());
    if (!recipe.find("schedule")) continue;  // not of `train`
    RunConfig config;
    EXPECT_NO_THROW({
      read_config(config, recipe, entry.path().string());
      validate(config);
    }) << entry.path();
    ++recipes;
  }
  EXPECT_GE(recipes, 3);
}

TEST(Output, FullDiskAndClosedPipe) {
  const Result full =
      run({"roofline", kSource / "configs/deepseek-v3.json"}, [] { dup2(open("/dev/full", O_WRONLY), STDOUT_FILENO); });
  EXPECT_EQ(full.code, 2);
  EXPECT_NE(full.err.find("No space left"), std::string::npos) << full.err;
  const Result closed = run({"--help"}, [] {
    int ends[2];
    (void)!pipe(ends);
    close(ends[0]);
    dup2(ends[1], STDOUT_FILENO);
  });
  EXPECT_EQ(closed.code, 141);
  EXPECT_EQ(closed.err, "");
}

TEST(Way, FromSourcesToAReport) {
  TemporaryFolder work;
  write_tiny_sources(work / "src");
  const Result corpus = run({"corpus", "--source", work / "src", "--vocab-size", "300", "--out", work / "data"});
  ASSERT_EQ(corpus.code, 0) << corpus.err;
  std::vector<std::string> line = tiny_training(work / "data");
  line.insert(line.end(), {"--schedule.steps=3", "--out", work / "run", "-t", "1"});
  const Result train = run(line);
  ASSERT_EQ(train.code, 0) << train.err;
  EXPECT_EQ(Json::parse(train.out).at("steps").as_int(), 3);
  EXPECT_EQ(run(line).code, 2) << "a second run may not replace the first unasked";
  const Result again =
      run({"train", "--config", work / "run/config.toml", "--resume", "--out", work / "run", "-t", "1"});
  EXPECT_EQ(again.code, 0) << again.err;
  for (const auto& checkpoint : fs::directory_iterator(work / "run/checkpoints")) {
    if (!checkpoint.is_directory()) continue;
    const Result inspect = run({"inspect", checkpoint.path()});
    EXPECT_NE(inspect.out.find("all that the shape needs are there"), std::string::npos) << inspect.out << inspect.err;
  }
  const Result report = run({"report", work / "run"});
  EXPECT_EQ(report.code, 0) << report.err;
  EXPECT_TRUE(fs::exists(work / "run/report.html"));
}

TEST(Way, TokenizerThereAndBack) {
  TemporaryFolder work;
  write_tiny_sources(work / "src");
  const std::string file = work / "t.json";
  ASSERT_EQ(run({"tokenizer", "train", "--source", work / "src", "--vocab-size=280", "--out", file}).code, 0);
  const Result ids = run({"tokenizer", "encode", file, "-p", "--x"});  // a text may look like a flag
  ASSERT_EQ(ids.code, 0) << ids.err;
  std::string list = ids.out;
  list.pop_back();
  std::replace(list.begin(), list.end(), ' ', ',');
  EXPECT_EQ(run({"tokenizer", "encode", file, "--decode", list}).out, "--x\n");
  spill(work / "v.jsonl", "{\"text\": \"--x\", \"ids\": [" + list + "]}\n");
  EXPECT_EQ(run({"tokenizer", "check", file, work / "v.jsonl"}).code, 0);
  spill(work / "v.jsonl", "{\"text\": \"--x\", \"ids\": [7]}\n");
  EXPECT_EQ(run({"tokenizer", "check", file, work / "v.jsonl"}).code, 1);
}

TEST(Way, InterruptedTrainingSavesAndGoesOn) {
  TemporaryFolder work;
  write_tiny_sources(work / "src");
  ASSERT_EQ(run({"corpus", "--source", work / "src", "--vocab-size", "300", "--out", work / "data"}).code, 0);
  std::vector<std::string> line = tiny_training(work / "data");
  line.insert(line.end(), {"--schedule.steps=1000000", "--out", work / "run", "-t", "1"});
  Child child = start(line);
  const auto begun = std::chrono::steady_clock::now();
  while (slurp(work / "run/metrics.jsonl").find("train/loss") == std::string::npos &&
         std::chrono::steady_clock::now() - begun < std::chrono::seconds(60))
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  kill(child.pid, SIGINT);
  const Result r = child.wait();
  EXPECT_EQ(r.code, 130) << r.err;
  EXPECT_NE(r.err.find("--resume"), std::string::npos) << r.err;
  EXPECT_FALSE(fs::is_empty(work / "run/checkpoints"));
}

}  // namespace
}  // namespace ballast::e2e
