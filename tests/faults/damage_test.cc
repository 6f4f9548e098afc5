// Damaged files: a bit that turned somewhere in a checkpoint, a shard that ends too early.
#include <cstring>

#include "base/checksums.h"
#include "resume/run_files.h"

namespace ballast::e2e {
namespace {

class Damage : public Resume {
 protected:
  // Exit code 2, one line that names `file`, and every file as before.
  void expect_refused(const Words& words, const std::string& file, const std::string& when) {
    const Files before = snapshot(work_.path());
    const Result r = e2e::run(words);
    EXPECT_EQ(r.code, 2) << when << "\n" << r.err;
    const size_t error = r.err.find("ballast: error: ");
    ASSERT_NE(error, std::string::npos) << when << "\n" << r.err;
    EXPECT_NE(r.err.find(file, error), std::string::npos) << when << "\n" << r.err;
    EXPECT_EQ(std::count(r.err.begin() + static_cast<ptrdiff_t>(error), r.err.end(), '\n'), 1) << when << "\n" << r.err;
    EXPECT_TRUE(snapshot(work_.path()) == before) << when;
  }

  static void flip(const fs::path& file, uint64_t bit) {
    std::string bytes = slurp(file);
    bytes[bit / 8] = static_cast<char>(bytes[bit / 8] ^ 1 << bit % 8);
    spill(file, bytes);
  }
};

TEST_F(Damage, OneFlippedBitInACheckpoint) {
  constexpr int kPlaces = 42;
  recipe_.schedule.stop_after = 4;
  recipe_.balance.probe_every = 2;
  expect_done(command("run"));
  const fs::path checkpoint = *latest_checkpoint(work_ / "run/checkpoints");
  std::vector<fs::path> files;
  for (const auto& entry : fs::recursive_directory_iterator(checkpoint))
    if (entry.is_regular_file()) files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  ASSERT_GE(files.size(), 7u);  // weights, moments, state, health, config, tokenizer, checksums
  recipe_.schedule.stop_after = 5;
  const Words resume = command("run", {"--resume"});
  Rng rng(3, 0);
  for (int i = 0; i < kPlaces; ++i) {
    const fs::path& file = files[static_cast<size_t>(i) % files.size()];
    const uint64_t bit = rng.below(fs::file_size(file) * 8);
    flip(file, bit);
    expect_refused(resume, file, file.string() + ", bit " + std::to_string(bit));
    flip(file, bit);
  }
  expect_done(resume);
}

TEST_F(Damage, OneFlippedBitInAModelThatIsUsed) {
  recipe_.schedule.steps = 2;
  expect_done(command("run"));
  const fs::path checkpoint = *latest_checkpoint(work_ / "run/checkpoints"), weights = checkpoint / "model.safetensors";
  fs::remove(checkpoint / "tokenizer.json");  // the recipe's is none
  write_checksums(checkpoint);
  flip(weights, fs::file_size(weights) * 8 - 20);
  expect_refused(command("other", {"--init-from", checkpoint}), weights, "init-from");
  expect_refused({"convert", checkpoint, "--dtype=bf16", "--out", work_ / "converted"}, weights, "convert");
  expect_refused({"study", "skip", "-m", checkpoint, "--shard", work_ / "valid.shard"}, weights, "study skip");
}

TEST_F(Damage, AConvertedCheckpointHasItsOwnChecksums) {
  recipe_.schedule.steps = 2;
  expect_done(command("run"));
  fs::path checkpoint = *latest_checkpoint(work_ / "run/checkpoints"), converted = work_ / "converted";
  const Result r = e2e::run({"convert", checkpoint, "--dtype=bf16", "--out", converted});
  ASSERT_EQ(r.code, 0) << r.err;
  EXPECT_TRUE(verify_checksums(converted));
  expect_done(command("other", {"--init-from", converted}));
  flip(converted / "model.safetensors", 12345);
  expect_refused(command("other", {"--fresh", "--init-from", converted}), converted / "model.safetensors", "init-from");
}

TEST_F(Damage, AShardCutAtEveryBoundary) {
  const fs::path shard = work_ / "train.shard";
  write_shard(shard, {"a document of some length", "", "another", "x", "the last but one", "the last"});
  const std::string whole = slurp(shard);
  uint64_t index_at;
  std::memcpy(&index_at, whole.data() + whole.size() - 24, sizeof index_at);
  const Json index = Json::parse(std::string_view(whole).substr(index_at, whole.size() - 24 - index_at));
  std::map<uint64_t, std::string> boundaries{{0, "nothing"},
                                             {8, "the magic"},
                                             {12, "the format"},
                                             {16, "the header"},
                                             {index_at, "all sections"},
                                             {whole.size() - 24, "the index"},
                                             {whole.size() - 16, "the index's place"},
                                             {whole.size() - 12, "its length"},
                                             {whole.size() - 8, "its checksum"},
                                             {whole.size() - 1, "all but a byte"}};
  for (const auto& [name, section] : index.at("sections").as_object())
    boundaries.emplace(section.at("offset").as_int() + section.at("bytes").as_int(), "section " + name);
  {
    const ShardReader reader(shard);
    uint64_t tokens = 0, documents = static_cast<uint64_t>(reader.documents());
    const Json& sections = index.at("sections");
    for (uint64_t d = 1; d <= documents; ++d) {
      tokens += static_cast<uint64_t>(reader.length(static_cast<int64_t>(d) - 1));
      boundaries.emplace(16 + tokens * 2, "the tokens of document " + std::to_string(d));
      boundaries.emplace(sections.at("offsets").at("offset").as_int() + d * 8, "offset " + std::to_string(d));
      boundaries.emplace(sections.at("text_bytes").at("offset").as_int() + d * 8, "length " + std::to_string(d));
      boundaries.emplace(sections.at("flags").at("offset").as_int() + d, "flag " + std::to_string(d));
    }
  }
  ASSERT_GT(boundaries.size(), 25u);
  for (const auto& [size, what] : boundaries) {
    ASSERT_LT(size, whole.size());
    spill(shard, whole.substr(0, size));
    expect_refused(command("run"), "train.shard", "cut behind " + what);
  }
}

}  // namespace
}  // namespace ballast::e2e
