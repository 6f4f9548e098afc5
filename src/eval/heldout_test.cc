#include "eval/heldout.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>

#include "base/file.h"
#include "base/rng.h"
#include "base/testing.h"
#include "eval/baselines.h"
#include "eval/compressor.h"
#include "eval/ngram.h"
#include "eval/scripted_generator.h"

namespace ballast {
namespace {
namespace fs = std::filesystem;

std::vector<Document> some_documents() {
  std::vector<Document> documents;
  Rng rng(3);
  for (int d = 0; d < 12; ++d) {
    std::string text;
    for (uint64_t n = d == 0 ? 1 : rng.below(400) + 1; n > 0; --n) text += "abcdef \n(x)"[rng.below(11)];
    documents.push_back({"f" + std::to_string(d) + ".py", "p" + std::to_string(d % 3), text, Split::held_out});
  }
  return documents;
}

Documents pointers(const std::vector<Document>& documents) {
  Documents out;
  for (const Document& d : documents) out.push_back(&d);
  return out;
}

TEST(HeldOut, UniformModelCostsEightBits) {
  const auto documents = some_documents();
  ScriptedGenerator model;
  EXPECT_NEAR(score_held_out(model, pointers(documents), {}).bpb(), 8.0, 1e-6);
  EXPECT_EQ(score_uniform(pointers(documents)).bpb(), 8.0);
}

TEST(HeldOut, EveryByteIsScoredOnceWhateverTheWindows) {
  const auto documents = some_documents();
  const Documents held = pointers(documents);
  // Depends on the token before and on nothing else, so every cut into windows must give the same sum.
  const auto probability = [](std::span<const int32_t> before, int32_t token) {
    return (1.0 + (before.back() * 7 + token) % 256) / (128.5 * 256);
  };
  double expected = 0;
  for (const Document& d : documents) {
    int32_t before = 256;
    for (const char c : d.text) {
      expected -= std::log2(probability(std::span(&before, 1), static_cast<unsigned char>(c)));
      before = static_cast<unsigned char>(c);
    }
  }
  for (const int64_t context : {2, 3, 16, 33, 1000}) {
    for (const int64_t stride : {int64_t{0}, int64_t{1}, context / 2, context}) {
      ScriptedGenerator model;
      model.context = context;
      model.probability = probability;
      const HeldOutResult result = score_held_out(model, held, {.stride = stride, .requests_per_call = 3});
      double bits = 0;
      for (size_t d = 0; d < documents.size(); ++d) {
        EXPECT_EQ(result.documents[d].tokens, static_cast<int64_t>(documents[d].text.size()));
        bits += result.documents[d].bits;
      }
      EXPECT_NEAR(bits / expected, 1.0, 1e-6) << context << " " << stride;
    }
  }
}

TEST(HeldOut, ContextsAreResetAndStrideKeepsContext) {
  const auto documents = some_documents();
  ScriptedGenerator model;
  model.context = 20;
  score_held_out(model, pointers(documents), {.stride = 5});
  int starts = 0;
  for (const ScoreRequest& r : model.scored) {
    if (r.tokens[0] == 256) {
      ++starts;
      EXPECT_EQ(r.scored, static_cast<int64_t>(r.tokens.size()) - 1);
    } else {
      EXPECT_GE(static_cast<int64_t>(r.tokens.size()) - r.scored, 15);
    }
    for (size_t i = 1; i < r.tokens.size(); ++i) EXPECT_NE(r.tokens[i], 256) << "another document in the window";
  }
  EXPECT_EQ(starts, 12);
  EXPECT_THROW(score_held_out(model, pointers(documents), {.stride = 21}), Error);
  EXPECT_THROW(score_held_out(model, pointers(documents), {.stride = -1}), Error);
}

TEST(HeldOut, WithoutBosTheFirstTokenCostsTheVocabulary) {
  const std::vector<Document> documents = {{"a", "a", "xy", Split::held_out}, {"b", "b", "z", Split::held_out}};
  ScriptedGenerator model;
  model.bos = -1;
  const HeldOutResult result = score_held_out(model, pointers(documents), {});
  EXPECT_NEAR(result.documents[0].bits, std::log2(257.0) + 8, 1e-5);
  EXPECT_NEAR(result.documents[1].bits, std::log2(257.0), 1e-5);
}

TEST(HeldOut, AccuracyAndMacroMean) {
  const std::vector<Document> documents = {{"a", "p", "aaaa", Split::held_out}, {"b", "q", "ab", Split::held_out}};
  ScriptedGenerator model;  // 'a' half of the time, everything else alike
  model.probability = [](std::span<const int32_t>, int32_t token) { return token == 'a' ? 0.5 : 0.5 / 255; };
  const HeldOutResult result = score_held_out(model, pointers(documents), {});
  EXPECT_NEAR(result.accuracy(), 5.0 / 6, 1e-12);
  const double b = std::log2(510.0);
  EXPECT_NEAR(result.bpb(), (5 + b) / 6, 1e-6);
  EXPECT_NEAR(result.macro_bpb(), (1 + (1 + b) / 2) / 2, 1e-6);
  const Json json = result.to_json(1);
  EXPECT_EQ(json.at("documents").as_array().size(), 2u);
  EXPECT_LE(json.at("bpb_lo").as_double(), result.bpb());
}

TEST(HeldOut, OnlyAClearDifferenceBeatsARival) {
  HeldOutResult a, b;
  for (int d = 0; d < 20; ++d) {
    const std::string path = "f" + std::to_string(d);
    a.documents.push_back({path, "p", 100, 200.0 + d, 0, 0});
    b.documents.push_back({path, "p", 100, 210.0 + d, 0, 0});
  }
  EXPECT_TRUE(beats(a, b, 1));
  EXPECT_FALSE(beats(b, a, 1));
  EXPECT_FALSE(beats(a, a, 1));
  b.documents[0].bits = -1000;  // one file decides: not resolved
  for (int d = 1; d < 20; ++d) b.documents[d].bits = a.documents[d].bits + (d % 2 == 0 ? 5 : -4);
  EXPECT_FALSE(beats(a, b, 1));
}

TEST(HeldOut, SamplesWholeDocumentsUnderABudget) {
  const auto documents = some_documents();
  const Documents all = pointers(documents);
  EXPECT_EQ(sample_documents(all, 0, 1), all);
  const Documents some = sample_documents(all, 900, 1);
  int64_t bytes = 0;
  for (const Document* d : some) bytes += static_cast<int64_t>(d->text.size());
  EXPECT_LE(bytes, 900);
  EXPECT_GT(bytes, 400);
  EXPECT_EQ(sample_documents(all, 900, 1), some);
  EXPECT_EQ(sample_documents({all[5]}, 1, 1).size(), 1u);
}

TEST(Ngram, ProbabilitiesSumToOne) {
  for (const int order : {1, 2, 5}) {
    ByteNgram model(order);
    model.add("def f(x):\n    return x\n");
    model.add("def g(y):\n    return y + 1\n");
    model.add("");
    model.finish();
    for (const char* before : {"", "d", "def ", "    return", "never seen \xFF"}) {
      double sum = 0;
      for (int b = 0; b < 256; ++b) sum += model.probability(before, static_cast<uint8_t>(b));
      EXPECT_NEAR(sum, 1.0, 1e-12) << order << " " << before;
    }
  }
}

// Worked by hand. Text "aab", order 2, s = start. Bigrams sa, aa, ab once each: D2 = 1/2 (no count of two). Left
// neighbours: a has {s, a}, b has {a}: counts 2 and 1, D1 = 1 / (1 + 2) = 1/3.
TEST(Ngram, EqualsAWorkedExample) {
  ByteNgram model(2);
  model.add("aab");
  model.finish();
  const double base = 1.0 / 256, D1 = 1.0 / 3, D2 = 0.5;
  const double a1 = (2 - D1 + D1 * 2 * base) / 3, b1 = (1 - D1 + D1 * 2 * base) / 3, other = D1 * 2 * base / 3;
  EXPECT_NEAR(model.probability("", 'a'), (1 - D2 + D2 * 1 * a1) / 1, 1e-15);
  EXPECT_NEAR(model.probability("a", 'a'), (1 - D2 + D2 * 2 * a1) / 2, 1e-15);
  EXPECT_NEAR(model.probability("a", 'b'), (1 - D2 + D2 * 2 * b1) / 2, 1e-15);
  EXPECT_NEAR(model.probability("a", 'z'), D2 * 2 * other / 2, 1e-15);
  EXPECT_NEAR(model.probability("b", 'a'), a1, 1e-15);  // never followed by anything
  EXPECT_NEAR(model.bits("ab"), -std::log2(model.probability("", 'a') * model.probability("a", 'b')), 1e-12);
}

std::string repetitive(int lines, uint64_t seed) {
  std::string text;
  Rng rng(seed);
  for (int i = 0; i < lines; ++i) text += "value_" + std::to_string(rng.below(1000)) + " = call(argument)\n";
  return text;
}

TEST(Xz, SizeIsThatOfTheProgram) {
  if (std::system("xz --version > /dev/null 2>&1") != 0) GTEST_SKIP() << "no xz program";
  for (const std::string& text : {std::string("x"), repetitive(10, 1), repetitive(3000, 2)}) {
    const TemporaryFolder folder;
    const std::string file = (folder / "text").string();
    std::ofstream(file, std::ios::binary) << text;
    ASSERT_EQ(std::system(("xz -9e -k -f -T1 " + file).c_str()), 0);
    // xz writes no sizes into the block header with one thread; the library's buffer call does: a few bytes.
    EXPECT_NEAR(xz_size(text), static_cast<double>(fs::file_size(file + ".xz")), 8) << text.size();
  }
}

TEST(Xz, PrimedIsSmallerAndForgetsBetweenTexts) {
  PrimedCompressor compressor(repetitive(2000, 1));
  const std::string text = repetitive(300, 9), other = repetitive(200, 5);
  const int64_t size = compressor.size(text);
  EXPECT_LT(size, xz_size(text) * 0.9);
  // What it stands for, computed in the slow way. The flush between the two parts ends a chunk and the parser's look
  // ahead (30 bytes), and the prices it works with are newly estimated there (1.7 % on this text, 0.1 % on real files).
  const std::string before = repetitive(2000, 1), more = repetitive(3000, 4);
  const auto slow = static_cast<double>(xz_size(before + text) - xz_size(before));
  const auto slow_more = static_cast<double>(xz_size(before + more) - xz_size(before));
  EXPECT_NEAR(size, slow, 30 + 0.02 * slow);
  EXPECT_NEAR(compressor.size(more), slow_more, 30 + 0.02 * slow_more);
  compressor.size(other);
  EXPECT_EQ(compressor.size(text), size);
  EXPECT_LT(compressor.size(other), size);
  EXPECT_LT(compressor.size(repetitive(2000, 1)), 200) << "the training text itself is one long repeat";
  EXPECT_GT(PrimedCompressor("").size(text), size);
}

// The figures of ../shared/data/learning's README: xz on its held-out files, 1.865 BPB per file.
TEST(SlowXz, EqualsTheReferenceOnTheStandardLibrary) {
  const fs::path dir = shared_dir() / "data/learning", library = "/usr/lib/python3.11";
  SKIP_WITHOUT(dir / "files.json");
  SKIP_WITHOUT(library / "tarfile.py");
  std::vector<Document> documents;
  const Json files = Json::read(dir / "files.json");
  for (const Json& file : files.at("heldout").as_array()) {
    const std::string path = file.as_array()[0].as_string();
    documents.push_back({path, path, read_file(library / path), Split::held_out});
  }
  const HeldOutResult result = score_xz_file(pointers(documents));
  const Json meta = Json::read(dir / "meta.json");
  if (result.bytes() != meta.at("heldout_bytes").as_int()) GTEST_SKIP() << "another release of Python";
  EXPECT_NEAR(result.bpb(), meta.at("xz_per_file").as_double(), 0.005);
}

}  // namespace
}  // namespace ballast
