// Licenses by their texts. The phrases are those that no other license has; they are compared in lower case, with runs
// of blanks and comment signs as one blank.
#include <algorithm>
#include <cctype>
#include <string>
#include <string_view>

#include "data/corpus/licenses.h"

namespace ballast {
namespace {

constexpr size_t kMostText = 256 << 10;  // bytes of a license text that are read
constexpr size_t kTagWithin = 2048;      // bytes of a source file that may hold an SPDX tag

std::string plain(std::string_view text) {
  std::string out;
  for (const char c : text.substr(0, kMostText)) {
    const bool blank = std::isspace(static_cast<unsigned char>(c)) != 0 || c == '#' || c == '*' || c == '"' ||
                       c == '`' || c == '\'' || c == '\0';
    if (!blank) {
      out += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    } else if (!out.ends_with(' ')) {
      out += ' ';
    }
  }
  return out;
}

class Text {
 public:
  explicit Text(std::string_view text) : plain_(plain(text)) {}
  bool has(std::string_view phrase) const { return find(phrase, 0) != std::string::npos; }
  size_t find(std::string_view phrase, size_t from) const { return plain_.find(phrase, from); }
  Text part(size_t begin, size_t end) const { return Text(from(begin, end - begin)); }
  std::string_view from(size_t at, size_t length) const { return std::string_view(plain_).substr(at, length); }
  std::string_view before(size_t at, size_t length) const {
    return from(at - std::min(at, length), std::min(at, length));
  }
  std::string_view after(std::string_view phrase, size_t length) const {
    const size_t at = find(phrase, 0);
    return at == std::string::npos ? std::string_view() : from(at + phrase.size(), length);
  }

 private:
  std::string plain_;
};

// What follows the family's name tells the version: "version 2", "v3", "-2.1".
std::string gnu_version(const Text& text, std::string_view family, std::string_view phrase) {
  std::string_view rest = text.after(phrase, 80);
  const size_t digit = rest.find_first_of("123");
  const bool later = text.has("any later version") || text.has("or later") || text.has("or newer");
  if (digit == std::string_view::npos || (digit > 0 && std::isdigit(static_cast<unsigned char>(rest[digit - 1])) != 0))
    return std::string(family) + (family == "GPL" ? "-1.0" : family == "LGPL" ? "-2.0" : "-3.0") + "-or-later";
  std::string version(1, rest[digit]);
  version += digit + 2 < rest.size() && rest[digit + 1] == '.' && rest[digit + 2] == '1' ? ".1" : ".0";
  return std::string(family) + "-" + version + (later ? "-or-later" : "-only");
}

std::string gnu(const Text& text) {
  for (const char* phrase : {"gnu affero general public license", "common-licenses/agpl"})
    if (text.has(phrase)) return gnu_version(text, "AGPL", phrase);
  for (const char* phrase :
       {"gnu lesser general public license", "gnu library general public license",
        "gnu library or lesser general public license", "common-licenses/lgpl", "gnu lgpl", "lgplv"})
    if (text.has(phrase)) return gnu_version(text, "LGPL", phrase);
  for (const char* phrase : {"gnu general public license", "common-licenses/gpl", "gnu gpl", "gnu public license",
                             "gplv", "under the gpl", "terms of the gpl"})
    if (text.has(phrase)) return gnu_version(text, "GPL", phrase);
  return {};
}

std::string bsd(const Text& text) {
  if (!text.has("redistribution and use in source and binary forms") &&
      !text.has("redistribution and use of this software in source and binary forms")) {
    return {};
  }
  if (text.has("all advertising materials")) return "BSD-4-Clause";
  const bool name = text.has("neither the name") || text.has("may not be used to endorse or promote") ||
                    text.has("endorse or promote products derived");
  return name ? "BSD-3-Clause" : "BSD-2-Clause";
}

std::string isc(const Text& text) {
  for (const char* verb : {"and distribute", "and/or distribute"}) {
    if (!text.has(std::string("permission to use, copy, modify, ") + verb + " this software for any purpose with or"))
      continue;
    return text.has("provided that the above copyright notice") ? "ISC" : "0BSD";
  }
  return {};
}

std::string mit(const Text& text) {
  if (!text.has("permission is hereby granted, free of charge, to any person obtaining a copy of this software"))
    return {};
  return text.has("above copyright notice and this permission notice") ? "MIT" : "MIT-0";
}

struct Phrase {
  const char *phrase, *id;
};
// Licenses that restrict what the permissive ones allow. They name those freely ("Change License: Apache License",
// "others under the MIT license"), so both are kept, joined by AND.
constexpr Phrase kOthers[] = {
    {"mozilla public license", "MPL-2.0"},
    {"eclipse public license", "EPL-2.0"},
    {"common development and distribution license", "CDDL-1.0"},
    {"european union public licen", "EUPL-1.2"},
    {"zope public license", "ZPL-2.1"},
    {"boost software license", "BSL-1.0"},
    {"sil open font license", "OFL-1.1"},
    {"creative commons attribution-sharealike", "CC-BY-SA-4.0"},
    {"creative commons attribution 4.0", "CC-BY-4.0"},
    {"by-nc-sa", "CC-BY-NC-SA-4.0"},
    {"by-nc-nd", "CC-BY-NC-ND-4.0"},
    {"cc-by-nc", "CC-BY-NC-4.0"},
    {"cc by-nc", "CC-BY-NC-4.0"},
    {"licenses/by-nc/", "CC-BY-NC-4.0"},
    {"cc-by-nd", "CC-BY-ND-4.0"},
    {"licenses/by-nd/", "CC-BY-ND-4.0"},
    {"common-licenses/artistic", "Artistic-1.0"},
    {"do what the fuck you want", "WTFPL"},
    {"all rights reserved. no part of this", "LicenseRef-proprietary"},
    {"confidential and proprietary", "LicenseRef-proprietary"},
    {"proprietary and confidential", "LicenseRef-proprietary"},
    {"business source license", "BUSL-1.1"},
    {"commons clause", "LicenseRef-Commons-Clause"},
    {"elastic license", "Elastic-2.0"},
    {"server side public license", "SSPL-1.0"},
    {"functional source license", "LicenseRef-FSL"},
    {"sustainable use license", "LicenseRef-Sustainable-Use"},
    {"redis source available license", "LicenseRef-RSAL"},
    {"confluent community license", "LicenseRef-Confluent-Community"},
    {"polyform", "LicenseRef-PolyForm"},
    {"prosperity public license", "LicenseRef-Prosperity"},
    {"hippocratic license", "LicenseRef-Hippocratic"},
    {"anti-996 license", "LicenseRef-Anti-996"},
    {"anti 996 license", "LicenseRef-Anti-996"},
    {"community license agreement", "LicenseRef-community-license"},
    {"used for good, not evil", "JSON"},
    {"microsoft reciprocal license", "MS-RL"},
    {"reciprocal public license", "RPL-1.5"},
    {"common public license", "CPL-1.0"},
    {"open software license", "OSL-3.0"},
    {"q public license", "QPL-1.0"},
    {"cecill", "CECILL-2.1"},
    {"open database license", "ODbL-1.0"},
    {"academic use only", "LicenseRef-non-commercial"},
    {"academic purposes only", "LicenseRef-non-commercial"},
    {"academic and research purposes only", "LicenseRef-non-commercial"},
    {"educational purposes only", "LicenseRef-non-commercial"},
    {"research use only", "LicenseRef-non-commercial"},
    {"research purposes only", "LicenseRef-non-commercial"},
    {"personal use only", "LicenseRef-non-commercial"},
    {"evaluation purposes only", "LicenseRef-non-commercial"},
    {"internal use only", "LicenseRef-non-commercial"},
    {"not for commercial use", "LicenseRef-non-commercial"},
    {"not be used for commercial", "LicenseRef-non-commercial"},
    {"not be used commercially", "LicenseRef-non-commercial"},
    {"commercial use is prohibited", "LicenseRef-non-commercial"},
    {"commercial use is not", "LicenseRef-non-commercial"},
    {"commercial use is forbidden", "LicenseRef-non-commercial"},
    {"commercial use requires", "LicenseRef-non-commercial"},
    {"requires a commercial license", "LicenseRef-non-commercial"},
};
constexpr Phrase kPermissiveTexts[] = {
    {"common-licenses/apache-2.0", "Apache-2.0"},
    {"apache license version 2.0", "Apache-2.0"},
    {"apache license, version 2.0", "Apache-2.0"},
    {"apache.org/licenses/license-2.0", "Apache-2.0"},
    {"common-licenses/bsd", "BSD-3-Clause"},
    {"python software foundation license version 2", "PSF-2.0"},
    {"psf license agreement for python", "PSF-2.0"},
    {"this is free and unencumbered software released into the public domain", "Unlicense"},
    {"cc0 1.0 universal", "CC0-1.0"},
    {"creativecommons.org/publicdomain/zero", "CC0-1.0"},
    {"altered source versions must be plainly marked as such", "Zlib"},
    {"released under the mit license", "MIT"},
    {"licensed under the mit license", "MIT"},
};

// "for non-commercial use only", but not "for any purpose, commercial or non-commercial", nor the GPL's way of handing
// out source, nor "a non-commercially developed program".
bool is_non_commercial(const Text& text) {
  for (const std::string_view word : {"non-commercial", "noncommercial", "non commercial"}) {
    for (size_t at = text.find(word, 0); at != std::string::npos; at = text.find(word, at + 1)) {
      const std::string_view before = text.before(at, 60),
                             near = before.substr(before.size() - std::min<size_t>(before.size(), 22));
      const std::string_view after = text.from(at + word.size(), 30);
      const bool either = near.find("commercial") != std::string_view::npos ||
                          after.find("or commercial") != std::string_view::npos ||
                          after.find("and commercial") != std::string_view::npos;
      if (either || after.starts_with("ly developed") ||
          before.find("alternative is allowed only") != std::string_view::npos)
        continue;
      return true;
    }
  }
  return false;
}

std::string classify(const Text& text) {
  std::string found;
  const auto add = [&](const std::string& id) {
    if (found.find(id) == std::string::npos) found = license_and(found, id);
  };
  for (const Phrase& p : kOthers) {
    if (text.has(p.phrase)) add(p.id);
  }
  if (is_non_commercial(text)) add("LicenseRef-non-commercial");
  if (!text.has("mozilla public license")) add(gnu(text));  // the MPL names the GPL as a secondary license
  add(mit(text));
  add(bsd(text));
  add(isc(text));
  for (const Phrase& p : kPermissiveTexts) {
    if (text.has(p.phrase)) add(p.id);
  }
  return found;
}

}  // namespace

// CPython's own license file tells of the GPL in its history, and Debian's copyright file of it, of the licenses of
// what CPython incorporates. That part of a text is the PSF's; what else stands in it counts as it does anywhere.
std::string classify_license_text(std::string_view raw) {
  const Text text(raw);
  const size_t history = text.find("history of the software", 0);
  const size_t beopen = text.find("beopen.com license agreement for python", history);
  std::string found;
  if (history == std::string::npos || beopen == std::string::npos) {
    found = classify(text);
  } else {
    constexpr std::string_view kLastWords =
        "arising out of or in connection with the use or performance of this software";
    const size_t end = text.find(kLastWords, beopen);  // of CWI's license, the last of the four
    found = license_and(classify(text.part(0, history)), "PSF-2.0");
    if (end != std::string::npos &&
        text.find("licenses and acknowledgements for incorporated software", beopen) == std::string::npos)
      found = license_and(found, classify(text.part(end + kLastWords.size(), std::string::npos)));
  }
  return found.empty() ? kUnknownLicense : found;
}

std::string spdx_tag(std::string_view source) {
  constexpr std::string_view kTag = "SPDX-License-Identifier:";
  const std::string_view head = source.substr(0, kTagWithin);
  const size_t at = head.find(kTag);
  if (at == std::string_view::npos) return {};
  // A tag stands in a comment of its own; a program may also speak of tags.
  const size_t begin = at == 0 ? 0 : head.rfind('\n', at - 1) + 1;
  if (head.substr(begin, at - begin).find_first_not_of(" \t#/*-<!;") != std::string_view::npos) return {};
  std::string_view line = head.substr(at + kTag.size());
  line = line.substr(0, line.find('\n'));
  const size_t last = line.find_last_not_of(" \t\r*/-#>");
  return last == std::string_view::npos ? std::string() : license_expression(line.substr(0, last + 1));
}

}  // namespace ballast
