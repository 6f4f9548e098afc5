#include "data/corpus.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "base/file.h"
#include "base/hash.h"
#include "base/testing.h"
#include "data/build_shard.h"
#include "data/test_shard.h"
#include "data/test_sources.h"

namespace ballast {
namespace {
namespace fs = std::filesystem;

class CorpusTest : public SourcesTest {
 protected:
  static std::map<std::string, ManifestEntry> by_path(const Corpus& corpus) {
    std::map<std::string, ManifestEntry> entries;
    for (const ManifestEntry& e : corpus.manifest) entries[e.path] = e;
    return entries;
  }
};

std::string code(const std::string& name) { return "def " + name + "(x):\n    return x + 1\n"; }

TEST_F(CorpusTest, CollectsSortedAndSplitsByPackage) {
  put("zeta.py", code("z"));
  put("alpha/b.py", code("ab"));
  put("alpha/a.py", code("aa"));
  put("held/inner/x.py", code("x"));
  put("held.py", code("h"));
  put("notes.txt", "no");
  put("skip/s.py", code("s"));
  put(".git/hook.py", code("hook"));
  put("alpha/__pycache__/c.py", code("c"));
  put("bad.py", "\xFF");
  fs::create_symlink(folder / "src/zeta.py", folder / "src/link.py");
  fs::create_directory_symlink(folder / "src/alpha", folder / "src/linked");
  CorpusOptions o = options();
  o.exclude = {"skip"};
  const Corpus corpus = collect_corpus(o);
  std::vector<std::string> paths;
  for (const Document& d : corpus.documents) paths.push_back(d.path + " " + d.package + " " + split_name(d.split));
  EXPECT_EQ(paths,
            (std::vector<std::string>{"alpha/a.py alpha train", "alpha/b.py alpha train", "held.py held held_out",
                                      "held/inner/x.py held held_out", "zeta.py zeta train"}));
  EXPECT_EQ(corpus.manifest.size(), 6u);
  EXPECT_EQ(by_path(corpus)["bad.py"].reason, "not UTF-8");
  EXPECT_EQ(by_path(corpus)["zeta.py"].sha256, sha256_hex(code("z")));
  EXPECT_EQ(by_path(corpus)["zeta.py"].license, "unknown");
  const Json report = corpus.report();
  EXPECT_EQ(report.at("train").at("files").as_int(), 3);
  EXPECT_EQ(report.at("dropped").at("not UTF-8").as_int(), 1);
  EXPECT_EQ(report.at("largest_package").as_string(), "alpha");
  // Two runs over the same tree are one corpus; another text is another.
  EXPECT_EQ(collect_corpus(o).hash(), corpus.hash());
  put("zeta.py", code("y"));
  EXPECT_NE(collect_corpus(o).hash(), corpus.hash());
}

TEST_F(CorpusTest, TheTrainingCopyOfAHeldOutTextGoes) {
  put("aaa.py", code("f"));
  put("held.py", code("f") + "\r\n\n");
  put("bbb.py", code("g"));
  put("ccc.py", code("g") + "   ");
  const auto entries = by_path(collect_corpus(options()));
  EXPECT_EQ(entries.at("aaa.py").reason, "copy of held.py");
  EXPECT_EQ(entries.at("held.py").reason, "");
  EXPECT_EQ(entries.at("bbb.py").reason, "");
  EXPECT_EQ(entries.at("ccc.py").reason, "copy of bbb.py");
}

TEST_F(CorpusTest, HoldsOutAShareOfPackagesWhereTheListNamesNone) {
  for (int i = 0; i < 100; ++i) put("p" + std::to_string(i) + "/m.py", code("f" + std::to_string(i)));
  CorpusOptions o = options();
  o.held_out = CorpusOptions().held_out;
  const Corpus corpus = collect_corpus(o);
  const double share =
      double(corpus.bytes(Split::held_out)) / double(corpus.bytes(Split::held_out) + corpus.bytes(Split::train));
  EXPECT_NEAR(share, 0.05, 0.011);
  EXPECT_EQ(corpus.held_out_not_found, o.held_out);
  put("q.py", code("new"));  // one more package moves at most itself
  EXPECT_NEAR(double(collect_corpus(o).part(Split::held_out).size()), 5.0, 1.0);
}

TEST_F(CorpusTest, HeldOutPackagesThatSomebodyNamesMustBeThere) {
  put("alpha.py", code("a"));
  put("beta.py", code("b"));
  put("empty.py", "");
  CorpusOptions o = options();
  for (const char* name : {"nope", "empty"}) {
    o.held_out = {"alpha", name};
    const std::string refused = error_text(ErrorKind::usage, [&] { scan_corpus(o); });
    EXPECT_NE(refused.find(std::string("named ") + name), std::string::npos) << refused;
    EXPECT_NE(refused.find("there are alpha, beta"), std::string::npos) << refused;
  }
  o.held_out = {"alpha"};
  EXPECT_EQ(by_path(collect_corpus(o)).at("alpha.py").split, Split::held_out);
}

TEST_F(CorpusTest, InstalledPackagesBelowASourceAreNamed) {
  put("lib/dist-packages/a.py", code("a"));
  put("site-packages/b.py", code("b"));
  const std::string refused = error_text(ErrorKind::usage, [&] { scan_corpus(options()); });
  EXPECT_NE(refused.find("src/lib/dist-packages"), std::string::npos) << refused;
  EXPECT_NE(refused.find("src/site-packages"), std::string::npos) << refused;
  EXPECT_NE(refused.find("--source " + (folder / "src").string()), std::string::npos) << refused;
}

TEST_F(CorpusTest, AnUnreadableFileIsNamedWithTheRemedy) {
  put("good/a.py", code("a"));
  put("bad/inner/b.py", code("b"));
  fs::permissions(folder, fs::perms::all);
  fs::permissions(folder / "src/bad/inner/b.py", fs::perms::none);
  CorpusOptions o = options();
  o.held_out = {"good"};
  std::string refused;
  {
    const WithoutRoot user;
    refused = error_text(ErrorKind::file, [&] { scan_corpus(o, 1); });
  }
  EXPECT_NE(refused.find("bad/inner/b.py"), std::string::npos) << refused;
  EXPECT_NE(refused.find("--corpus.exclude bad"), std::string::npos) << refused;
}

TEST_F(CorpusTest, SeveralSourcesKeepTheirFilesApart) {
  put("one/lib/a.py", code("a"));
  put("two/lib/a.py", code("b"));
  put("two/lib/held.py", code("h"));
  CorpusOptions o = options();
  o.source = {(folder / "src/one/lib").string(), (folder / "src/two/lib").string()};
  const auto entries = by_path(collect_corpus(o));
  EXPECT_EQ(entries.at("lib/a.py").split, Split::train);
  EXPECT_EQ(entries.at("lib-2/a.py").split, Split::train);
  EXPECT_EQ(entries.at("lib-2/held.py").split, Split::held_out);
}

TEST_F(CorpusTest, ReadsJsonLines) {
  std::string text;
  for (int i = 0; i < 40; ++i) text += "{\"content\": \"def f" + std::to_string(i) + "(): pass\\n\"}\n";
  write_file_atomic(folder / "d.jsonl", text + "\n{\"content\": \"x = 1\", \"package\": \"p\"}");
  CorpusOptions o;
  o.jsonl = (folder / "d.jsonl").string();
  o.field = "content";
  const Corpus corpus = collect_corpus(o);
  EXPECT_EQ(corpus.documents.size(), 41u);
  EXPECT_EQ(corpus.documents[3].text, "def f3(): pass\n");
  EXPECT_EQ(corpus.documents[40].package, "p");
  EXPECT_GE(corpus.part(Split::held_out).size(), 2u);
  o.field = "text";
  EXPECT_NE(error_text(ErrorKind::format, [&] { collect_corpus(o); }).find("d.jsonl:1"), std::string::npos);
  write_file_atomic(folder / "d.jsonl", "{\"text\": \"a\"}\n{\"text\": \n");
  EXPECT_NE(error_text(ErrorKind::format, [&] { collect_corpus(o); }).find("d.jsonl:2"), std::string::npos);
  for (const std::string member : {"\"license\": 3", "\"package\": [\"a\"]", "\"version\": {}"}) {
    write_file_atomic(folder / "d.jsonl", "{\"text\": \"a\", \"license\": null}\n{\"text\": \"b\", " + member + "}\n");
    const std::string refused = error_text(ErrorKind::format, [&] { scan_corpus(o); });
    EXPECT_NE(refused.find("d.jsonl:2"), std::string::npos) << refused;
    EXPECT_NE(refused.find(member.substr(1, 7)), std::string::npos) << refused;
  }
}

TEST_F(CorpusTest, NearDuplicatesGoAcrossTheBorderFirst) {
  const auto body = [](int first, int count) {
    std::string text;
    for (int i = first; i < first + count; ++i)
      text += "value_" + std::to_string(i) + " = " + std::to_string(i * i) + "\n";
    return text;
  };
  put("aaa.py", body(0, 100));  // like held.py: 95 of 100 lines
  put("held.py", body(0, 95));
  put("bbb.py", body(500, 100));
  put("ccc.py", "  " + body(503, 97));  // like bbb.py
  put("ddd.py", body(560, 100));        // shares 40 of 160 lines with bbb.py: another text
  CorpusOptions o = options();
  const Corpus corpus = collect_corpus(o);
  const auto entries = by_path(corpus);
  EXPECT_EQ(entries.at("aaa.py").reason, "near-duplicate of held.py");
  EXPECT_EQ(entries.at("held.py").reason, "");
  EXPECT_EQ(entries.at("bbb.py").reason, "");
  EXPECT_EQ(entries.at("ccc.py").reason, "near-duplicate of bbb.py");
  EXPECT_EQ(entries.at("ddd.py").reason, "");
  EXPECT_EQ(corpus.held_out_copied, 1);
  EXPECT_EQ(corpus.report().at("dropped").at("near-duplicate").as_int(), 2);
  o.near_duplicate = 1;
  EXPECT_EQ(by_path(collect_corpus(o)).at("aaa.py").reason, "");
  o.near_duplicate = 0;
  EXPECT_NE(error_text(ErrorKind::usage, [&] { scan_corpus(o); }).find("near_duplicate"), std::string::npos);
}

TEST_F(CorpusTest, OnlyPermissiveFilesOfALicensedTree) {
  put("mit/LICENSE", "licensed under the MIT license");
  put("mit/a.py", code("a"));
  put("mit/gpl.py", "# SPDX-License-Identifier: GPL-2.0-only\n" + code("g"));
  put("held/LICENSE", "licensed under the MIT license");
  put("held/b.py", code("b"));
  put("gnu/COPYING", "GNU General Public License version 3");
  put("gnu/c.py", code("c"));
  put("none/d.py", code("d"));
  CorpusOptions o = options();
  auto entries = by_path(collect_corpus(o));
  EXPECT_EQ(entries.at("mit/a.py").license, "MIT");
  EXPECT_EQ(entries.at("mit/a.py").reason, "");
  EXPECT_EQ(entries.at("mit/gpl.py").reason, "license GPL-2.0-only");
  EXPECT_EQ(entries.at("gnu/c.py").reason, "license GPL-3.0-only");
  EXPECT_EQ(entries.at("none/d.py").reason, "license unknown");
  o.license = {"permissive", "unknown", "GPL-3.0-only"};
  entries = by_path(collect_corpus(o));
  EXPECT_EQ(entries.at("gnu/c.py").reason, "");
  EXPECT_EQ(entries.at("none/d.py").reason, "");
  EXPECT_EQ(entries.at("mit/gpl.py").reason, "license GPL-2.0-only");
  fs::remove(folder / "src/mit/LICENSE");
  fs::remove(folder / "src/held/LICENSE");
  o.license = {"permissive"};
  const std::string refused = error_text(ErrorKind::usage, [&] { scan_corpus(o); });
  EXPECT_NE(refused.find("license unknown"), std::string::npos) << refused;
  EXPECT_NE(refused.find("--license"), std::string::npos) << refused;
}

TEST_F(CorpusTest, ANoticeInAFileWinsOverThePackagesLicense) {
  const std::string notice =
      "# Under the terms of the GNU General Public License as published by the Free Software\n"
      "# Foundation; either version 2 of the License, or (at your option) any later version.\n";
  put("mit/LICENSE", "licensed under the MIT license");
  put("mit/a.py", notice + code("a"));
  put("mit/b.py", "# SPDX-License-Identifier: MIT\n" + notice + code("b"));
  put("held/LICENSE", "licensed under the MIT license");
  put("held/c.py", code("c"));
  auto entries = by_path(collect_corpus(options()));
  EXPECT_EQ(entries.at("mit/a.py").reason, "license GPL-2.0-or-later");
  EXPECT_EQ(entries.at("mit/b.py").reason, "");
  // Where somebody has looked at its terms, they stay; and a tree that says nothing of licenses is the user's own.
  put("mit/LICENSE-MIT", "licensed under the MIT license");
  put("mit/LICENSE-GPL", "GNU General Public License version 2");
  fs::remove(folder / "src/mit/LICENSE");
  entries = by_path(collect_corpus(options()));
  EXPECT_EQ(entries.at("mit/a.py").license, "GPL-2.0-only OR MIT");
  EXPECT_EQ(entries.at("mit/a.py").reason, "");
  for (const char* file : {"mit/LICENSE-MIT", "mit/LICENSE-GPL", "held/LICENSE"}) fs::remove(folder / "src" / file);
  EXPECT_EQ(by_path(collect_corpus(options())).at("mit/a.py").reason, "");
}

TEST_F(CorpusTest, APackageThatRepeatsItselfIsCappedAndReported) {
  const auto lines = [](const std::string& name, int first, int count) {
    std::string text;
    for (int i = first; i < first + count; ++i) text += name + std::to_string(i) + " = " + std::to_string(i * 7) + "\n";
    return text;
  };
  // Three texts of 300 lines, 20 times each, with 100 lines of every file's own.
  for (int f = 0; f < 60; ++f)
    put("sdk/m" + std::to_string(f) + ".py", lines("same", f % 3 * 400, 300) + lines("own", f * 100, 100));
  for (int f = 0; f < 30; ++f) put("other/m" + std::to_string(f) + ".py", lines("other", f * 400, 400));
  put("held.py", code("h"));
  CorpusOptions o = options();
  o.near_duplicate = 1;
  const CorpusIndex index = scan_corpus(o);
  const Json report = index.report();
  ASSERT_EQ(index.repetitive.size(), 1u);
  EXPECT_NEAR(index.repetitive.at("sdk"), 0.29, 0.15);  // (3 x 300 + 60 x 100) of 60 x 400 lines
  EXPECT_GT(report.at("dropped").at("beyond the share of a package that repeats itself").as_int(), 40);
  EXPECT_EQ(report.at("unique_lines_of_repetitive_packages").at("sdk").as_double(), index.repetitive.at("sdk"));
  EXPECT_EQ(index.hash(), scan_corpus(o, 2).hash());
}

TEST_F(CorpusTest, NamedBenchmarksAndLargeFilesAreKeptOut) {
  std::string large;
  while (large.size() < 3'000'000) large += "value = 123456\n";
  put("large.py", large);
  put("human_eval/data.py", code("h"));
  put("a.py", code("a"));
  put("held.py", code("b"));
  const auto entries = by_path(collect_corpus(options()));
  EXPECT_EQ(entries.at("large.py").reason, "larger than 1 MB");
  EXPECT_EQ(entries.at("large.py").bytes, static_cast<int64_t>(large.size()));
  EXPECT_EQ(entries.at("large.py").sha256, sha256_hex(large));
  EXPECT_EQ(entries.at("human_eval/data.py").reason, "benchmark by name: humaneval");
}

TEST_F(CorpusTest, SharesAreCappedAndThreadsChangeNothing) {
  put("held.py", code("held"));
  for (int i = 0; i < 60; ++i) put("large/m" + std::to_string(i) + ".py", code("large" + std::to_string(i)));
  for (int p = 0; p < 20; ++p) {
    for (int i = 0; i < 2; ++i)
      put("p" + std::to_string(p) + "/m" + std::to_string(i) + ".py", code("f" + std::to_string(p * 9 + i)));
  }
  for (int i = 0; i < 40; ++i) put("p1/tests/t" + std::to_string(i) + ".py", code("t" + std::to_string(i)));
  const CorpusIndex one = scan_corpus(options(), 1), two = scan_corpus(options(), 2);
  EXPECT_EQ(one.hash(), two.hash());
  EXPECT_TRUE(one.packages_capped);
  EXPECT_LT(one.report().at("largest_package_share").as_double(), 0.12);
  EXPECT_EQ(one.report().at("largest_package").as_string(), "large");
  // A third of the other files' 3144 bytes holds 36 of the 40 tests of 28 or 29 bytes, in whatever order they come.
  EXPECT_EQ(one.report().at("dropped").at("beyond the tests' share").as_int(), 4);
  EXPECT_GT(one.report().at("dropped").at("beyond the package's share").as_int(), 10);
}

TEST_F(CorpusTest, AFileThatChangesMeanwhileIsNoticed) {
  put("a.py", code("a"));
  put("held.py", code("h"));
  const CorpusIndex index = scan_corpus(options());
  EXPECT_EQ(index.read(index.files(Split::train)[0]), code("a"));
  put("a.py", code("b"));
  EXPECT_NE(error_text(ErrorKind::file, [&] { index.read(index.files(Split::train)[0]); }).find("a.py"),
            std::string::npos);
}

TEST_F(CorpusTest, BadInputIsNamed) {
  CorpusOptions o = options();
  EXPECT_NE(error_text(ErrorKind::file, [&] { collect_corpus(o); }).find("src"), std::string::npos);
  fs::create_directories(folder / "src");
  EXPECT_NE(error_text(ErrorKind::usage, [&] { collect_corpus(o); }).find("corpus is empty"), std::string::npos);
  put("only.py", code("f"));
  o.held_out = CorpusOptions().held_out;
  EXPECT_NE(error_text(ErrorKind::usage, [&] { collect_corpus(o); }).find("held_out part is empty"), std::string::npos);
  o.held_out = {"only.py"};
  EXPECT_NE(error_text(ErrorKind::usage, [&] { collect_corpus(o); }).find("train part is empty"), std::string::npos);
  o.jsonl = "x";
  error_text(ErrorKind::usage, [&] { collect_corpus(o); });
}

TEST_F(CorpusTest, ManifestHasALinePerFileLookedAt) {
  put("a.py", code("a"));
  put("b.py", "");
  put("held.py", code("h"));
  const Corpus corpus = collect_corpus(options());
  corpus.write_manifest(folder / "manifest.jsonl");
  const std::string text = read_file(folder / "manifest.jsonl");
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 4);
  EXPECT_EQ(Json::parse(text.substr(0, text.find('\n'))).at("format").as_int(), 1);
  EXPECT_NE(text.find(R"("dropped": "blank")"), std::string::npos) << text;
}

TEST_F(CorpusTest, BuildsTheSameShardTwice) {
  for (int i = 0; i < 50; ++i) put("p" + std::to_string(i) + ".py", code("f" + std::to_string(i)));
  put("held.py", code("h"));
  const Corpus corpus = collect_corpus(options());
  const TextEncoder encoder = byte_encoder();
  build_shard(folder / "a", corpus, Split::train, encoder, {.rate = 0.5, .seed = 3});
  build_shard(folder / "b", corpus, Split::train, encoder, {.rate = 0.5, .seed = 3});
  EXPECT_EQ(read_file(folder / "a"), read_file(folder / "b"));
  const ShardReader train(folder / "a");
  EXPECT_EQ(train.documents(), 50);
  EXPECT_EQ(train.text_bytes(), static_cast<uint64_t>(corpus.bytes(Split::train)));
  int fim = 0;
  for (int d = 0; d < 50; ++d) {
    const auto ids = train.document(d);
    EXPECT_EQ(ids[1] == encoder.control.fim_begin, train.is_fim(d));
    EXPECT_EQ(train.length(d), static_cast<int64_t>(train.text_bytes(d)) + (train.is_fim(d) ? 5 : 2));
    fim += train.is_fim(d);
  }
  EXPECT_NEAR(fim, 25, 12);
  build_shard(folder / "c", corpus, Split::held_out, encoder, {.rate = 0.5, .seed = 3});
  EXPECT_FALSE(ShardReader(folder / "c").is_fim(0));
  EXPECT_EQ(ShardReader(folder / "c").header().fim_rate, 0);
  error_text(ErrorKind::usage, [&] { build_shard(folder / "d", corpus, Split::train, encoder, {.rate = 1.5}); });
}

TEST_F(CorpusTest, CutsTheRearrangedDocumentsIntoPieces) {
  std::string text;
  for (int i = 0; i < 40; ++i) text += "value_" + std::to_string(i) + " = " + std::to_string(i) + "\n";
  for (int i = 0; i < 20; ++i) put("p" + std::to_string(i) + ".py", text + code("f" + std::to_string(i)));
  put("q.py", "one_line = \"" + std::string(300, 'x') + "\"\n" + text);
  put("held.py", code("h"));
  CorpusOptions o = options();
  o.near_duplicate = 1;
  const Corpus corpus = collect_corpus(o);
  const TextEncoder encoder = byte_encoder();
  build_shard(folder / "a", corpus, Split::train, encoder, {.rate = 1, .seed = 3, .piece_bytes = 100});
  const ShardReader pieces(folder / "a");
  EXPECT_EQ(pieces.text_bytes(), static_cast<uint64_t>(corpus.bytes(Split::train)));
  EXPECT_GT(pieces.documents(), 21 * 5);
  int longer = 0, in_order = 0;
  std::string all;
  for (int64_t d = 0; d < pieces.documents(); ++d) {
    EXPECT_TRUE(pieces.is_fim(d));
    longer += pieces.text_bytes(d) > 100;
    std::vector<std::string> spans(1);  // before the hole, after it, the middle
    for (const int32_t id : pieces.document(d)) {
      if (id == encoder.control.fim_hole || id == encoder.control.fim_end) {
        spans.emplace_back();
      } else if (id > encoder.control.fim_end) {
        spans.back() += static_cast<char>(id - encoder.control.fim_end - 1);
      }
    }
    ASSERT_EQ(spans.size(), 3u);
    in_order += spans[0].empty();
    all += spans[0] + spans[2] + spans[1];
  }
  std::string texts;
  for (const Document* d : corpus.part(Split::train)) texts += d->text;
  EXPECT_EQ(all, texts);
  EXPECT_EQ(longer, 1);     // the line that is longer than a piece
  EXPECT_LT(in_order, 20);  // every piece has cuts of its own
  // What is not rearranged is not cut.
  build_shard(folder / "b", corpus, Split::train, encoder, {.rate = 0, .piece_bytes = 100});
  EXPECT_EQ(ShardReader(folder / "b").documents(), 21);
  EXPECT_NE(
      error_text(ErrorKind::usage,
                 [&] { build_shard(folder / "c", corpus, Split::train, encoder, {.rate = 1, .piece_bytes = -1}); })
          .find("fim.piece_bytes"),
      std::string::npos);
}

// Debian 12's library against the reference list of ../shared/data/learning: everything that the list has and no rule
// drops is here with the same checksum, on the same side of the split.
TEST(SlowCorpus, StandardLibraryEqualsTheReferenceList) {
  const fs::path list = shared_dir() / "data/learning/files.json";
  SKIP_WITHOUT(list);
  if (!fs::exists("/usr/lib/python3.11/os.py")) GTEST_SKIP() << "no Python 3.11 library in /usr/lib";
  CorpusOptions o;
  o.source = {"/usr/lib/python3.11"};
  o.exclude = {"idlelib", "test"};
  // The list was made without the rules that compare files or judge licenses.
  o.license = {"any"};
  o.near_duplicate = o.package_share = o.test_share = 1;
  const Corpus corpus = collect_corpus(o);
  std::map<std::string, ManifestEntry> entries;
  for (const ManifestEntry& e : corpus.manifest) entries[e.path] = e;
  const Json reference = Json::read(list);
  if (entries.count("os.py") == 0) GTEST_SKIP() << "not that library";
  int same = 0, other_version = 0, dropped = 0;
  for (const Split split : {Split::train, Split::held_out}) {
    for (const Json& file : reference.at(split == Split::train ? "train" : "heldout").as_array()) {
      const std::string& path = file.as_array()[0].as_string();
      ASSERT_EQ(entries.count(path), 1u) << path;
      const ManifestEntry& e = entries[path];
      other_version += e.sha256 != file.as_array()[1].as_string();
      EXPECT_EQ(split_name(e.split), split_name(split)) << path;
      dropped += !e.reason.empty();
      ++same;
    }
  }
  EXPECT_EQ(same, 636);
  if (other_version > 0) GTEST_SKIP() << other_version << " files differ: another release of Python 3.11";
  RecordProperty("dropped", dropped);
  EXPECT_LE(dropped, 30);
}

}  // namespace
}  // namespace ballast
