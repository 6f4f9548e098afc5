// Reads the program's help: which commands there are, and which flags and keys a command has.
#pragma once

#include <gtest/gtest.h>

#include <iterator>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "e2e/child.h"

namespace ballast::e2e {

inline std::vector<std::string> words(const std::string& text) {
  std::istringstream in(text);
  return {std::istream_iterator<std::string>(in), {}};
}

inline std::vector<std::string> commands() {
  std::vector<std::string> names;
  std::istringstream tour(run({"--help"}).out);
  const std::regex entry("^  ([a-z]+( [a-z]+)?)  .*");
  std::smatch match;
  for (std::string line; std::getline(tour, line);)
    if (std::regex_match(line, match, entry)) names.push_back(match[1]);
  return names;
}

inline std::string help_of(const std::string& command) {
  std::vector<std::string> line = words(command);
  line.push_back("-h");
  const Result r = run(line);
  EXPECT_EQ(r.code, 0) << command;
  EXPECT_EQ(r.err, "") << command;
  return r.out;
}

// Flags and keys in a help text: "-t", "--threads", "--model.hidden_size".
inline std::set<std::string> names_in(const std::string& help) {
  std::set<std::string> names;
  std::istringstream lines(help);
  const std::regex flag("^  (--?[A-Za-z][\\w.-]*)(, (--[\\w.-]+))?.*");
  std::smatch match;
  for (std::string line; std::getline(lines, line);) {
    if (!std::regex_match(line, match, flag)) continue;
    names.insert(match[1]);
    if (match[3].matched) names.insert(match[3]);
  }
  return names;
}

}  // namespace ballast::e2e
