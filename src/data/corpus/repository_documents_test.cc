#include "data/corpus/repository_documents.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>

#include "base/file.h"
#include "base/hash.h"
#include "data/prepare.h"
#include "data/test_shard.h"
#include "data/test_sources.h"

namespace ballast {
namespace {
namespace fs = std::filesystem;

class RepositoryDocuments : public SourcesTest {
 protected:
  CorpusOptions options() const {
    CorpusOptions o = SourcesTest::options();
    o.near_duplicate = o.package_share = o.test_share = 1;
    return o;
  }
  // What stands in the documents of a shard.
  std::vector<std::string> texts(const ShardReader& shard) const {
    std::vector<std::string> all;
    for (int64_t d = 0; d < shard.documents(); ++d) all.push_back(decode_bytes(shard.document(d)));
    return all;
  }
  ShardReader build(const CorpusIndex& corpus, double rate, bool repo_context, Split split = Split::train,
                    int threads = 1) {
    const fs::path path = folder / ("shard" + std::to_string(built_++));
    build_shard(path, corpus, split, encoder_, {.rate = rate, .seed = 3}, {}, threads, repo_context);
    return ShardReader(path);
  }
  const TextEncoder encoder_ = byte_encoder();
  int built_ = 0;
};

TEST_F(RepositoryDocuments, AFileFollowsWhatItImports) {
  put("app/__init__.py", "from .main import run\n");
  put("app/main.py", "from .model import Model\nfrom app import data\n\ndef run():\n    return Model()\n");
  put("app/model.py", "\"\"\"Use:\nfrom app.main import run\n\"\"\"\nfrom ..app.data import load\n");
  put("app/data.py", "import os\nload = os.path.join");
  put("app/cli/__init__.py", "\n\n");  // dropped, blank
  put("app/cli/zeta.py", "def f(x):\n    import app.main\n    return app.main.run()\n");
  put("solo.py", "import app\nvalue = 12\n");
  put("held/b.py", "from . import a\nvalue = 1\n");
  put("held/a.py", "value = 2\n");
  const CorpusIndex corpus = scan_corpus(options());
  ASSERT_EQ(corpus.files(Split::train).size(), 6u);
  const ShardReader shard = build(corpus, 0, true);
  EXPECT_TRUE(shard.header().repo_context);
  EXPECT_EQ(texts(shard),
            (std::vector<std::string>{
                "# app/data.py\nimport os\nload = os.path.join\n"
                "# app/model.py\n\"\"\"Use:\nfrom app.main import run\n\"\"\"\nfrom ..app.data import load\n\n"
                "# app/main.py\nfrom .model import Model\nfrom app import data\n\ndef run():\n    return Model()\n\n"
                "# app/__init__.py\nfrom .main import run\n\n"
                "# app/cli/zeta.py\ndef f(x):\n    import app.main\n    return app.main.run()\n",
                "# solo.py\nimport app\nvalue = 12\n"}));
  EXPECT_EQ(shard.text_bytes(0), texts(shard)[0].size());
  // Held-out documents are files.
  const ShardReader held_out = build(corpus, 0, true, Split::held_out);
  EXPECT_EQ(texts(held_out), (std::vector<std::string>{"value = 2\n", "from . import a\nvalue = 1\n"}));
  EXPECT_FALSE(held_out.header().repo_context);
  EXPECT_EQ(read_file(folder / "shard1"), (build(corpus, 0, false, Split::held_out), read_file(folder / "shard2")));
}

// Fifty files of five packages, each with text of its own.
class ManyFiles : public RepositoryDocuments {
 protected:
  void SetUp() override {
    for (int i = 0; i < 50; ++i) {
      std::string text = "value_" + std::to_string(i) + " = " + std::to_string(i * i) + "\n";
      if (i >= 5) text += "from . import m" + std::to_string(99 - i + 5) + "\n";  // against the order of the paths
      put("p" + std::to_string(i % 5) + "/m" + std::to_string(99 - i) + ".py", text);
    }
    put("held.py", "value = 1\n");
  }
};

TEST_F(ManyFiles, EveryFileIsInOneDocumentOnce) {
  const CorpusIndex corpus = scan_corpus(options());
  for (const double rate : {0.0, 0.3}) {
    const ShardReader together = build(corpus, rate, true), alone = build(corpus, rate, false);
    std::vector<std::string> fim[2];
    std::string all;
    for (const ShardReader* shard : {&together, &alone}) {
      for (int64_t d = 0; d < shard->documents(); ++d) {
        std::vector<std::string>& list = fim[shard == &alone];
        if (shard->is_fim(d)) list.push_back(decode_bytes(shard->document(d)));
        if (shard == &together && !shard->is_fim(d)) all += decode_bytes(shard->document(d)) + "\n";
      }
      // The files that are drawn for filling in the middle are documents as they are without repositories.
      std::sort(fim[shard == &alone].begin(), fim[shard == &alone].end());
    }
    EXPECT_EQ(fim[0], fim[1]);
    EXPECT_EQ(fim[0].empty(), rate == 0);
    EXPECT_EQ(together.documents(), 5 + std::ssize(fim[0]));
    std::map<std::string, size_t> at;
    for (const uint32_t f : corpus.files(Split::train)) {
      const std::string file = "# " + corpus.path(f) + "\n" + corpus.read(f) + "\n";
      if (const size_t found = all.find(file); found != std::string::npos) {
        EXPECT_EQ(all.find(file, found + 1), std::string::npos) << file;
        at[corpus.path(f)] = found;
      }
    }
    EXPECT_EQ(at.size() + fim[0].size(), 50u);
    // m94 of its package imports m99, and so on down.
    for (int i = 5; i < 50; ++i) {
      const std::string package = "p" + std::to_string(i % 5) + "/m";
      const auto file = at.find(package + std::to_string(99 - i) + ".py");
      const auto imported = at.find(package + std::to_string(99 - i + 5) + ".py");
      if (file == at.end() || imported == at.end()) continue;
      EXPECT_LT(imported->second, file->second) << file->first;
    }
  }
}

TEST_F(ManyFiles, TheSameShardAlways) {
  const CorpusIndex corpus = scan_corpus(options());
  build(corpus, 0.3, true);
  build(corpus, 0.3, true);
  build(corpus, 0.3, true, Split::train, 4);
  EXPECT_EQ(read_file(folder / "shard0"), read_file(folder / "shard1"));
  EXPECT_EQ(read_file(folder / "shard0"), read_file(folder / "shard2"));
}

// What a shard was before there were repositories: the bytes of `build_shard` without them.
TEST_F(ManyFiles, OffIsAsItWas) {
  const CorpusIndex corpus = scan_corpus(options());
  const ShardReader shard = build(corpus, 0.3, false);
  EXPECT_FALSE(shard.header().repo_context);
  EXPECT_EQ(shard.documents(), 50);
  EXPECT_EQ(read_file(folder / "shard0").find("repo_context"), std::string::npos);
  EXPECT_EQ(shard.hash(), "3c009c719f539d726a9a2d05d5ac5e5055459624ab33cadb3d64a4a80fdf1b5f");
}

TEST_F(RepositoryDocuments, LargeRepositoriesArePartedBetweenFiles) {
  // Three files of 400 kB: two and one. The last by path is imported by both others.
  for (const char* name : {"a", "b", "z"}) {
    std::string text = name[0] == 'z' ? "" : "from . import z\n";
    for (int i = 0; text.size() < 400'000; ++i) text += name + std::to_string(i) + " = " + std::to_string(i) + "\n";
    put("large/" + std::string(name) + ".py", text);
  }
  put("held.py", "value = 1\n");
  const CorpusIndex corpus = scan_corpus(options());
  const auto documents = repository_documents(corpus, Split::train, 1);
  ASSERT_EQ(documents.size(), 2u);
  EXPECT_EQ(documents[0].paths, (std::vector<std::string>{"large/z.py", "large/a.py"}));
  EXPECT_EQ(documents[1].paths, (std::vector<std::string>{"large/b.py"}));
  for (const std::string& text : texts(build(corpus, 0, true))) EXPECT_LE(text.size(), 1'000'000u);
}

TEST_F(RepositoryDocuments, JsonLinesMaySayTheirPaths) {
  const auto line = [](const std::string& text, const std::string& package, const std::string& path) {
    Json record = Json::object();
    record["text"] = text;
    if (!package.empty()) record["package"] = package;
    if (!path.empty()) record["path"] = path;
    return record.dump() + "\n";
  };
  write_file_atomic(folder / "d.jsonl", line("from lib import two\nx = 1\n", "p", "/home/p/lib/three.py") +
                                            line("y = 2\n", "p", "/home/p/lib/two.py") + line("alone = 3\n", "", "") +
                                            line("named = 4\n", "", "q/r\ns.py") + line("no path = 5\n", "r", "") +
                                            line("int six;\n", "r", "six.h") + line("held = 1\n", "held", "held.py"));
  CorpusOptions o = options();
  o.source.clear();
  o.jsonl = (folder / "d.jsonl").string();
  EXPECT_EQ(texts(build(scan_corpus(o), 0, true)),
            (std::vector<std::string>{"# lib/two.py\ny = 2\n\n# lib/three.py\nfrom lib import two\nx = 1\n",
                                      "alone = 3\n", "named = 4\n", "no path = 5\n\n// six.h\nint six;\n"}));
}

TEST_F(RepositoryDocuments, AFileThatChangesMeanwhileIsNoticed) {
  put("p/a.py", "a = 12\n");
  put("p/b.py", "b = 12\n");
  put("held.py", "h = 12\n");
  const CorpusIndex corpus = scan_corpus(options());
  put("p/b.py", "b = 13\n");
  EXPECT_NE(error_text(ErrorKind::file, [&] { build(corpus, 0, true); }).find("b.py"), std::string::npos);
}

TEST(RepositoryPaths, WithoutTheFoldersAboveTheLastCommonOne) {
  const auto stripped = [](std::vector<std::string> paths) {
    strip_common_folder(paths);
    return paths;
  };
  using Paths = std::vector<std::string>;
  EXPECT_EQ(stripped({}), Paths{});
  EXPECT_EQ(stripped({"a.py"}), Paths{"a.py"});
  EXPECT_EQ(stripped({"x/y/a.py"}), Paths{"y/a.py"});
  EXPECT_EQ(stripped({"x/y/a.py", "x/y/z/b.py"}), (Paths{"y/a.py", "y/z/b.py"}));
  EXPECT_EQ(stripped({"x/ya/a.py", "x/yb/b.py"}), (Paths{"x/ya/a.py", "x/yb/b.py"}));
  EXPECT_EQ(stripped({"w/x/ya.py", "w/x/yb.py"}), (Paths{"x/ya.py", "x/yb.py"}));
  EXPECT_EQ(stripped({"x/a.py", "b.py"}), (Paths{"x/a.py", "b.py"}));
  EXPECT_EQ(stripped({"", "x/b.py"}), (Paths{"", "x/b.py"}));
  EXPECT_EQ(stripped({"/a.py", "/b.py"}), (Paths{"/a.py", "/b.py"}));
}

TEST(RepositoryPaths, AreCommentsInTheirLanguage) {
  const auto first = [](std::string_view path) {
    std::string document;
    append_file(document, path, "x");
    return document;
  };
  EXPECT_EQ(first("a/b.py"), "# a/b.py\nx");
  EXPECT_EQ(first("b.h"), "// b.h\nx");
  EXPECT_EQ(first("b.sql"), "-- b.sql\nx");
  EXPECT_EQ(first("Makefile"), "# Makefile\nx");
  EXPECT_EQ(first("\xC3\xA4.py"), "# \xC3\xA4.py\nx");
  EXPECT_EQ(first(""), "x");
  EXPECT_EQ(first("a\nimport b.py"), "x");
  EXPECT_EQ(first("\xFF.py"), "x");
  EXPECT_EQ(first("a\x7F.py"), "x");
}

// Through what `ballast corpus` does: the shards of the two settings, and one corpus.
TEST_F(ManyFiles, PreparesBoth) {
  CorpusRecipe recipe;
  static_cast<CorpusOptions&>(recipe.corpus) = options();
  recipe.tokenizer.vocab_size = 300;
  recipe.fim.rate = 0;
  const PreparedCorpus off = prepare_corpus(recipe, folder / "off", 1);
  recipe.corpus.repo_context = true;
  const PreparedCorpus on = prepare_corpus(recipe, folder / "on", 1);
  EXPECT_EQ(off.report.at("hash").as_string(), on.report.at("hash").as_string());
  EXPECT_EQ(off.report.at("train_shard").at("documents").as_int(), 50);
  EXPECT_EQ(on.report.at("train_shard").at("documents").as_int(), 5);
  for (const char* name : {"manifest.jsonl", "tokenizer.json", "held_out.shard"})
    EXPECT_EQ(read_file(folder / "off" / name), read_file(folder / "on" / name)) << name;
}

}  // namespace
}  // namespace ballast
