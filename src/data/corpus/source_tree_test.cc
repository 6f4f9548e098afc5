#include "data/corpus/source_tree.h"

#include <gtest/gtest.h>

#include <map>

#include "base/file.h"
#include "data/corpus/dpkg.h"
#include "data/corpus/wheel_metadata.h"
#include "data/test_shard.h"

namespace ballast {
namespace {
namespace fs = std::filesystem;

constexpr const char* kMit =
    "Permission is hereby granted, free of charge, to any person obtaining a copy of this software, ... The above "
    "copyright "
    "notice and this permission notice shall be included in all copies.\n";
constexpr const char* kGpl = "GNU GENERAL PUBLIC LICENSE\nVersion 3, 29 June 2007\n";
constexpr const char* kCopyright =
    "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n\nFiles: *\nLicense: Expat\n\n"
    "Files: thing/gnu.py\nLicense: GPL-3+\n";

class SourceTreeTest : public FolderTest {
 protected:
  void put(const std::string& path, const std::string& text = "x = 1\n") {
    fs::create_directories((folder / path).parent_path());
    write_file_atomic(folder / path, text);
  }
  // "path" -> "package version license"
  std::map<std::string, std::string> list(const std::string& source, fs::path dpkg_root = "/nowhere") {
    const SourceTree tree = list_source_tree(folder / source, {{".py"}, {}, dpkg_root});
    licensed = tree.licensed;
    std::map<std::string, std::string> files;
    for (const SourceFile& f : tree.files) files[f.path] = f.package + " " + f.version + " " + f.license;
    return files;
  }
  bool licensed = false;
};

using Files = std::map<std::string, std::string>;

TEST_F(SourceTreeTest, PlainFoldersAreOnesOwn) {
  put("src/a/x.py");
  put("src/b.py");
  put("src/venv/lib/site-packages/c.py");
  EXPECT_EQ(list("src"), (Files{{"a/x.py", "a  unknown"}, {"b.py", "b  unknown"}}));
  EXPECT_FALSE(licensed);
}

TEST_F(SourceTreeTest, TheNearestLicenseFileCounts) {
  put("repos/one/LICENSE", kMit);
  put("repos/one/a.py");
  put("repos/one/vendored/COPYING", kGpl);
  put("repos/one/vendored/b.py");
  put("repos/owner/two/LICENSE.txt", "strange words");
  put("repos/owner/two/c.py");
  put("repos/owner/three/LICENSE-MIT", kMit);
  put("repos/owner/three/LICENSE-GPL", kGpl);
  put("repos/owner/three/d.py");
  put("repos/four/e.py");
  EXPECT_EQ(list("repos"), (Files{{"one/a.py", "one  MIT"},
                                  {"one/vendored/b.py", "one  GPL-3.0-only"},
                                  {"owner/two/c.py", "owner/two  unknown"},
                                  {"owner/three/d.py", "owner/three  GPL-3.0-only OR MIT"},
                                  {"four/e.py", "four  unknown"}}));
  EXPECT_TRUE(licensed);
  // One repository as the source: its packages are its folders.
  EXPECT_EQ(list("repos/one"), (Files{{"a.py", "a  MIT"}, {"vendored/b.py", "vendored  GPL-3.0-only"}}));
}

TEST_F(SourceTreeTest, UnpackedDebianPackagesHaveTheirCopyrightFiles) {
  const std::string root = "debs/python3-thing_1%3a2.0-1_all/";
  put(root + "usr/share/doc/python3-thing/copyright", kCopyright);
  put(root + "usr/lib/python3/dist-packages/thing/a.py");
  put(root + "usr/lib/python3/dist-packages/thing/gnu.py");
  put(root + "usr/lib/python3/dist-packages/thing/__pycache__/a.py");
  fs::create_directories(folder / "debs/other_3/usr/share/doc");
  fs::create_directory_symlink("python3-thing", folder / "debs/other_3/usr/share/doc/other");
  put("debs/other_3/usr/share/other/b.py");
  put("debs/bare/usr/share/doc/README");
  put("debs/bare/usr/lib/c.py");
  const std::string prefix = "python3-thing_1%3a2.0-1_all/usr/lib/python3/dist-packages/thing/";
  EXPECT_EQ(list("debs"), (Files{{prefix + "a.py", "python3-thing 1:2.0-1 MIT"},
                                 {prefix + "gnu.py", "python3-thing 1:2.0-1 GPL-3.0-or-later"},
                                 {"other_3/usr/share/other/b.py", "other 3 MIT"},
                                 {"bare/usr/lib/c.py", "bare  unknown"}}));
  EXPECT_TRUE(licensed);
  put(root + "DEBIAN/control", "Package: python3-thing\nVersion: 9\n");
  EXPECT_EQ(list("debs")[prefix + "a.py"], "python3-thing 9 MIT");
}

TEST_F(SourceTreeTest, SeveralPackagesInOneFolderAreToldByModule) {
  put("root/usr/share/doc/python3-thing/copyright", kCopyright);
  put("root/usr/share/doc/python3-other/copyright", "License: see /usr/share/common-licenses/GPL-2");
  put("root/usr/lib/python3/dist-packages/thing/a.py");
  put("root/usr/lib/python3/dist-packages/other.py");
  put("root/usr/lib/python3/dist-packages/stray.py");
  const std::string prefix = "usr/lib/python3/dist-packages/";
  EXPECT_EQ(list("root"), (Files{{prefix + "thing/a.py", "python3-thing  MIT"},
                                 {prefix + "other.py", "python3-other  GPL-2.0-only"},
                                 {prefix + "stray.py", "usr  unknown"}}));
}

TEST_F(SourceTreeTest, InstalledFilesHaveTheirOwners) {
  const fs::path root = fs::canonical(folder);
  put("var/lib/dpkg/info/python3-thing:all.list",
      "/.\n/usr/lib/python3/dist-packages/thing\n/usr/lib/python3/dist-packages/thing/a.py\n"
      "/usr/lib/python3/dist-packages/thing/gnu.py\n");
  put("var/lib/dpkg/status", "Package: python3-thing\nStatus: install ok\nVersion: 4.5-6\n\nPackage: z\nVersion: 1\n");
  put("usr/share/doc/python3-thing/copyright", kCopyright);
  put("usr/lib/python3/dist-packages/thing/a.py");
  put("usr/lib/python3/dist-packages/thing/gnu.py");
  put("usr/lib/python3/dist-packages/mine.py");
  EXPECT_EQ(list("usr/lib/python3/dist-packages", root),
            (Files{{"thing/a.py", "python3-thing 4.5-6 MIT"},
                   {"thing/gnu.py", "python3-thing 4.5-6 GPL-3.0-or-later"},
                   {"mine.py", "mine  unknown"}}));
  EXPECT_TRUE(licensed);
}

// A text that is permissive does not undo what the metadata says.
TEST_F(SourceTreeTest, LicenseFilesTellOnlyWhatTheMetadataLeavesOpen) {
  const auto distribution = [&](const std::string& name, const std::string& says) {
    put("site/" + name + "-1.dist-info/METADATA", "Name: " + name + "\nVersion: 1\n" + says);
    put("site/" + name + "-1.dist-info/LICENSE", kMit);
    put("site/" + name + "-1.dist-info/RECORD", name + ".py,,\n");
    put("site/" + name + ".py");
  };
  distribution("open", "License: Dual License\n");
  distribution("bsd", "License: BSD\n");
  distribution("paid", "License: MIT\nClassifier: License :: Free for non-commercial use\n");
  distribution("own", "License: Acme Commercial\n");
  EXPECT_EQ(list("site"), (Files{{"open.py", "open 1 MIT"},
                                 {"bsd.py", "bsd 1 MIT"},
                                 {"paid.py", "paid 1 MIT AND LicenseRef-Free-for-non-commercial-use"},
                                 {"own.py", "own 1 LicenseRef-Acme-Commercial"}}));
}

TEST_F(SourceTreeTest, AnUnreadableFolderIsNamedWithTheRemedy) {
  put("tree/good/a.py");
  put("tree/bad/inner/b.py");
  fs::permissions(folder, fs::perms::all);
  fs::permissions(folder / "tree/bad/inner", fs::perms::none);
  std::string refused;
  size_t others = 0;
  {
    const WithoutRoot user;
    refused =
        error_text(ErrorKind::file, [&] { list_source_tree(folder / "tree", {.extension = {".py"}, .exclude = {}}); });
    others = list_source_tree(folder / "tree", {.extension = {".py"}, .exclude = {"bad"}}).files.size();
  }
  fs::permissions(folder / "tree/bad/inner", fs::perms::all);
  EXPECT_NE(refused.find("tree/bad/inner"), std::string::npos) << refused;
  EXPECT_NE(refused.find("--corpus.exclude bad"), std::string::npos) << refused;
  EXPECT_EQ(others, 1u);
}

TEST_F(SourceTreeTest, SitePackagesHaveTheirMetadata) {
  put("site/thing-1.2.dist-info/METADATA",
      "Metadata-Version: 2.1\nName: Thing\nVersion: 1.2\nLicense: MIT\n\nLicense: GPL\n");
  put("site/thing-1.2.dist-info/RECORD",
      "thing/a.py,sha256=x,3\n\"thing_extra.py\",,\nshared/one/b.py,,\n../bin/tool,,\n");
  put("site/other-2.dist-info/METADATA", "Name: other\nVersion: 2\nLicense-Expression: GPL-2.0-only\n");
  put("site/other-2.dist-info/RECORD", "shared/two/c.py,,\n");
  put("site/old.egg-info/PKG-INFO",
      "Name: old\nVersion: 3\nLicense: UNKNOWN\nClassifier: License :: OSI Approved :: BSD License\n");
  put("site/old.egg-info/top_level.txt", "old\n");
  put("site/texts-1.dist-info/METADATA", "Name: texts\nVersion: 1\n");
  put("site/texts-1.dist-info/licenses/LICENSE", kMit);
  put("site/texts-1.dist-info/LICENSE", kMit);
  put("site/texts-1.dist-info/RECORD", "texts.py,,\n");
  for (const char* file :
       {"thing/a.py", "thing_extra.py", "shared/one/b.py", "shared/two/c.py", "old/d.py", "texts.py", "stray.py"})
    put(std::string("site/") + file);
  put("site/thing/_vendor/v/LICENSE", kGpl);
  put("site/thing/_vendor/v/e.py");
  EXPECT_EQ(list("site"), (Files{{"thing/a.py", "Thing 1.2 MIT"},
                                 {"thing_extra.py", "Thing 1.2 MIT"},
                                 {"shared/one/b.py", "Thing 1.2 MIT"},
                                 {"shared/two/c.py", "other 2 GPL-2.0-only"},
                                 {"old/d.py", "old 3 LicenseRef-BSD"},
                                 {"texts.py", "texts 1 MIT"},
                                 {"stray.py", "stray  unknown"},
                                 {"thing/_vendor/v/e.py", "Thing 1.2 GPL-3.0-only"}}));
}

TEST(WheelMetadata, TheStrictestReadingOfSeveralClassifiers) {
  const auto license = [](const std::string& text) { return parse_wheel_metadata(text).license; };
  const std::string mit = "Classifier: License :: OSI Approved :: MIT License\n";
  const std::string gpl = "Classifier: License :: OSI Approved :: GNU General Public License v3 (GPLv3)\n";
  EXPECT_EQ(license(mit), "MIT");
  EXPECT_EQ(license(mit + gpl), "MIT AND GPL-3.0-only");
  EXPECT_EQ(license("License-Expression: MIT OR GPL-3.0-only\n" + gpl), "MIT OR GPL-3.0-only");
  EXPECT_EQ(license("License: BSD 3-Clause\nClassifier: License :: OSI Approved :: BSD License\n"), "BSD-3-Clause");
  EXPECT_EQ(license("Name: x\n"), "unknown");
  // The License field counts beside the classifiers, and a classifier of something unknown counts.
  EXPECT_EQ(license("License: GPLv3\n" + mit), "GPL-3.0-only AND MIT");
  EXPECT_EQ(license("License: MIT\nClassifier: License :: Free for non-commercial use\n"),
            "MIT AND LicenseRef-Free-for-non-commercial-use");
  EXPECT_EQ(license("License-Expression: MIT\nClassifier: License :: Other/Proprietary License\n"),
            "MIT AND LicenseRef-Other-Proprietary-License");
  EXPECT_EQ(license("License-Expression: MIT\nLicense: GPLv3\n"), "MIT AND GPL-3.0-only");
  EXPECT_EQ(license("License: MIT License\nClassifier: License :: OSI Approved\n" + mit), "MIT");
  EXPECT_EQ(license("License: Acme\n" + mit), "LicenseRef-Acme AND MIT");
  for (const char* where : {"LICENSE.txt", "see COPYING", "Dual License", "UNKNOWN", "file: LICENSE"})
    EXPECT_EQ(license("License: " + std::string(where) + "\n" + mit), "MIT") << where;
  EXPECT_EQ(license(std::string("License: ") + kMit + "  more\n"), "MIT");
  EXPECT_EQ(license(std::string(3'000'000, 'a')), "unknown");
  EXPECT_EQ(parse_record("\"a,b.py\",x,1\r\nc.py\n\n,\n"), (std::vector<std::string>{"a,b.py", "c.py"}));
}

}  // namespace
}  // namespace ballast
