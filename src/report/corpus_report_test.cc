#include "report/corpus_report.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "base/error.h"
#include "base/file.h"
#include "base/testing.h"

namespace ballast {
namespace {
namespace fs = std::filesystem;

class CorpusReportTest : public FolderTest {
 protected:
  void manifest(const std::string& text) const { write_file_atomic(folder / "manifest.jsonl", text); }
};

std::string line(const std::string& path, const std::string& package, int bytes, const std::string& more = "") {
  return "{\"path\": \"" + path + "\", \"package\": \"" + package +
         "\", \"license\": \"MIT\", \"sha256\": \"0\", \"bytes\": " + std::to_string(bytes) + more + "}\n";
}

constexpr const char* kHead =
    "{\"format\": 1, \"kind\": \"corpus manifest\", \"report\": {\"origin\": \"<src>\", \"held_out_copied\": 1}}\n";

TEST_F(CorpusReportTest, CountsWhatTheManifestSays) {
  manifest(kHead + line("a/1.py", "a", 3'000'000, R"(, "split": "train", "version": "1.5")") +
           line("a/2.py", "a", 1'000'000, R"(, "split": "train", "dropped": "near-duplicate of a/1.py")") +
           line("a/3.py", "a", 500'000, R"(, "split": "train", "dropped": "copy of a/1.py")") +
           line("b/1.py", "b", 1'000'000, R"(, "split": "held_out")") +
           line("c/1.py", "c", 2'000'000, R"(, "split": "train", "dropped": "license GPL-2.0-only")"));
  const CorpusReport report = write_corpus_report(folder);
  for (const char* expected :
       {"| looked at | 5 | 7.50 | 3 |", "| training | 1 | 3.00 | 1 |", "| held out | 1 | 1.00 | 1 |",
        "| a | 1.5 | MIT | 1 | 3.00 | 75.0 | 1.50 |", "| b (held out) |", "| copy | 1 | 0.50 | 6.7 |",
        "| license | 1 | 2.00 | 26.7 |", "1 of 1 held-out files (100.0 %)"}) {
    EXPECT_NE(report.text.find(expected), std::string::npos) << expected << "\n" << report.text;
  }
  EXPECT_EQ(read_file(report.markdown), report.text);
  const std::string page = read_file(report.html);
  EXPECT_NE(page.find("&lt;src&gt;"), std::string::npos);
  EXPECT_EQ(page.find("<src>"), std::string::npos);
  EXPECT_NE(page.find("3–4 files"), std::string::npos) << "one kept file stands for three";
  EXPECT_NE(page.find("<svg"), std::string::npos);
  EXPECT_EQ(page.find("http"), page.find("http://www.w3.org")) << "nothing is fetched";
}

TEST_F(CorpusReportTest, ManyPackagesAreSummedUp) {
  std::string text = kHead;
  for (int i = 0; i < 100; ++i)
    text += line("p" + std::to_string(i) + ".py", "p" + std::to_string(i), 1000 + i, R"(, "split": "train")");
  manifest(text);
  EXPECT_NE(write_corpus_report(folder).text.find("| 70 others |"), std::string::npos);
}

TEST_F(CorpusReportTest, BadManifestsAreNamed) {
  const auto error_of = [&] {
    try {
      write_corpus_report(folder);
    } catch (const Error& e) {
      return std::string(e.what());
    }
    return std::string("nothing was thrown");
  };
  EXPECT_NE(error_of().find("manifest.jsonl"), std::string::npos);
  manifest("");
  EXPECT_NE(error_of().find("is not a corpus manifest"), std::string::npos);
  manifest("[1]\n");
  EXPECT_NE(error_of().find("is not a corpus manifest"), std::string::npos);
  manifest("{\"format\": 2, \"kind\": \"corpus manifest\", \"report\": {}}\n");
  EXPECT_NE(error_of().find("format 2"), std::string::npos);
  manifest(std::string(kHead) + "{\"path\": \"a\"}\n");
  EXPECT_NE(error_of().find("manifest.jsonl:2"), std::string::npos);
  EXPECT_FALSE(fs::exists(folder / "corpus.html"));
}

}  // namespace
}  // namespace ballast
