#include "data/corpus/licenses.h"

#include <algorithm>
#include <cctype>
#include <iterator>
#include <unordered_map>
#include <utility>

namespace ballast {
namespace {

constexpr int kDeepest = 16;  // parentheses in an expression
constexpr size_t kLongestExpression = 4096, kLongestName = 120;

char lower(char c) { return static_cast<char>(std::tolower(static_cast<unsigned char>(c))); }
bool is_alnum(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0; }
bool is_digit(char c) { return c >= '0' && c <= '9'; }

// Lower case; everything but letters, digits, '.' and '+' is one blank; filler words go; "v2" is "2".
std::string key_of(std::string_view name) {
  std::string key, word;
  const auto flush = [&] {
    while (word.ends_with('.')) word.pop_back();
    if (word.size() > 1 && word[0] == 'v' && is_digit(word[1])) word.erase(0, 1);
    const bool filler = word == "license" || word == "licence" || word == "licenses" || word == "the" ||
                        word == "version" || word == "software" || word == "licensed" || word == "under" || word == "v";
    if (!word.empty() && !filler) key += (key.empty() ? "" : " ") + word;
    word.clear();
  };
  for (const char c : name) {
    if (is_alnum(c) || c == '.' || c == '+') {
      word += lower(c);
    } else {
      flush();
    }
  }
  flush();
  return key;
}

struct Known {
  const char *key, *id;
};
constexpr Known kNames[] = {
    {"mit", "MIT"},
    {"expat", "MIT"},
    {"mit expat", "MIT"},
    {"expat mit", "MIT"},
    {"mit x11", "MIT"},
    {"x11 mit", "MIT"},
    {"mit style", "MIT"},
    {"mit like", "MIT"},
    {"x11", "X11"},
    {"mit 0", "MIT-0"},
    {"osi approved mit", "MIT"},
    {"http www.opensource.org mit.php", "MIT"},
    {"bsd", "LicenseRef-BSD"},
    {"bsd style", "LicenseRef-BSD"},
    {"bsd like", "LicenseRef-BSD"},
    {"new bsd", "BSD-3-Clause"},
    {"newbsd", "BSD-3-Clause"},
    {"modified bsd", "BSD-3-Clause"},
    {"revised bsd", "BSD-3-Clause"},
    {"bsd 3", "BSD-3-Clause"},
    {"bsd 3 clause", "BSD-3-Clause"},
    {"3 clause bsd", "BSD-3-Clause"},
    {"bsd3", "BSD-3-Clause"},
    {"bsd new", "BSD-3-Clause"},
    {"bsd 3 clauses", "BSD-3-Clause"},
    {"bsd 3clause", "BSD-3-Clause"},
    {"bsd new 3 clause", "BSD-3-Clause"},
    {"bsd 2", "BSD-2-Clause"},
    {"bsd 2 clause", "BSD-2-Clause"},
    {"2 clause bsd", "BSD-2-Clause"},
    {"bsd2", "BSD-2-Clause"},
    {"simplified bsd", "BSD-2-Clause"},
    {"freebsd", "BSD-2-Clause"},
    {"bsd 2 clauses", "BSD-2-Clause"},
    {"bsd 2clause", "BSD-2-Clause"},
    {"bsd simplified", "BSD-2-Clause"},
    {"bsd 4", "BSD-4-Clause"},
    {"bsd 4 clause", "BSD-4-Clause"},
    {"original bsd", "BSD-4-Clause"},
    {"bsd 1 clause", "BSD-1-Clause"},
    {"bsd 3 clause clear", "BSD-3-Clause-Clear"},
    {"apache", "Apache-2.0"},
    {"apache 2", "Apache-2.0"},
    {"apache 2.0", "Apache-2.0"},
    {"apache2", "Apache-2.0"},
    {"apache2.0", "Apache-2.0"},
    {"asl 2", "Apache-2.0"},
    {"asl 2.0", "Apache-2.0"},
    {"asf 2.0", "Apache-2.0"},
    {"al2", "Apache-2.0"},
    {"apl2", "Apache-2.0"},
    {"apache 1.1", "Apache-1.1"},
    {"psf", "PSF-2.0"},
    {"psfl", "PSF-2.0"},
    {"psf 2", "PSF-2.0"},
    {"psf 2.0", "PSF-2.0"},
    {"psf2", "PSF-2.0"},
    {"python foundation", "PSF-2.0"},
    {"python psf", "PSF-2.0"},
    {"python", "Python-2.0"},
    {"python 2", "Python-2.0"},
    {"python 2.0", "Python-2.0"},
    {"python 2.0.1", "Python-2.0.1"},
    {"python style", "Python-2.0"},
    {"python foundation 2", "PSF-2.0"},
    {"cnri python", "CNRI-Python"},
    {"isc", "ISC"},
    {"iscl", "ISC"},
    {"isc iscl", "ISC"},
    {"zlib", "Zlib"},
    {"zlib libpng", "Zlib"},
    {"cc0", "CC0-1.0"},
    {"cc0 1.0", "CC0-1.0"},
    {"cc0 1", "CC0-1.0"},
    {"cc0 1.0 universal", "CC0-1.0"},
    {"unlicense", "Unlicense"},
    {"unlicence", "Unlicense"},
    {"0bsd", "0BSD"},
    {"bsd 0 clause", "0BSD"},
    {"zero clause bsd", "0BSD"},
    {"mpl 1.0", "MPL-1.0"},
    {"mpl 1.1", "MPL-1.1"},
    {"mpl", "MPL-2.0"},
    {"mpl 2", "MPL-2.0"},
    {"mpl 2.0", "MPL-2.0"},
    {"mozilla public 2.0", "MPL-2.0"},
    {"mpl2", "MPL-2.0"},
    {"artistic", "Artistic-1.0"},
    {"artistic 1", "Artistic-1.0"},
    {"artistic 1.0", "Artistic-1.0"},
    {"artistic 2", "Artistic-2.0"},
    {"artistic 2.0", "Artistic-2.0"},
    {"bsl 1.0", "BSL-1.0"},
    {"bsl", "BSL-1.0"},
    {"boost 1.0", "BSL-1.0"},
    {"boost", "BSL-1.0"},
    {"hpnd", "HPND"},
    {"ncsa", "NCSA"},
    {"wtfpl", "WTFPL"},
    {"wtfpl 2", "WTFPL"},
    {"postgresql", "PostgreSQL"},
    {"ofl 1.1", "OFL-1.1"},
    {"epl 1.0", "EPL-1.0"},
    {"epl 2.0", "EPL-2.0"},
    {"cddl 1", "CDDL-1.0"},
    {"cddl 1.0", "CDDL-1.0"},
    {"zpl", "ZPL-2.1"},
    {"zpl 2.0", "ZPL-2.0"},
    {"zpl 2.1", "ZPL-2.1"},
    {"zope public", "ZPL-2.1"},
    {"cc by 3.0", "CC-BY-3.0"},
    {"cc by 4.0", "CC-BY-4.0"},
    {"cc by sa 3.0", "CC-BY-SA-3.0"},
    {"cc by sa 4.0", "CC-BY-SA-4.0"},
    {"public domain", "LicenseRef-public-domain"},
    {"pd", "LicenseRef-public-domain"},
    {"fsfap", "FSFAP"},
    {"upl 1.0", "UPL-1.0"},
    {"bsl 1.1", "BUSL-1.1"},
    {"eupl 1.2", "EUPL-1.2"},
    {"busl 1.1", "BUSL-1.1"},
    {"elastic 2.0", "Elastic-2.0"},
    {"sspl 1.0", "SSPL-1.0"},
    {"json", "JSON"},
    {"ms rl", "MS-RL"},
    {"rpl 1.5", "RPL-1.5"},
    {"cpl 1.0", "CPL-1.0"},
    {"osl 3.0", "OSL-3.0"},
    {"qpl 1.0", "QPL-1.0"},
    {"cecill 2.1", "CECILL-2.1"},
    {"odbl 1.0", "ODbL-1.0"},
    {"cc by nc 4.0", "CC-BY-NC-4.0"},
    {"cc by nc sa 4.0", "CC-BY-NC-SA-4.0"},
    {"cc by nc nd 4.0", "CC-BY-NC-ND-4.0"},
    {"cc by nd 4.0", "CC-BY-ND-4.0"},
};

constexpr const char* kPermissive[] = {"MIT",          "MIT-0",
                                       "X11",          "LicenseRef-BSD",
                                       "BSD-1-Clause", "BSD-2-Clause",
                                       "BSD-3-Clause", "BSD-3-Clause-Clear",
                                       "BSD-4-Clause", "BSD-2-Clause-Patent",
                                       "Apache-2.0",   "PSF-2.0",
                                       "Python-2.0",   "Python-2.0.1",
                                       "CNRI-Python",  "ISC",
                                       "Zlib",         "CC0-1.0",
                                       "Unlicense",    "0BSD"};

// "gpl 2+", "lgpl2.1", "gnu lesser general public 3 or later lgplv3+", "agpl 3": the family and what is said of the
// version.
std::string gnu_id(const std::string& key) {
  std::string family;
  if (key.find("agpl") != std::string::npos || key.find("affero") != std::string::npos) {
    family = "AGPL";
  } else if (key.find("lgpl") != std::string::npos || key.find("lesser general public") != std::string::npos ||
             key.find("library general public") != std::string::npos || key.find("lesser gpl") != std::string::npos) {
    family = "LGPL";
  } else if (key.starts_with("gpl") || key.starts_with("gnu general public") || key.starts_with("gnu gpl")) {
    family = "GPL";
  } else {
    return {};
  }
  const size_t at = key.find_first_of("123");
  const bool later = key.find('+') != std::string::npos || key.find("or later") != std::string::npos ||
                     key.find("or newer") != std::string::npos || key.find("or any later") != std::string::npos;
  std::string version;
  if (at == std::string::npos)
    return family + (family == "GPL" ? "-1.0" : family == "LGPL" ? "-2.0" : "-3.0") + "-or-later";
  version = key[at];
  version += at + 2 < key.size() && key[at + 1] == '.' && is_digit(key[at + 2]) ? "." + key.substr(at + 2, 1) : ".0";
  return family + "-" + version + (later ? "-or-later" : "-only");
}

std::string reference_of(std::string_view name) {
  std::string id = "LicenseRef-";
  for (const char c : name.substr(0, kLongestName)) {
    if (is_alnum(c) || c == '.') {
      id += c;
    } else if (!id.ends_with('-')) {
      id += '-';
    }
  }
  while (id.ends_with('-')) id.pop_back();
  return id == "LicenseRef" ? kUnknownLicense : id;
}

// A parsed expression. `name` where it is a leaf, else its parts joined by `op`.
struct Node {
  std::string name;
  char op = 0;  // '&' or '|'
  std::vector<Node> parts;
};

class ExpressionParser {
 public:
  explicit ExpressionParser(std::string_view text) {
    for (size_t at = 0; at < text.size();) {
      const char c = text[at];
      if (std::isspace(static_cast<unsigned char>(c)) != 0) {
        ++at;
      } else if (c == '(' || c == ')' || c == ',' || c == ';') {
        words_.push_back(text.substr(at++, 1));
      } else {
        const size_t end = std::min(text.find_first_of(" \t\r\n\f\v(),;", at), text.size());
        words_.push_back(text.substr(at, end - at));
        at = end;
      }
    }
  }

  // A comma before "and" or "or" binds weaker than they do: Debian's copyright format 1.0, section 7.2.
  Node parse() {
    Node all = list(0);
    if (at_ < words_.size() && all.op == 0) all = {kUnknownLicense, 0, {}};
    if (at_ < words_.size() && all.op != 0) all = join('&', std::move(all), {kUnknownLicense, 0, {}});
    return all;
  }

 private:
  bool is_word(size_t at, std::string_view word) const {
    return at < words_.size() && words_[at].size() == word.size() &&
           std::equal(word.begin(), word.end(), words_[at].begin(), [](char a, char b) { return a == lower(b); });
  }
  // The operator at the cursor and how many words it takes, when it is of this strength; 0: none.
  char operator_here(bool weak, char strength, size_t& words) const {
    size_t at = at_;
    const bool comma = at < words_.size() && (words_[at] == "," || words_[at] == ";");
    if (comma) ++at;
    if (comma != weak) return 0;
    const char op = is_word(at, "and") ? '&' : is_word(at, "or") ? '|' : 0;
    if (op == 0 && comma) {  // a plain list
      words = 1;
      return '&';
    }
    if (op == 0 || (strength != 0 && op != strength)) return 0;
    words = at + 1 - at_;
    return op;
  }
  Node list(int depth) {
    Node left = strong(depth, '|');
    size_t words = 0;
    while (const char op = operator_here(true, 0, words)) {
      at_ += words;
      left = join(op, std::move(left), strong(depth, '|'));
    }
    return left;
  }
  Node strong(int depth, char op) {
    Node left = op == '|' ? strong(depth, '&') : atom(depth);
    size_t words = 0;
    while (operator_here(false, op, words) == op) {
      at_ += words;
      left = join(op, std::move(left), op == '|' ? strong(depth, '&') : atom(depth));
    }
    return left;
  }
  Node atom(int depth) {
    if (at_ < words_.size() && words_[at_] == "(") {
      if (depth >= kDeepest) {
        at_ = words_.size();
        return {kUnknownLicense, 0, {}};
      }
      ++at_;
      Node inside = list(depth + 1);
      if (at_ < words_.size() && words_[at_] == ")") ++at_;
      return inside;
    }
    std::string name;
    while (at_ < words_.size() && words_[at_] != "(" && words_[at_] != ")" && words_[at_] != "," &&
           words_[at_] != ";" && !is_word(at_, "and") && !or_operator()) {
      if (is_word(at_, "with")) {  // an exception only ever permits more
        skip_exception();
        break;
      }
      name += (name.empty() ? "" : " ") + std::string(words_[at_++]);
    }
    return {name.empty() ? kUnknownLicense : name, 0, {}};
  }
  // "or" that is not part of "or later".
  bool or_operator() const {
    return is_word(at_, "or") && !is_word(at_ + 1, "later") && !is_word(at_ + 1, "newer") &&
           !(is_word(at_ + 1, "any") && is_word(at_ + 2, "later"));
  }
  void skip_exception() {
    while (at_ < words_.size() && words_[at_] != ")" && words_[at_] != "," && !is_word(at_, "and") &&
           !is_word(at_, "or")) {
      ++at_;
    }
  }
  static Node join(char op, Node a, Node b) {
    if (a.op != op) {
      Node joined{{}, op, {}};
      joined.parts.push_back(std::move(a));
      a = std::move(joined);
    }
    if (b.op == op) {
      std::move(b.parts.begin(), b.parts.end(), std::back_inserter(a.parts));
    } else {
      a.parts.push_back(std::move(b));
    }
    return a;
  }

  std::vector<std::string_view> words_;
  size_t at_ = 0;
};

std::string render(const Node& node, char outer, const std::function<std::string(std::string_view)>& resolve) {
  if (node.op == 0) {
    std::string id = node.name == kUnknownLicense ? node.name : spdx_id_of_name(node.name);
    if ((id.empty() || id == "LicenseRef-BSD") && resolve) {
      if (std::string found = resolve(node.name); !found.empty() && found != kUnknownLicense) {
        const bool joined = found.find(' ') != std::string::npos && outer != 0;
        return joined ? "(" + found + ")" : found;
      }
    }
    return id.empty() ? reference_of(node.name) : id;
  }
  std::vector<std::string> parts;
  for (const Node& part : node.parts) {
    std::string text = render(part, node.op, resolve);
    if (std::find(parts.begin(), parts.end(), text) == parts.end()) parts.push_back(std::move(text));
  }
  std::string text = parts.front();
  for (size_t i = 1; i < parts.size(); ++i) text += (node.op == '&' ? " AND " : " OR ") + parts[i];
  return parts.size() > 1 && outer != 0 && outer != node.op ? "(" + text + ")" : text;
}

bool accepts(const Node& node, std::span<const std::string> accepted) {
  const auto one = [&](const Node& part) { return accepts(part, accepted); };
  if (node.op == '&') return std::all_of(node.parts.begin(), node.parts.end(), one);
  if (node.op == '|') return std::any_of(node.parts.begin(), node.parts.end(), one);
  for (const std::string& a : accepted) {
    if (a == "any" || a == node.name) return true;
    if (a == "permissive" &&
        std::find(std::begin(kPermissive), std::end(kPermissive), node.name) != std::end(kPermissive)) {
      return true;
    }
  }
  return false;
}

}  // namespace

std::string spdx_id_of_name(std::string_view name) {
  if (name.size() > kLongestName) return {};
  if (name.starts_with("LicenseRef-")) return std::string(name);
  static const std::unordered_map<std::string, const char*> kIds = [] {
    std::unordered_map<std::string, const char*> ids;
    for (const Known& known : kNames) ids.emplace(known.key, known.id);
    for (const Known& known : kNames) ids.emplace(key_of(known.id), known.id);
    return ids;
  }();
  const std::string key = key_of(name);
  const auto known = kIds.find(key);
  return known == kIds.end() ? gnu_id(key) : known->second;
}

std::string spdx_id_of_classifier(std::string_view classifier) {
  if (!classifier.starts_with("License ::")) return {};
  const size_t last = classifier.rfind("::");
  std::string_view name = classifier.substr(last + 2);
  while (name.starts_with(' ')) name.remove_prefix(1);
  if (name == "OSI Approved" || name == "DFSG approved") return {};
  if (name == "Mozilla Public License 2.0 (MPL 2.0)") return "MPL-2.0";
  if (name == "CC0 1.0 Universal (CC0 1.0) Public Domain Dedication") return "CC0-1.0";
  if (name == "The Unlicense (Unlicense)") return "Unlicense";
  if (name == "Historical Permission Notice and Disclaimer (HPND)") return "HPND";
  if (name == "MIT No Attribution License (MIT-0)") return "MIT-0";
  const std::string id = spdx_id_of_name(name);
  return id.empty() ? reference_of(name) : id;
}

std::string license_expression(std::string_view text, const std::function<std::string(std::string_view)>& resolve) {
  if (text.size() > kLongestExpression) return kUnknownLicense;
  text = text.substr(0, text.find_last_not_of(" \t\r\n.,;") + 1);
  const Node parsed = ExpressionParser(text).parse();
  // "GNU General Public License v3 or later (GPLv3+)": a name with parentheses, not an expression.
  const bool joined = !parsed.parts.empty();
  if (std::string whole = joined ? "" : spdx_id_of_name(text); !whole.empty() && whole != "LicenseRef-BSD")
    return whole;
  return render(parsed, 0, resolve);
}

std::string license_and(const std::string& a, const std::string& b) {
  if (a.empty() || a == b) return b;
  if (b.empty()) return a;
  return license_expression("(" + a + ") and (" + b + ")");
}

bool license_accepted(std::string_view license, std::span<const std::string> accepted) {
  return accepts(ExpressionParser(license.substr(0, kLongestExpression)).parse(), accepted);
}

}  // namespace ballast
