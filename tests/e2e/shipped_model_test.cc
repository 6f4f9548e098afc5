// The model that comes with the program: what ships is whole, small and of permissive sources, and commands find it.
#include <gtest/gtest.h>

#include "base/json.h"
#include "data/corpus/licenses.h"
#include "e2e/child.h"
#include "infer/shipped_model.h"

namespace ballast::e2e {
namespace {

const fs::path kShipped = fs::path(BALLAST_SOURCE_DIR) / "models" / kShippedModel;

TEST(ShippedModelFolder, IsWholeAndSmall) {
  uintmax_t bytes = 0;
  for (const auto& file : fs::directory_iterator(kShipped)) bytes += file.file_size();
  EXPECT_LE(bytes, 24'000'000u);
  for (const char* name : {"config.json", "model.safetensors", "tokenizer.json", "manifest.json", "manifest.jsonl.xz",
                           "README.md", "curves.csv"})
    EXPECT_TRUE(fs::is_regular_file(kShipped / name)) << name;
  const std::string card = slurp(kShipped / "README.md");
  for (const char* words : {"bits per byte", "line exact match", "FIM line exact match", "configs/ballast-nano.toml", "Held out"})
    EXPECT_NE(card.find(words), std::string::npos) << words;
}

TEST(ShippedModelFolder, ItsSourcesArePermissive) {
  const Json manifest = Json::read(kShipped / "manifest.json");
  EXPECT_EQ(manifest.at("format").as_int(), 1);
  const std::vector<std::string> accepted{"permissive"};
  int64_t train = 0;
  for (const Json& row : manifest.at("packages").as_array()) {
    EXPECT_TRUE(license_accepted(row.at("license").as_string(), accepted)) << row.dump();
    if (row.at("split").as_string() == "train") train += row.at("bytes").as_int();
    if (row.at("package").as_string().starts_with("libpython")) {
      EXPECT_EQ(row.at("split").as_string(), "held_out") << "the quickstart and eval measure on it";
    }
  }
  EXPECT_EQ(train, manifest.at("report").at("train").at("bytes").as_int());
}

TEST(ShippedModelFolder, IsUsedWhereNoModelIsNamed) {
  const Result named = run({"generate", "-m", kShipped.string(), "-p", "def read(", "-n", "8"});
  EXPECT_EQ(named.code, 0) << named.err;
  EXPECT_FALSE(named.out.empty());
  const Result unnamed = run({"generate", "-p", "def read(", "-n", "8"});
  EXPECT_EQ(unnamed.code, 0) << unnamed.err;
  EXPECT_EQ(unnamed.out, named.out);
  const Result filled = run({"generate", "-p", "def add(a, b):\n    c = ", "--suffix", "\n    return c\n", "-n", "8"});
  EXPECT_EQ(filled.code, 0) << filled.err;
}

TEST(ShippedModelFolder, IsMissedByName) {
  const TemporaryFolder work;
  fs::copy_file(BALLAST_BINARY, work / "ballast");
  const std::string command = (work / "ballast").string() + " generate -p x 2>" + (work / "error").string();
  const int status = std::system(command.c_str());
  EXPECT_EQ(WEXITSTATUS(status), 2);
  const std::string error = slurp(work / "error");
  EXPECT_NE(error.find("-m DIR"), std::string::npos) << error;
  EXPECT_NE(error.find("ballast-nano"), std::string::npos) << error;
}

}  // namespace
}  // namespace ballast::e2e
