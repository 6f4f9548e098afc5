// What bad input gets: exit code 2, one line that names the file, key or tensor, and nothing half-written.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>

#include "base/json.h"
#include "e2e/child.h"
#include "e2e/tiny_corpus.h"

namespace ballast::e2e {
namespace {

const fs::path kGolden = fs::path(BALLAST_SOURCE_DIR) / "tests/golden/v3-tiny";

// Everything that the cases below need, made once.
class BadInput : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    work_ = new TemporaryFolder;
    const TemporaryFolder& w = *work_;
    write_tiny_sources(w / "src");
    fs::create_directories(w / "empty");
    ASSERT_EQ(run({"corpus", "--source", w / "src", "--vocab-size", "300", "--out", w / "data"}).code, 0);
    fs::copy(kGolden, w / "cut", fs::copy_options::recursive);
    fs::resize_file(w / "cut/model.safetensors", fs::file_size(w / "cut/model.safetensors") - 100);
    fs::copy(kGolden, w / "mislabelled", fs::copy_options::recursive);
    std::string header = slurp(w / "mislabelled/model.safetensors");
    header.replace(header.find("\"F32\""), 5, "\"I64\"");
    spill(w / "mislabelled/model.safetensors", header);
    fs::copy(kGolden, w / "other", fs::copy_options::recursive);
    std::string config = slurp(w / "other/config.json");
    config.replace(config.find("\"vocab_size\": 67"), 16, "\"vocab_size\": 68");
    spill(w / "other/config.json", config);
    const std::string shard = slurp(w / "data/train.shard");
    spill(w / "cut.shard", shard.substr(0, shard.size() / 2));
    spill(w / "llama/config.json", "{\"model_type\": \"llama\", \"hidden_size\": 64}");
    spill(w / "broken/config.json", "{\"model_type\": ");
    spill(w / "broken.json", "{\"model\": {}}");
    spill(w / "unknown.toml", "[model]\nhiden_size = 64\n");
    spill(w / "foreign.toml", "[model]\nmoe_router_topk = 4\n");
    spill(w / "syntax.toml", "[model]\nhidden_size = = 4\n");
    spill(w / "type.toml", "[model]\nhidden_size = \"wide\"\n");
    spill(w / "newer.toml", "format = 2\n");
    spill(w / "bad.jsonl", "{\"text\": \"a = 1\"}\n{\"text\": \n");
    spill(w / "nofield.jsonl", "{\"code\": \"a = 1\"}\n");
    spill(w / "another.json", slurp(w / "data/tokenizer.json") + "\n");
    spill(w / "vectors.txt", "x");
    spill(w / "torn/metrics.jsonl", "{\"step\": 1,\n{\"step\": 2}\n");
    fs::copy(kGolden, w / "loose", fs::copy_options::recursive);
    fs::rename(w / "loose/model.safetensors", w / "loose/weights-1.safetensors");
    const std::string forged = R"({"a\u001b[31m\nforged":{"dtype":"Q4","shape":[1],"data_offsets":[0,1]}})";
    spill(w / "forged.safetensors",
          std::string(1, static_cast<char>(forged.size())) + std::string(7, '\0') + forged + "x");
  }
  static void TearDownTestSuite() { delete work_; }

  static fs::path at(const std::string& name) { return *work_ / name; }

  // `names`: what the message must mention.
  static void expect_refused(const std::vector<std::string>& line, const std::vector<std::string>& names,
                             const std::function<void()>& in_child = {}) {
    std::string shown;
    for (const std::string& word : line) shown += word + " ";
    const std::vector<std::string> before = files_in(work_->path());
    const Result r = run(line, in_child);
    EXPECT_EQ(r.code, 2) << shown << "\n" << r.err;
    EXPECT_EQ(r.out, "") << shown;
    const size_t error = r.err.find("ballast: error: ");
    ASSERT_NE(error, std::string::npos) << shown << "\n" << r.err;
    EXPECT_EQ(std::count(r.err.begin() + static_cast<ptrdiff_t>(error), r.err.end(), '\n'), 1) << shown << "\n"
                                                                                               << r.err;
    for (const std::string& name : names)
      EXPECT_NE(r.err.find(name, error), std::string::npos) << shown << "\n" << r.err;
    EXPECT_EQ(files_in(work_->path()), before) << shown;
  }

  static std::vector<std::string> training(const std::vector<std::string>& more) {
    std::vector<std::string> line = tiny_training(at("data"));
    line.insert(line.end(), {"--schedule.steps=2", "--out", at("run"), "-t", "1"});
    line.insert(line.end(), more.begin(), more.end());
    return line;
  }

  static TemporaryFolder* work_;
};
TemporaryFolder* BadInput::work_ = nullptr;

TEST_F(BadInput, CommandsAndFlags) {
  expect_refused({"verfy"}, {"'verfy'", "'verify'"});
  expect_refused({"tokenizer"}, {"tokenizer train"});
  expect_refused({"tokenizer", "trian"}, {"'tokenizer train'"});
  expect_refused({"verify", "--jsn"}, {"--jsn", "--json"});
  expect_refused({"verify", "a", "b"}, {"'b'"});
  expect_refused({"verify", "--out"}, {"--out"});
  expect_refused({"verify", "--out", "--json"}, {"--out", "--json"});
  expect_refused({"verify", "-t", "two"}, {"--threads", "two"});
  expect_refused({"roofline"}, {"config.json"});
}

TEST_F(BadInput, Keys) {
  expect_refused({"train", "--model.hiden_size=4"}, {"hiden_size", "--model.hidden_size"});
  expect_refused({"train", "--hidden_size", "4"}, {"--model.hidden_size"});
  expect_refused({"train", "--model.hidden_size", "wide"}, {"model.hidden_size", "wide"});
  expect_refused({"train", "--config", at("unknown.toml")}, {"unknown.toml", "hiden_size", "model.hidden_size"});
  expect_refused({"train", "--config", at("foreign.toml")},
                 {"foreign.toml", "Megatron-Core", "model.num_experts_per_tok"});
  expect_refused({"train", "--config", at("syntax.toml")}, {"syntax.toml", "2"});
  expect_refused({"train", "--config", at("type.toml")}, {"type.toml", "model.hidden_size"});
  expect_refused({"train", "--config", at("newer.toml")}, {"newer.toml", "format"});
  expect_refused(training({"--resume", "--fresh"}), {"--resume", "--fresh"});
}

TEST_F(BadInput, Paths) {
  expect_refused({"train", "--config", at("nowhere.toml")}, {"nowhere.toml"});
  expect_refused({"train", "--config", at("empty")}, {"empty"});
  expect_refused({"verify", at("nowhere")}, {"nowhere"});
  expect_refused({"verify", at("empty")}, {"empty"});
  expect_refused({"inspect", at("nowhere")}, {"nowhere"});
  expect_refused({"inspect", at("empty")}, {"empty", "config.json"});
  expect_refused({"convert", at("nowhere"), "--out", at("new")}, {"nowhere"});
  expect_refused({"convert", kGolden}, {"--out"});
  expect_refused({"convert", kGolden, "--out", at("empty")}, {"empty", "there already"});
  expect_refused({"convert", kGolden, "--out", at("new"), "--dtype", "int8"}, {"--dtype", "int8"});
  expect_refused({"convert", kGolden, "--out", at("new"), "--shard-size", "large"}, {"--shard-size", "large"});
  expect_refused({"convert", kGolden, "--out", at("vectors.txt") / "new"}, {"vectors.txt"});
  expect_refused({"convert", at("cut"), "--out", at("new")}, {"cut/model.safetensors"});
  expect_refused({"convert", at("mislabelled"), "--out", at("new"), "--dtype", "bf16"}, {"mislabelled", "tensor"});
  expect_refused({"convert", at("other"), "--out", at("new"), "--dtype", "bf16"}, {"other", "embed_tokens", "(68, 26)"});
  expect_refused({"convert", kGolden, "--out", kGolden / "inside"}, {"inside", "is converted"});
  expect_refused({"doctor", at("nowhere")}, {"nowhere"});
  expect_refused({"doctor", at(std::string(300, 'n'))}, {"nnn/config.json: cannot read it: File name too long"});
  expect_refused({"doctor", at("torn")}, {"torn"});
  expect_refused({"roofline", at("nowhere.json")}, {"nowhere.json"});
  expect_refused({"report", at("nowhere")}, {"nowhere"});
  expect_refused({"tokenizer", "encode", at("nowhere.json"), "-p", "x"}, {"nowhere.json"});
  expect_refused({"tokenizer", "check", at("data/tokenizer.json"), at("vectors.txt")}, {"vectors.txt"});
  expect_refused({"corpus", "--source", at("nowhere"), "--out", at("out")}, {"nowhere"});
  expect_refused({"corpus", "--source", at("src"), "--vocab-size=300", "--out", at("vectors.txt") / "out"},
                 {"vectors.txt"});
  expect_refused(training({"--out", at("vectors.txt") / "run"}), {"vectors.txt"});
  expect_refused({"tokenizer", "train", "--source", at("src"), "--vocab-size=300", "--out", at("nowhere/t.json")},
                 {"nowhere/t.json"});
  EXPECT_EQ(run({"tokenizer", "train", "--source", at("src"), "--vocab-size=300", "--out", at("nowhere/t.json")})
                .err.find("tokens in"),
            std::string::npos);  // said before the work, not after
  expect_refused({"roofline", kGolden, "--out", at("nowhere/r.txt")}, {"nowhere/r.txt"});
  expect_refused({"report", at("torn")}, {"metrics.jsonl"});
  expect_refused({"train"}, {"data.train_shard"});
  expect_refused({"inspect", at("vectors.txt")}, {"vectors.txt"});
  if (geteuid() != 0) {  // root reads everything
    fs::permissions(at("unknown.toml"), fs::perms::none);
    expect_refused({"train", "--config", at("unknown.toml")}, {"unknown.toml", "denied"});
    fs::permissions(at("unknown.toml"), fs::perms::owner_all);
  }
}

TEST_F(BadInput, Corpora) {
  expect_refused({"corpus", "--source", at("empty"), "--out", at("out")}, {"empty"});
  expect_refused({"corpus", "--source", at("src/alpha"), at("empty"), "--corpus.extension=.rs", "--out", at("out")},
                 {"empty"});
  expect_refused({"corpus", "--jsonl", at("bad.jsonl"), "--out", at("out")}, {"bad.jsonl:2"});
  expect_refused({"corpus", "--jsonl", at("nofield.jsonl"), "--out", at("out")}, {"nofield.jsonl:1", "text"});
  expect_refused({"corpus", "--source", at("src"), "--vocab-size", "100", "--out", at("out")}, {"vocab_size", "100"});
  expect_refused({"corpus", "--source", at("src"), "--vocab-size=300", "--fim-rate", "2", "--out", at("out")},
                 {"fim.rate"});
  expect_refused({"corpus", "--source", at("src"), "--tokenizer", at("broken.json"), "--out", at("out")},
                 {"broken.json"});
  expect_refused({"tokenizer", "train", "--source", at("src"), "--vocab-size", "-5", "--out", at("t.json")},
                 {"vocab_size"});
}

TEST_F(BadInput, Shapes) {
  expect_refused(training({"--model.num_experts_per_tok=5"}), {"model.num_experts_per_tok", "n_routed_experts"});
  expect_refused(training({"--model.n_group=3"}), {"n_group"});
  expect_refused(training({"--model.n_group=2", "--model.topk_group=3"}), {"topk_group"});
  expect_refused(training({"--model.hidden_size=-16"}), {"model.hidden_size"});
  expect_refused(training({"--data.batch_size=-1"}), {"data.batch_size"});
  expect_refused(training({"--data.batch_size=100000000"}), {"data.batch_size", "train.micro_batches"});
  expect_refused(training({"--data.seq_len=128"}), {"data.seq_len", "max_position_embeddings"});
  expect_refused(training({"--schedule.steps=0"}), {"schedule.steps"});
  expect_refused(training({"--balance.rule=sgn"}), {"sgn", "sign"});
  expect_refused(training({"--balance.rule=prop", "--balance.bias_update_rate=1e39"}), {"balance.bias_update_rate"});
  expect_refused(training({"--balance.rate_drop_factor=-1"}), {"balance.rate_drop_factor"});
  expect_refused(training({"--train.dtype=f16"}), {"train.dtype"});
  expect_refused(training({"--optimizer.learning_rate=-1"}), {"learning_rate"});
  expect_refused({"roofline", at("llama")}, {"llama", "model_type"});
  expect_refused({"roofline", at("broken")}, {"broken"});
}

TEST_F(BadInput, Data) {
  expect_refused(training({"--data.train_shard", at("nowhere.shard")}), {"nowhere.shard"});
  expect_refused(training({"--data.train_shard", at("cut.shard")}), {"cut.shard"});
  expect_refused(training({"--model.vocab_size=299"}), {"vocab_size"});
  for (const char* how : {"--train.eval_every=0", "--dry-run"}) {
    expect_refused(training({how, "--data.tokenizer", at("nowhere.json")}), {"nowhere.json"});
    expect_refused(training({how, "--data.tokenizer", at("syntax.toml")}), {"syntax.toml"});
    expect_refused(training({how, "--data.tokenizer", at("another.json")}), {"data.tokenizer", "another.json", "train.shard"});
  }
  expect_refused({"inspect", at("cut.shard")}, {"cut.shard"});
}

TEST_F(BadInput, Weights) {
  expect_refused({"verify", at("cut")}, {"model.safetensors"});
  expect_refused({"inspect", at("cut")}, {"model.safetensors"});
  expect_refused({"verify", at("mislabelled")}, {"model.safetensors"});
  expect_refused({"inspect", at("forged.safetensors")}, {"a\\x1b[31m\\nforged"});
  expect_refused({"generate", "-m", at("loose"), "-p", "x"}, {"weights-1.safetensors", "model.safetensors.index.json"});
  expect_refused({"verify", at("other")}, {"(67, 26)", "(68, 26)"});
  expect_refused(training({"--init-from", kGolden}), {"model.safetensors", "model.embed_tokens.weight"});
}

// Fills a tensor of a safetensors file with ones' bits: NaN in every floating type.
void poison(const fs::path& file, const std::string& tensor) {
  std::string bytes = slurp(file);
  uint64_t header = 0;
  std::memcpy(&header, bytes.data(), sizeof header);
  const Json offsets = Json::parse(bytes.substr(8, header), file.string()).at(tensor).at("data_offsets");
  const auto at = [&](size_t i) { return 8 + header + static_cast<size_t>(offsets.as_array()[i].as_int()); };
  std::fill(bytes.begin() + static_cast<ptrdiff_t>(at(0)), bytes.begin() + static_cast<ptrdiff_t>(at(1)), '\xFF');
  spill(file, bytes);
}

// Commands that run a trained model of 64 positions, with what they are asked to do.
class Serving : public BadInput {
 protected:
  static void SetUpTestSuite() {
    BadInput::SetUpTestSuite();
    ASSERT_EQ(run(training({"--out", at("trained")})).code, 0);
    fs::copy(at("trained/checkpoints/step-000002"), at("model"), fs::copy_options::recursive);
    fs::remove(at("model/checksums.json"));  // the cases change the weights
  }
  static std::vector<std::string> command(const std::string& name, const std::vector<std::string>& more = {}) {
    std::vector<std::string> line{name};
    if (name == "study") {
      line = {"study", "skip", "--text", at("src"), "--study.window=16", "--study.prompt=16", "--study.decode=4"};
      line.insert(line.end(), {"--study.score_tokens=50", "--study.calibration_tokens=20", "--study.rounds=2"});
    } else if (name == "eval") {
      line.insert(line.end(), {"--source", at("src"), "--eval.lines=2", "--eval.line_tokens=4", "--context", "32"});
    } else {
      line.insert(line.end(), {"-p", "def alpha", "-n", "4"});
    }
    line.insert(line.end(), {"-m", at("model"), "-t", "2"});
    line.insert(line.end(), more.begin(), more.end());
    return line;
  }
};

TEST_F(Serving, WorksAsLongAsNothingIsWrong) {
  for (const char* name : {"generate", "eval", "study"}) {
    const Result r = run(command(name));
    EXPECT_EQ(r.code, 0) << name << "\n" << r.err;
  }
}

TEST_F(Serving, NotANumber) {
  const std::string gate = "model.layers.1.mlp.gate.weight", bias = "model.layers.1.mlp.gate.e_score_correction_bias";
  const std::string good = slurp(at("model/model.safetensors"));
  for (const std::string& tensor :
       {gate, bias, std::string("model.embed_tokens.weight"), std::string("model.norm.weight")}) {
    poison(at("model/model.safetensors"), tensor);
    for (const char* name : {"generate", "eval", "study"}) {
      std::vector<std::string> said{at("model"), tensor, "NaN"};
      if (tensor == gate || tensor == bias) said.push_back("ballast doctor " + at("model").string());
      expect_refused(command(name), said);
    }
    spill(at("model/model.safetensors"), good);
  }
}

TEST_F(Serving, MorePositionsThanTheModelHas) {
  expect_refused(command("generate", {"-n", "64"}), {"max_new_tokens", "64"});
  expect_refused(command("eval", {"--context", "65"}), {"--context", "65", "64 tokens"});
  expect_refused(command("study", {"--study.window=65"}), {"study.window", "65", "64 tokens"});
  expect_refused(command("study", {"--study.prompt=61"}), {"study.prompt", "61", "study.decode", "64 tokens"});
  EXPECT_EQ(run(command("study", {"--study.prompt=60", "--study.window=64"})).code, 0);
  EXPECT_EQ(run(command("eval", {"--context=64"})).code, 0);
}

// With whatever is left to it, a command does its work or says that memory is short.
TEST_F(Serving, LittleMemory) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "sanitizers need the address space themselves";
#endif
  std::vector<std::vector<std::string>> lines{{"verify", "-t", "2"}};
  for (const char* name : {"generate", "eval", "study"}) lines.push_back(command(name));
  for (const std::vector<std::string>& line : lines)
    for (const rlim_t mib : {64, 100, 140, 180, 220, 260}) {
      const Result r = run(line, [&] {
        const rlimit limit{mib << 20, mib << 20};
        setrlimit(RLIMIT_AS, &limit);
      });
      EXPECT_TRUE(r.code == 0 || r.code == 2) << line.front() << " in " << mib << " MiB: " << r.code << "\n" << r.err;
      EXPECT_EQ(r.err.find("bug"), std::string::npos) << r.err;
      EXPECT_EQ(r.code == 2, r.err.find("ballast: error: ") != std::string::npos) << r.err;
      EXPECT_TRUE(mib > 64 || r.code == 2) << line.front();
    }
}

// A limit on the size of files stands for a disk that is full: the write fails half-way.
TEST_F(BadInput, FullDisk) {
  const auto limit = [] {
    const rlimit small{1000, 1000};
    setrlimit(RLIMIT_FSIZE, &small);
    std::signal(SIGXFSZ, SIG_IGN);
  };
  expect_refused({"tokenizer", "train", "--source", at("src"), "--vocab-size=300", "--out", at("t.json")}, {"t.json"},
                 limit);
}

}  // namespace
}  // namespace ballast::e2e
