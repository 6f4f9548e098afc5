#include "data/corpus/debian_copyright.h"

#include <algorithm>
#include <cctype>
#include <optional>
#include <unordered_map>

#include "base/error.h"
#include "data/corpus/licenses.h"

namespace ballast {
namespace {

constexpr size_t kMostBytes = 8 << 20, kMostPatterns = 100'000, kLongestPattern = 4096;
constexpr size_t kMostBody = 64 << 10;  // bytes of a license's text that are looked at

struct Field {
  std::string_view name, value;  // the value with its continuation lines
};
using Paragraph = std::vector<Field>;

bool is_blank(std::string_view line) { return line.find_first_not_of(" \t\r\f\v") == std::string_view::npos; }

bool same_name(std::string_view a, std::string_view b) {
  return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin(), [](unsigned char x, unsigned char y) {
           return std::tolower(x) == std::tolower(y);
         });
}

std::string lower(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(), [](unsigned char c) { return std::tolower(c); });
  return out;
}

std::string_view trimmed(std::string_view text) {
  const size_t first = text.find_first_not_of(" \t\r\n\f\v");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t\r\n\f\v") + 1 - first);
}

// The place of the colon of "Name: value", or npos. A name has no blanks.
size_t colon_of(std::string_view line) {
  const size_t colon = line.find(':');
  if (colon == 0 || colon == std::string_view::npos) return std::string_view::npos;
  return line.substr(0, colon).find_first_of(" \t\r") == std::string_view::npos ? colon : std::string_view::npos;
}

std::vector<Paragraph> paragraphs_of(std::string_view text) {
  std::vector<Paragraph> all(1);
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find('\n', at), text.size());
    const std::string_view line = text.substr(at, end - at);
    const size_t begin = at;
    at = end + 1;
    if (is_blank(line)) {
      if (!all.back().empty()) all.emplace_back();
      continue;
    }
    if (line[0] == '#') continue;
    const bool continues = line[0] == ' ' || line[0] == '\t';
    const size_t colon = continues ? std::string_view::npos : colon_of(line);
    if (colon != std::string_view::npos) {
      all.back().push_back({line.substr(0, colon), line.substr(colon + 1)});
    } else if (!all.back().empty()) {  // a continuation, or a line that someone forgot to indent
      std::string_view& value = all.back().back().value;
      value = text.substr(static_cast<size_t>(value.data() - text.data()),
                          begin + line.size() - static_cast<size_t>(value.data() - text.data()));
    }
  }
  if (all.back().empty()) all.pop_back();
  return all;
}

const Field* find(const Paragraph& paragraph, std::string_view name) {
  for (const Field& f : paragraph) {
    if (same_name(f.name, name)) return &f;
  }
  return nullptr;
}

// A License field: the first line names it, the rest is its text. Some leave the first line empty.
struct LicenseField {
  std::string_view synopsis, body;
};
LicenseField split_license(std::string_view value) {
  const size_t end = std::min(value.find('\n'), value.size());
  return {trimmed(value.substr(0, end)), value.substr(end).substr(0, kMostBody)};
}

std::vector<std::string> split_patterns(std::string_view value) {
  std::vector<std::string> patterns;
  for (size_t at = 0; at < value.size();) {
    const size_t begin = value.find_first_not_of(" \t\r\n,", at);
    if (begin == std::string_view::npos) break;
    const size_t end = std::min(value.find_first_of(" \t\r\n,", begin), value.size());
    std::string_view pattern = value.substr(begin, end - begin);
    at = end;
    while (pattern.starts_with("./")) pattern.remove_prefix(2);
    if (!pattern.empty() && pattern.size() <= kLongestPattern) patterns.emplace_back(pattern);
  }
  return patterns;
}

using Texts = std::unordered_map<std::string, std::string>;  // name in lower case -> what its text says

// Whether an expression has a license in it that is known by name. A text that begins on the line of the field's name
// ("License: Permission to use, copy and modify ...") reads as an expression too, of nothing that is.
bool names_a_license(std::string_view expression) {
  for (size_t at = 0; at < expression.size();) {
    const size_t begin = expression.find_first_not_of(" ()", at);
    if (begin == std::string_view::npos) break;
    const size_t end = std::min(expression.find_first_of(" ()", begin), expression.size());
    const std::string_view word = expression.substr(begin, end - begin);
    at = end;
    if (word == "AND" || word == "OR" || word == kUnknownLicense) continue;
    if (!word.starts_with("LicenseRef-") || word == "LicenseRef-BSD") return true;
  }
  return false;
}

std::string license_of_field(std::string_view value, const Texts& texts) {
  const LicenseField field = split_license(value);
  std::optional<std::string> body;  // told once: an expression may have hundreds of names
  const auto by_text = [&](std::string_view name) -> std::string {
    if (const auto it = texts.find(lower(name)); it != texts.end()) return it->second;
    if (!body) body = is_blank(field.body) ? std::string() : classify_license_text(field.body);
    return *body;
  };
  if (field.synopsis.empty()) return classify_license_text(field.body);
  std::string license = license_expression(field.synopsis, by_text);
  // The text began on the first line, or the name is somebody's own.
  if (!names_a_license(license)) {
    if (std::string told = classify_license_text(value); told != kUnknownLicense) return told;
  }
  return license;
}

bool has_format(const std::vector<Paragraph>& paragraphs) {
  return !paragraphs.empty() &&
         (find(paragraphs.front(), "Format") != nullptr || find(paragraphs.front(), "Format-Specification") != nullptr);
}

bool is_source_folder(std::string_view name) {
  for (const char* known : {"src", "lib", "Lib", "python", "Python", "python3", "py", "py3", "source"}) {
    if (name == known) return true;
  }
  return false;
}

}  // namespace

bool glob_matches(std::string_view pattern, std::string_view path) {
  const size_t literal =
      static_cast<size_t>(std::count_if(pattern.begin(), pattern.end(), [](char c) { return c != '*' && c != '\\'; }));
  if (literal > path.size()) return false;
  size_t p = 0, s = 0, star = std::string_view::npos, resume = 0;
  while (s < path.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = ++p;
      resume = s;
      continue;
    }
    const bool quoted = p + 1 < pattern.size() && pattern[p] == '\\';
    const size_t at = quoted ? p + 1 : p;
    if (at < pattern.size() && (pattern[at] == path[s] || (!quoted && pattern[at] == '?'))) {
      p = at + 1;
      ++s;
    } else if (star != std::string_view::npos) {
      p = star;
      s = ++resume;
    } else {
      return false;
    }
  }
  while (p < pattern.size() && pattern[p] == '*') ++p;
  return p == pattern.size();
}

const std::string& DebianCopyright::license_of(std::string_view path) const {
  for (auto stanza = stanzas_.rbegin(); stanza != stanzas_.rend(); ++stanza) {
    for (const std::string& pattern : stanza->patterns) {
      if (glob_matches(pattern, path)) return stanza->license;
      const size_t slash = pattern.find('/');
      if (slash != std::string::npos && is_source_folder(std::string_view(pattern).substr(0, slash)) &&
          glob_matches(std::string_view(pattern).substr(slash + 1), path)) {
        return stanza->license;
      }
    }
  }
  return otherwise_;
}

std::vector<std::string> DebianCopyright::licenses() const {
  std::vector<std::string> all;
  for (const Stanza& s : stanzas_) all.push_back(s.license);
  if (all.empty()) all.push_back(otherwise_);
  return all;
}

DebianCopyright parse_debian_copyright(std::string_view text, std::string_view where) {
  if (text.size() > kMostBytes)
    fail(ErrorKind::format, std::string(where), "is {} bytes long: not a copyright file", text.size());
  DebianCopyright out;
  out.otherwise_ = kUnknownLicense;
  const std::vector<Paragraph> paragraphs = paragraphs_of(text);
  out.machine_readable_ = has_format(paragraphs);
  // Free text may have "Files:" paragraphs too, as CPython's: they are exceptions to what the text as a whole says.
  if (!out.machine_readable_) out.otherwise_ = classify_license_text(text);
  Texts texts;
  for (const Paragraph& p : paragraphs) {
    const Field* license = find(p, "License");
    if (license == nullptr || find(p, "Files") != nullptr || find(p, "Format") != nullptr) continue;
    const LicenseField field = split_license(license->value);
    if (!field.synopsis.empty() && !is_blank(field.body))
      texts.emplace(lower(field.synopsis), classify_license_text(field.body));
  }
  size_t patterns = 0;
  for (const Paragraph& p : paragraphs) {
    const Field *files = find(p, "Files"), *license = find(p, "License");
    if (license == nullptr) continue;
    if (files == nullptr) {
      if (out.machine_readable_ && &p == &paragraphs.front()) out.otherwise_ = license_of_field(license->value, texts);
      continue;
    }
    DebianCopyright::Stanza stanza{split_patterns(files->value), license_of_field(license->value, texts)};
    patterns += stanza.patterns.size();
    if (patterns > kMostPatterns)
      fail(ErrorKind::format, std::string(where), "has more than {} patterns: not a copyright file", kMostPatterns);
    out.stanzas_.push_back(std::move(stanza));
  }
  return out;
}

}  // namespace ballast
