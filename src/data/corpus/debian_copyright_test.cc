#include "data/corpus/debian_copyright.h"

#include <gtest/gtest.h>

#include <chrono>

#include "base/error.h"
#include "base/rng.h"
#include "data/corpus/licenses.h"

namespace ballast {
namespace {

constexpr const char* kFile = R"(Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Upstream-Name: thing
# a comment

Files: *
Copyright: 2001, Somebody
License: BSD-3-clause

Files: thing/vendored/*
       thing/six.py
Copyright: 2002, Another
License: Expat or GPL-2+

Files: thing/vendored/own.py
Copyright: 2003
License: custom-name

Files: src/thing/*/gnu_?.py
Copyright: 2003
License: LGPL-2.1+
 This library is free software.

Files: debian/*
License: GPL-3+

License: custom-name
 Permission is hereby granted, free of charge, to any person obtaining a copy of
 this software. The above copyright notice and this permission notice shall be
 .
 included.

License: Expat
 Permission is hereby granted, free of charge.
)";

TEST(DebianCopyright, TheLastParagraphThatMatchesCounts) {
  const DebianCopyright c = parse_debian_copyright(kFile);
  EXPECT_TRUE(c.machine_readable());
  EXPECT_EQ(c.license_of("thing/core.py"), "BSD-3-Clause");
  EXPECT_EQ(c.license_of("thing/six.py"), "MIT OR GPL-2.0-or-later");
  EXPECT_EQ(c.license_of("thing/vendored/a/b.py"), "MIT OR GPL-2.0-or-later");
  EXPECT_EQ(c.license_of("thing/vendored/own.py"), "MIT") << "told by the text of a paragraph of its own";
  EXPECT_EQ(c.license_of("thing/sub/gnu_1.py"), "LGPL-2.1-or-later") << "installed without src/";
  EXPECT_EQ(c.license_of("thing/sub/gnu_12.py"), "BSD-3-Clause");
  EXPECT_EQ(c.licenses().size(), 5u);
}

TEST(DebianCopyright, CarriageReturnsAndOldDraftsParse) {
  const DebianCopyright c = parse_debian_copyright(
      "Format-Specification: http://dep.debian.net/deps/dep5\r\n\r\nfiles: a.py, ./b.py\r\nlicense: MIT\r\n\r\n"
      "Files: c.py\nLicense:\n Apache License, Version 2.0\n");
  EXPECT_EQ(c.license_of("a.py"), "MIT");
  EXPECT_EQ(c.license_of("b.py"), "MIT");
  EXPECT_EQ(c.license_of("c.py"), "Apache-2.0");
  EXPECT_EQ(c.license_of("d.py"), kUnknownLicense);
}

TEST(DebianCopyright, TheHeadersLicenseIsForTheRest) {
  const DebianCopyright c = parse_debian_copyright("Format: x\nLicense: ISC\n\nFiles: a.py\nLicense: MIT\n");
  EXPECT_EQ(c.license_of("a.py"), "MIT");
  EXPECT_EQ(c.license_of("b.py"), "ISC");
}

TEST(DebianCopyright, FreeTextIsToldByPhrases) {
  const DebianCopyright c = parse_debian_copyright(
      "This package was debianized by me.\n\nLicense: the GNU GPL, see\n"
      "`/usr/share/common-licenses/GPL-2'.\n");
  EXPECT_FALSE(c.machine_readable());
  EXPECT_EQ(c.license_of("x.py"), "GPL-2.0-only");
  EXPECT_EQ(parse_debian_copyright("It was downloaded from somewhere.").license_of("x.py"), kUnknownLicense);
  EXPECT_EQ(parse_debian_copyright("").license_of("x.py"), kUnknownLicense);
}

TEST(DebianCopyright, ATextMayBeginOnTheFieldsLine) {
  const auto license = [](const std::string& value) {
    return parse_debian_copyright("Format: x\n\nFiles: *\nCopyright: me\nLicense: " + value + "\n").license_of("a");
  };
  EXPECT_EQ(
      license("Permission is hereby granted, free of charge, to any person obtaining\n a copy of this software and "
              "associated files.\n The above copyright notice and this permission notice shall be included."),
      "MIT");
  EXPECT_EQ(license("Redistribution and use in source and binary forms, with or without\n modification, are permitted. "
                    "Neither the name\n of the author"),
            "BSD-3-Clause");
  // A name that is known is what counts, whatever the text says of its other half.
  EXPECT_EQ(
      license("GPL-2 and Own\n Permission is hereby granted, free of charge, to any person obtaining a copy of this "
              "software. The above copyright notice and this permission notice shall be included."),
      "GPL-2.0-only AND MIT");
  EXPECT_EQ(license("Own, Other and Third\n Do as you like."),
            "LicenseRef-Own AND LicenseRef-Other AND LicenseRef-Third");
}

TEST(DebianCopyright, FreeTextMayHaveExceptions) {
  const DebianCopyright c = parse_debian_copyright(
      "License:\n\nPYTHON SOFTWARE FOUNDATION LICENSE VERSION 2\n\nFiles: Lib/multi/*\nCopyright: me\nLicense: "
      "BSD-3\n");
  EXPECT_FALSE(c.machine_readable());
  EXPECT_EQ(c.license_of("os.py"), "PSF-2.0");
  EXPECT_EQ(c.license_of("multi/a.py"), "BSD-3-Clause");
}

TEST(DebianCopyright, GlobsMatchAsTheFormatSays) {
  EXPECT_TRUE(glob_matches("*", "a/b/c"));
  EXPECT_TRUE(glob_matches("a/*.py", "a/b/c.py"));
  EXPECT_TRUE(glob_matches("a/?.py", "a/b.py"));
  EXPECT_TRUE(glob_matches("a\\*b", "a*b"));
  EXPECT_TRUE(glob_matches("", ""));
  EXPECT_FALSE(glob_matches("a\\*b", "axb"));
  EXPECT_FALSE(glob_matches("a/*.py", "b/c.py"));
  EXPECT_FALSE(glob_matches("a", "ab"));
  EXPECT_FALSE(glob_matches("ab", "a"));
  EXPECT_FALSE(glob_matches("", "a"));
}

TEST(DebianCopyright, NoBytesMakeItThrow) {
  static const char* kPieces[] = {"Files:", "License:",      "Format: x\n", "\n",  "\n\n", " ",
                                  "*",      "GPL-2+ or MIT", "\xFF",        "\0a", "#"};
  Rng rng(7);
  for (int i = 0; i < 3000; ++i) {
    std::string text;
    for (uint64_t n = rng.below(30); n > 0; --n) text += kPieces[rng.below(11)];
    parse_debian_copyright(text).license_of("a/b.py");
  }
}

// Texts that cost time where a parser looks back: each within a second or refused.
TEST(DebianCopyright, HostileTextsTakeLinearTime) {
  std::string names = "Format: x\n\nFiles: *\nLicense: ", stanzas = "Format: x\n", globs = "Format: x\n\nFiles:";
  for (int i = 0; i < 500; ++i) names += "n" + std::to_string(i) + " or ";
  names += "\n " + std::string(4 << 20, 'x');
  for (int i = 0; i < 90'000; ++i) stanzas += "\nFiles: f" + std::to_string(i) + "\nLicense: MIT\n";
  for (int i = 0; i < 1000; ++i) globs += " " + std::string(60, '*') + "a*a*a*a*a*a*b";
  globs += "\nLicense: MIT\n";
  const auto start = std::chrono::steady_clock::now();
  for (const std::string& text : {names, stanzas, globs, std::string(8 << 20, '\n'), std::string(8 << 20, ' '),
                                  "Format: x\n" + std::string(4 << 20, ':')}) {
    parse_debian_copyright(text).license_of(std::string(200, 'a'));
  }
  EXPECT_LT(std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count(), 20.0);  // sanitizers too
  EXPECT_THROW(parse_debian_copyright(std::string((8 << 20) + 1, 'a')), Error);
  std::string patterns = "Format: x\n\nFiles:";
  for (int i = 0; i < 100'001; ++i) patterns += " a";
  EXPECT_THROW(parse_debian_copyright(patterns + "\nLicense: MIT\n"), Error);
}

}  // namespace
}  // namespace ballast
