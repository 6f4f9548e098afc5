// TOML files as Json trees: tables are objects, in the order of the text. Dates and times are refused. The parser is
// toml++, behind this header because including it costs seconds per file.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "base/json.h"

namespace ballast {

// Throw Error{format} with `where`, line and column; read_toml also Error{file}.
Json parse_toml(std::string_view text, std::string_view where = "TOML");
Json read_toml(const std::filesystem::path& file);

// `object` as TOML: an object inside it is a [section], one inside an array an inline table. TOML has no null: it is
// written as "none", which base/config.h reads as nothing.
std::string write_toml(const Json& object);

}  // namespace ballast
