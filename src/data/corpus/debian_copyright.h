// Debian's machine-readable copyright files (debian.org/doc/packaging-manuals/copyright-format/1.0, and DEP-5's
// drafts): paragraphs of fields; "Files:" paragraphs with globs, of which the last that matches a file is the one that
// counts; licenses by short names and expressions, their texts below or in paragraphs of their own. Older files are
// free text, told by known phrases.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace ballast {

class DebianCopyright {
 public:
  bool machine_readable() const { return machine_readable_; }

  // The SPDX expression for a file, `path` relative to the source package's root; kUnknownLicense where nothing is said
  // of it. Installed Python files have lost the folder their sources were in ("src/", "lib/", "python/"): a pattern
  // matches with or without it.
  const std::string& license_of(std::string_view path) const;

  // Every license that a paragraph about files names, in their order: what a free text or a file as a whole says.
  std::vector<std::string> licenses() const;

 private:
  friend DebianCopyright parse_debian_copyright(std::string_view text, std::string_view where);
  struct Stanza {
    std::vector<std::string> patterns;
    std::string license;
  };
  std::vector<Stanza> stanzas_;
  std::string otherwise_;  // the header's license, or the free text's
  bool machine_readable_ = false;
};

// Any bytes parse, for copyright files are written by hand; Error{format} naming `where` is for those that no hand has
// written: more than 8 MB, or more than 100,000 patterns. Time is linear in the text.
DebianCopyright parse_debian_copyright(std::string_view text, std::string_view where = "copyright");

// '*' matches any characters, '/' too; '?' one; a backslash quotes. Time is at most the product of the lengths, and
// patterns that need more characters than the path has are refused at once.
bool glob_matches(std::string_view pattern, std::string_view path);

}  // namespace ballast
