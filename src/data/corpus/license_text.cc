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
  bool has(std::string_view phrase) const { return plain_.find(phrase) != std::string::npos; }
  std::string_view after(std::string_view phrase, size_t length) const {
    const size_t at = plain_.find(phrase);
    return at == std::string::npos ? std::string_view() : std::string_view(plain_).substr(at + phrase.size(), length);
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
    {"common-licenses/artistic", "Artistic-1.0"},
    {"do what the fuck you want", "WTFPL"},
    {"all rights reserved. no part of this", "LicenseRef-proprietary"},
};
constexpr Phrase kPermissiveTexts[] = {
    {"common-licenses/apache-2.0", "Apache-2.0"},
    {"apache license version 2.0", "Apache-2.0"},
    {"apache license, version 2.0", "Apache-2.0"},
    {"apache.org/licenses/license-2.0", "Apache-2.0"},
    {"common-licenses/bsd", "BSD-3-Clause"},
    {"this is free and unencumbered software released into the public domain", "Unlicense"},
    {"cc0 1.0 universal", "CC0-1.0"},
    {"creativecommons.org/publicdomain/zero", "CC0-1.0"},
    {"altered source versions must be plainly marked as such", "Zlib"},
    {"released under the mit license", "MIT"},
    {"licensed under the mit license", "MIT"},
};

}  // namespace

std::string classify_license_text(std::string_view raw) {
  const Text text(raw);
  // CPython's own file tells of the GPL in its history, and its license stands among others'.
  if (text.has("python software foundation license version 2") || text.has("psf license agreement for python")) {
    return "PSF-2.0";
  }
  std::string found;
  const auto add = [&](const std::string& id) { found = license_and(found, id); };
  for (const Phrase& p : kOthers) {
    if (text.has(p.phrase)) add(p.id);
  }
  if (!text.has("mozilla public license")) add(gnu(text));  // the MPL names the GPL as a secondary license
  add(mit(text));
  add(bsd(text));
  add(isc(text));
  for (const Phrase& p : kPermissiveTexts) {
    if (text.has(p.phrase) && found.find(p.id) == std::string::npos) add(p.id);
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
