// Line completion: the next line of a held-out file. A prompt ends before the line break, because whether a break
// begins a token of its own is the tokenizer's business; the completion is "\n" and a line. Blank lines between the
// prompt and the line belong to the completion and are not scored.
//
// The same lines are tasks for filling in the middle: then the model also sees what comes after the line.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "base/stats.h"
#include "eval/generator.h"
#include "eval/heldout.h"

namespace ballast {

struct LineTask {
  const Document* document = nullptr;
  int64_t line = 0;           // of the truth, from 1
  size_t prompt_end = 0;      // bytes of the document before the prompt's end
  size_t begin = 0, end = 0;  // the truth's line in the document, without its line break
  std::string prompt;         // the end of that text, whole lines
  std::string truth;          // the line without blanks at its ends
  std::string_view context() const { return std::string_view(document->text).substr(0, prompt_end); }
};

struct LineTaskOptions {
  int64_t count = 200;          // fewer where the files have not as many
  int64_t prompt_bytes = 2048;  // the most of a prompt
  uint64_t seed = 0;
};

// A seeded choice of lines of 5 to 120 characters, not blank, no comment, not in a string over several lines, at most
// one after each `def` of a file. By path and line.
std::vector<LineTask> make_line_tasks(const Documents& held_out, const LineTaskOptions& options);

struct LineRecord {
  std::string path;
  int64_t line = 0;
  std::string truth, prediction;
  bool exact = false;
  int similarity = 0;  // edit_similarity_line
};

struct LineResult {
  std::string name;
  std::string note;
  std::vector<LineRecord> records;

  double exact_match() const;      // share, 0 to 1
  double edit_similarity() const;  // mean, 0 to 100
  // 95 %, resampling files.
  Interval exact_match_interval(uint64_t seed) const;
  Interval edit_similarity_interval(uint64_t seed) const;
  Json to_json(uint64_t seed) const;  // with a record per line
};

// Greedy completions of at most max_new_tokens. Shows its progress.
LineResult complete_lines(Generator& model, const std::vector<LineTask>& tasks, int max_new_tokens = 64);

// "infill": the line between what stands before it, up to the line break, and what stands behind it (data/fim.h), whole
// lines of at most `bytes` on either side. Greedy; the answer's first line that is not blank is scored, like a
// completion's. The model's control() has the FIM tokens. Shows its progress.
LineResult infill_lines(Generator& model, const std::vector<LineTask>& tasks, int64_t bytes, int max_new_tokens = 64);

// The rivals. All of them see the file from its start.
LineResult predict_previous_line(const std::vector<LineTask>& tasks);  // "previous_line": the prompt's last line again
// "successor": what most often follows the prompt's last line in the training part; of equals the first in the
// alphabet; for a line that is not there, what most often follows any line.
LineResult predict_successor(const Documents& train, const std::vector<LineTask>& tasks);
// "in_file_repeat": what followed the prompt's last line where it stood last before; nothing where it did not.
LineResult predict_in_file_repeat(const std::vector<LineTask>& tasks);

// At floor: not better than every rival, the 95 % interval of the difference (resampling files) above 0.
bool exact_match_at_floor(const LineResult& model, const std::vector<LineResult>& rivals, uint64_t seed);
bool edit_similarity_at_floor(const LineResult& model, const std::vector<LineResult>& rivals, uint64_t seed);

}  // namespace ballast
