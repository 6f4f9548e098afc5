#include "data/corpus/licenses.h"

#include <gtest/gtest.h>

#include "base/rng.h"

namespace ballast {
namespace {

const std::vector<std::string> kPermissive = {"permissive"};

TEST(Licenses, NamesBecomeSpdxIds) {
  const std::pair<const char*, const char*> cases[] = {
      {"Expat", "MIT"},
      {"MIT License", "MIT"},
      {"The MIT License", "MIT"},
      {"BSD-3-clause", "BSD-3-Clause"},
      {"BSD 3-Clause License", "BSD-3-Clause"},
      {"3-Clause BSD License", "BSD-3-Clause"},
      {"new BSD", "BSD-3-Clause"},
      {"BSD-2-Clause", "BSD-2-Clause"},
      {"Apache 2.0", "Apache-2.0"},
      {"Apache Software License, Version 2.0", "Apache-2.0"},
      {"Apache-2", "Apache-2.0"},
      {"PSF-2", "PSF-2.0"},
      {"Python Software Foundation License", "PSF-2.0"},
      {"ISC License (ISCL)", "ISC"},
      {"GPL-2+", "GPL-2.0-or-later"},
      {"GPL-2.0-or-later", "GPL-2.0-or-later"},
      {"GPL-2", "GPL-2.0-only"},
      {"GPLv3+", "GPL-3.0-or-later"},
      {"LGPL-2.1+", "LGPL-2.1-or-later"},
      {"GNU Lesser General Public License v3 or later (LGPLv3+)", "LGPL-3.0-or-later"},
      {"GNU Affero General Public License v3", "AGPL-3.0-only"},
      {"GNU General Public License (GPL)", "GPL-1.0-or-later"},
      {"MPL-2.0", "MPL-2.0"},
      {"public-domain", "LicenseRef-public-domain"},
      {"somebody's own", ""},
      {"", ""},
  };
  for (const auto& [name, id] : cases) EXPECT_EQ(spdx_id_of_name(name), id) << name;
  EXPECT_EQ(spdx_id_of_classifier("License :: OSI Approved :: BSD License"), "LicenseRef-BSD");
  EXPECT_EQ(spdx_id_of_classifier("License :: OSI Approved :: Apache Software License"), "Apache-2.0");
  EXPECT_EQ(spdx_id_of_classifier("License :: OSI Approved"), "");
  EXPECT_EQ(spdx_id_of_classifier("Topic :: Software Development"), "");
}

TEST(Licenses, ExpressionsFollowDebiansPrecedence) {
  EXPECT_EQ(license_expression("Expat or GPL-2+"), "MIT OR GPL-2.0-or-later");
  EXPECT_EQ(license_expression("Expat and ISC or GPL-2"), "(MIT AND ISC) OR GPL-2.0-only");
  EXPECT_EQ(license_expression("Expat or GPL-2+, and ISC"), "(MIT OR GPL-2.0-or-later) AND ISC");
  EXPECT_EQ(license_expression("(MIT OR Apache-2.0) AND BSD-3-Clause"), "(MIT OR Apache-2.0) AND BSD-3-Clause");
  EXPECT_EQ(license_expression("GPL-2+ with Autoconf exception"), "GPL-2.0-or-later");
  EXPECT_EQ(license_expression("GPL-1+ or Artistic"), "GPL-1.0-or-later OR Artistic-1.0");
  EXPECT_EQ(license_expression("GPL-2+ and (Expat)"), "GPL-2.0-or-later AND MIT");
  EXPECT_EQ(license_expression("GNU General Public License v3 or later (GPLv3+)"), "GPL-3.0-or-later");
  EXPECT_EQ(license_expression("MIT and Expat"), "MIT");
  EXPECT_EQ(license_expression("My Own"), "LicenseRef-My-Own");
  EXPECT_EQ(license_expression("custom or Expat", [](std::string_view) { return "MIT AND ISC"; }),
            "(MIT AND ISC) OR MIT");
  for (const char* nonsense : {"", "()", "and", "or or or", "(((", ")", ",,,", "  "})
    EXPECT_FALSE(license_accepted(license_expression(nonsense), kPermissive)) << nonsense;
}

TEST(Licenses, OneSideOfOrIsEnoughAndBothOfAnd) {
  EXPECT_TRUE(license_accepted("MIT", kPermissive));
  EXPECT_TRUE(license_accepted("LicenseRef-BSD", kPermissive));
  EXPECT_FALSE(license_accepted("unknown", kPermissive));
  EXPECT_TRUE(license_accepted("unknown", std::vector<std::string>{"unknown"}));
  EXPECT_TRUE(license_accepted("unknown", std::vector<std::string>{"any"}));
  EXPECT_TRUE(license_accepted("MIT OR GPL-2.0-only", kPermissive));
  EXPECT_FALSE(license_accepted("MIT AND GPL-2.0-only", kPermissive));
  EXPECT_FALSE(license_accepted("(MIT OR GPL-2.0-only) AND LGPL-2.1-only", kPermissive));
  EXPECT_TRUE(license_accepted("MIT AND HPND", std::vector<std::string>{"permissive", "HPND"}));
  for (const char* id : {"GPL-3.0-only", "LGPL-2.1-or-later", "AGPL-3.0-only", "MPL-2.0", "LicenseRef-public-domain"})
    EXPECT_FALSE(license_accepted(id, kPermissive)) << id;
}

TEST(Licenses, TextsAreToldByTheirPhrases) {
  const std::string mit =
      "Copyright 2020 A\n\n# Permission is hereby granted, free of charge, to any person obtaining a copy\n"
      "# of this software and so on. The above copyright notice and this permission notice shall be included.";
  EXPECT_EQ(classify_license_text(mit), "MIT");
  const std::string bsd =
      "Redistribution and use in source and binary forms, with or without\nmodification, are permitted.";
  EXPECT_EQ(classify_license_text(bsd), "BSD-2-Clause");
  EXPECT_EQ(classify_license_text(bsd + "\n3. Neither the name of"), "BSD-3-Clause");
  EXPECT_EQ(classify_license_text(bsd + "\n3. All advertising materials\nmust"), "BSD-4-Clause");
  EXPECT_EQ(classify_license_text("Licensed under the Apache License, Version 2.0 (the \"License\")"), "Apache-2.0");
  EXPECT_EQ(classify_license_text("under the terms of the GNU General Public License as published by the FSF; either\n"
                                  "version 2 of the License, or (at your option) any later version."),
            "GPL-2.0-or-later");
  EXPECT_EQ(classify_license_text("GNU LESSER GENERAL PUBLIC LICENSE\n  Version 2.1, February 1999"), "LGPL-2.1-only");
  EXPECT_EQ(classify_license_text("This is free and unencumbered software released into the public domain."),
            "Unlicense");
  EXPECT_EQ(classify_license_text("see /usr/share/common-licenses/GPL-3"), "GPL-3.0-only");
  EXPECT_EQ(classify_license_text("All rights reserved."), "unknown");
  // Two texts in one file hold both.
  const std::string both = classify_license_text(mit + "\nSome files: GNU General Public License version 3");
  EXPECT_EQ(both, "GPL-3.0-only AND MIT");
  EXPECT_FALSE(license_accepted(both, kPermissive));
}

const std::string kMitText =
    "Permission is hereby granted, free of charge, to any person obtaining a copy of this software and so on. The "
    "above "
    "copyright notice and this permission notice shall be included.\n";

// Texts that restrict what a permissive license beside them, or named in them, allows.
TEST(Licenses, RestrictionsWinOverThePermissiveTextBesideThem) {
  const std::pair<std::string, const char*> cases[] = {
      {"Business Source License 1.1\nChange License: Apache License, Version 2.0", "BUSL-1.1 AND Apache-2.0"},
      {"\"Commons Clause\" License Condition v1.0\nLicense: Apache License, Version 2.0",
       "LicenseRef-Commons-Clause AND Apache-2.0"},
      {"Elastic License 2.0\nOther files: Apache License, Version 2.0", "Elastic-2.0 AND Apache-2.0"},
      {"GNU General Public License version 3\nSome files are under the Python Software Foundation License Version 2",
       "GPL-3.0-only AND PSF-2.0"},
      {kMitText + "This software is for non-commercial use only.", "LicenseRef-non-commercial AND MIT"},
      {kMitText + "It may not be used for commercial purposes.", "LicenseRef-non-commercial AND MIT"},
      {kMitText + "For research purposes only.", "LicenseRef-non-commercial AND MIT"},
      {"Server Side Public License\nVERSION 1, OCTOBER 16, 2018\n" + kMitText, "SSPL-1.0 AND MIT"},
      {"Creative Commons CC-BY-NC 4.0\n" + kMitText, "CC-BY-NC-4.0 AND MIT"},
      {kMitText + "The Software shall be used for Good, not Evil.", "JSON AND MIT"},
  };
  for (const auto& [text, id] : cases) {
    EXPECT_EQ(classify_license_text(text), id) << text;
    EXPECT_FALSE(license_accepted(classify_license_text(text), kPermissive)) << text;
  }
}

TEST(Licenses, WordsOfRestrictionsAreNotRestrictions) {
  for (const char* more :
       {"for any purpose, commercial or non-commercial, and by any means", "free for commercial and non-commercial use",
        "for non-commercial or commercial purposes", "a non-commercially developed program",
        "No commercial use of these trademarks may be made"}) {
    EXPECT_EQ(classify_license_text(kMitText + more), "MIT") << more;
  }
}

// CPython's license file tells of the GPL in its history; what stands around it counts.
TEST(Licenses, OnlyCPythonsOwnTextMaySpeakOfTheGpl) {
  const std::string cpython =
      "A. HISTORY OF THE SOFTWARE\nGPL-compatible doesn't mean that we're distributing Python under\n    the GPL.\n"
      "PYTHON SOFTWARE FOUNDATION LICENSE VERSION 2\n...\nBEOPEN.COM LICENSE AGREEMENT FOR PYTHON 2.0\n...\n"
      "CWI LICENSE AGREEMENT\nARISING OUT\nOF OR IN CONNECTION WITH THE USE OR PERFORMANCE OF THIS SOFTWARE.\n";
  EXPECT_EQ(classify_license_text(cpython), "PSF-2.0");
  EXPECT_EQ(classify_license_text(kMitText + cpython), "MIT AND PSF-2.0");
  EXPECT_EQ(classify_license_text(cpython + "Some files: GNU General Public License version 3"),
            "PSF-2.0 AND GPL-3.0-only");
  EXPECT_EQ(classify_license_text("GNU General Public License version 3\n" + cpython), "GPL-3.0-only AND PSF-2.0");
  // Its own list of what it incorporates, as Debian's copyright file has it.
  EXPECT_EQ(classify_license_text(cpython + "Licenses and Acknowledgements for Incorporated Software\nA manual under "
                                            "the terms of the GNU General Public License"),
            "PSF-2.0");
}

TEST(Licenses, ATagIsACommentOfItsOwn) {
  EXPECT_EQ(spdx_tag("#!/usr/bin/python3\n# SPDX-License-Identifier: GPL-2.0-or-later\nimport os\n"),
            "GPL-2.0-or-later");
  EXPECT_EQ(spdx_tag("// SPDX-License-Identifier: MIT OR Apache-2.0 */\n"), "MIT OR Apache-2.0");
  EXPECT_EQ(spdx_tag("tag = 'SPDX-License-Identifier: MIT'\n"), "");
  EXPECT_EQ(spdx_tag("import os\n"), "");
}

TEST(Licenses, RandomWordsAreNeverAnError) {
  static const char* kWords[] = {"MIT", "and", "or", "(", ")", ",", "with", "GPL-2+", "BSD", "exception", "later", ";"};
  Rng rng(1);
  for (int i = 0; i < 2000; ++i) {
    std::string text;
    for (uint64_t n = rng.below(40); n > 0; --n) text += std::string(kWords[rng.below(12)]) + (rng.below(3) ? " " : "");
    const std::string once = license_expression(text);
    EXPECT_FALSE(once.empty());
    license_accepted(once, kPermissive);
  }
  license_expression(std::string(4000, '('));
  license_accepted(std::string(100'000, '('), kPermissive);
}

}  // namespace
}  // namespace ballast
