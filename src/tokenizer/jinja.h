// The part of Jinja 3 that chat templates use, with the settings that Hugging Face's transformers renders them with
// (trim_blocks, lstrip_blocks). What is not known here is refused by its name, never skipped.
//
// Known: text, comments, {{ }}, if, for, set (names, namespace attributes, blocks); literals, lists, dicts, slices,
// + - * / // % ~, comparisons, in, and, or, not, "a if b else c"; the filters, tests, methods and functions that
// jinja_values.cc lists.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "base/json.h"

namespace ballast {

namespace jinja {
struct Statement;
}

class Jinja {
 public:
  // `where` names the template in errors. Throws Error{format} with the line where it does not parse, Error{unsupported}
  // for statements that are not known.
  Jinja(std::string_view source, std::string where);

  // `variables` is an object. Throws Error{usage} where the template itself raises an exception or uses what is
  // undefined, Error{unsupported} for filters, tests, methods and functions that are not known, and where rendering
  // takes unreasonably long or much.
  std::string render(const Json& variables) const;

 private:
  std::string where_;
  std::shared_ptr<const jinja::Statement> root_;
};

}  // namespace ballast
