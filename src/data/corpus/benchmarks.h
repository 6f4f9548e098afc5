// Keeps benchmark problems out of the corpus, by their words: lower-cased tokens (\w+ or one other character), runs of
// ten of them, those with fewer than four identifiers left out because tables of numbers would dominate. A document
// with at least eight different runs of one set of benchmark files goes, and so does one with a problem's entry point
// and the first sentence of its docstring.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace ballast {

class BenchmarkTexts {
 public:
  // Every string in the records of a JSON or JSONL file counts, at any depth. Throws Error{file} or {format}.
  void add_file(const std::filesystem::path& path);
  bool empty() const { return runs_.empty() && entry_points_.empty(); }
  size_t runs() const { return runs_.size(); }

  // Why the document goes ("benchmark text: 31 runs of HumanEval.jsonl"), or nothing. Safe from several threads.
  std::string reason(std::string_view text) const;

 private:
  struct Problem {
    uint32_t file;
    std::string name, sentence;  // sentence: lower case, single blanks
  };
  void add_text(std::string_view text, uint32_t file);
  void add_problem(const class Json& record, uint32_t file, int64_t line);

  std::vector<std::string> files_;
  std::unordered_map<uint64_t, uint32_t> runs_;                      // hash -> the first file that has it
  std::unordered_map<uint64_t, std::vector<Problem>> entry_points_;  // hash of the lower-cased name
};

inline constexpr int kRunTokens = 10, kRunIdentifiers = 4, kMostRuns = 8;  // kMostRuns: that many and the document goes

}  // namespace ballast
