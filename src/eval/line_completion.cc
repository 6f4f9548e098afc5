#include "eval/line_completion.h"

#include <algorithm>
#include <map>
#include <unordered_map>

#include "base/error.h"
#include "base/interrupt.h"
#include "base/progress.h"
#include "base/rng.h"
#include "eval/metrics.h"

namespace ballast {
namespace {

constexpr int64_t kShortestLine = 5, kLongestLine = 120;  // characters
constexpr uint64_t kTaskStream = 0x6c696e65;

struct Line {
  size_t begin = 0, end = 0;  // without the line break
  bool in_string = false;     // begins inside a string that was opened on a line before
};

// Lines of Python source with the one thing that needs a scanner: whether they begin inside a triple-quoted string.
std::vector<Line> scan_lines(std::string_view text) {
  std::vector<Line> lines;
  char quote = 0;       // of the string we are in
  bool triple = false;  // one of those that run over lines
  Line line;
  for (size_t i = 0; i <= text.size(); ++i) {
    const char c = i < text.size() ? text[i] : '\n';
    if (c == '\n') {
      line.end = i;
      lines.push_back(line);
      if (!triple) quote = 0;
      line = {i + 1, 0, quote != 0};
    } else if (quote != 0 && c == '\\') {
      if (i + 1 < text.size() && text[i + 1] != '\n') ++i;
    } else if (quote != 0) {
      if (c != quote || (triple && text.substr(i, 3) != std::string(3, quote))) continue;
      i += triple ? 2 : 0;
      quote = 0;
      triple = false;
    } else if (c == '"' || c == '\'') {
      quote = c;
      triple = text.substr(i, 3) == std::string(3, c);
      i += triple ? 2 : 0;
    } else if (c == '#') {
      i = std::min(text.find('\n', i), text.size()) - 1;
    }
  }
  return lines;
}

int64_t characters(std::string_view text) {
  return std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xC0) != 0x80; });
}

bool is_wanted(const Line& line, std::string_view code) {
  const int64_t length = characters(code);
  if (line.in_string || length < kShortestLine || length > kLongestLine || code.starts_with('#')) return false;
  // A docstring, perhaps with a prefix.
  const std::string_view opening = code.substr(std::min(code.find_first_not_of("rRbBuUfF"), code.size()));
  return !opening.starts_with("\"\"\"") && !opening.starts_with("'''");
}

std::string_view last_lines(std::string_view text, int64_t bytes) {
  if (static_cast<int64_t>(text.size()) <= bytes) return text;
  const size_t cut = text.find('\n', text.size() - static_cast<size_t>(bytes));
  return cut == std::string_view::npos ? text.substr(text.size() - static_cast<size_t>(bytes)) : text.substr(cut + 1);
}

std::string_view first_lines(std::string_view text, int64_t bytes) {
  if (static_cast<int64_t>(text.size()) <= bytes) return text;
  return text.substr(0, text.rfind('\n', static_cast<size_t>(bytes)));  // `text` begins with a line break
}

// The wanted lines of a document, those after one `def` together.
std::vector<std::vector<LineTask>> candidates(const Document& document, const LineTaskOptions& options) {
  std::vector<std::vector<LineTask>> groups(1);
  const std::string_view text = document.text;
  size_t prompt_end = std::string_view::npos;  // end of the last line that is not blank
  int64_t number = 0;
  for (const Line& line : scan_lines(text)) {
    ++number;
    const std::string_view code = trimmed(text.substr(line.begin, line.end - line.begin));
    if (code.empty()) continue;
    if (code.starts_with("def ") || code.starts_with("async def ")) groups.emplace_back();
    if (prompt_end != std::string_view::npos && is_wanted(line, code)) {
      const std::string_view prompt = last_lines(text.substr(0, prompt_end), options.prompt_bytes);
      groups.back().push_back(
          {&document, number, prompt_end, line.begin, line.end, std::string(prompt), std::string(code)});
    }
    prompt_end = line.end;
  }
  return groups;
}

// Lines that are not blank, without blanks at their ends.
std::vector<std::string_view> code_lines(std::string_view text) {
  std::vector<std::string_view> lines;
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find('\n', at), text.size());
    const std::string_view code = trimmed(text.substr(at, end - at));
    if (!code.empty()) lines.push_back(code);
    at = end + 1;
  }
  return lines;
}

void add_record(LineResult& result, const LineTask& task, std::string_view prediction) {
  result.records.push_back({task.document->path, task.line, task.truth, std::string(prediction),
                            exact_match_line(prediction, task.truth), edit_similarity_line(prediction, task.truth)});
}

struct Columns {
  std::vector<double> exact, similarity, one;
  std::vector<int64_t> cluster;
  explicit Columns(const LineResult& r) : one(r.records.size(), 1.0) {
    std::map<std::string, int64_t> files;
    for (const LineRecord& record : r.records) {
      exact.push_back(record.exact);
      similarity.push_back(record.similarity);
      cluster.push_back(files.emplace(record.path, static_cast<int64_t>(files.size())).first->second);
    }
  }
};

bool at_floor(const LineResult& model, const std::vector<LineResult>& rivals, uint64_t seed,
              std::vector<double> Columns::*column) {
  const Columns ours(model);
  for (const LineResult& rival : rivals) {
    CHECK(rival.records.size() == model.records.size());
    const Columns theirs(rival);
    const Interval difference =
        bootstrap_ratio_difference({ours.*column, ours.one}, {theirs.*column, theirs.one}, ours.cluster, seed);
    if (!(difference.lo > 0)) return true;
  }
  return false;
}

// Asks for all tasks' lines, several a call, and records the answers.
template <class F>
void ask(Generator& model, const std::vector<LineTask>& tasks, int max_new_tokens, const char* label,
         LineResult& result, F&& fill_request) {
  constexpr size_t kRequestsPerCall = 8;
  Progress progress(label, static_cast<int64_t>(tasks.size()), "lines");
  for (size_t at = 0; at < tasks.size();) {
    std::vector<GenerateRequest> requests;
    for (size_t i = at; i < std::min(at + kRequestsPerCall, tasks.size()); ++i) {
      GenerateRequest request;
      fill_request(tasks[i], request);
      request.max_new_tokens = max_new_tokens;
      request.one_line = true;
      request.task = i;
      requests.push_back(std::move(request));
    }
    const std::vector<Completion> completions = model.generate(requests);
    CHECK(completions.size() == requests.size());
    for (size_t i = 0; i < completions.size(); ++i, ++at) {
      add_record(result, tasks[at], trimmed(cut_completion(completions[i].text, requests[i])));
    }
    if (interrupted()) fail(ErrorKind::interrupted, "eval", "stopped before it was done");
    progress.update(static_cast<int64_t>(at));
  }
  progress.finish();
}

using Counts = std::map<std::string_view, int64_t>;

std::string_view most_common(const Counts& counts) {
  std::string_view best;
  int64_t most = 0;
  for (const auto& [line, n] : counts) {
    if (n <= most) continue;
    best = line;
    most = n;
  }
  return best;
}

}  // namespace

std::vector<LineTask> make_line_tasks(const Documents& held_out, const LineTaskOptions& options) {
  Rng rng(options.seed, kTaskStream);
  std::vector<LineTask> tasks;
  for (const Document* document : held_out) {
    for (std::vector<LineTask>& group : candidates(*document, options)) {
      if (!group.empty()) tasks.push_back(std::move(group[rng.below(group.size())]));
    }
  }
  for (size_t i = tasks.size(); i > 1; --i) std::swap(tasks[i - 1], tasks[rng.below(i)]);
  tasks.resize(std::min(tasks.size(), static_cast<size_t>(std::max<int64_t>(0, options.count))));
  std::sort(tasks.begin(), tasks.end(), [](const LineTask& a, const LineTask& b) {
    return std::pair(a.document->path, a.line) < std::pair(b.document->path, b.line);
  });
  return tasks;
}

double LineResult::exact_match() const {
  const auto hits = std::count_if(records.begin(), records.end(), [](const LineRecord& r) { return r.exact; });
  return records.empty() ? 0 : static_cast<double>(hits) / static_cast<double>(records.size());
}

double LineResult::edit_similarity() const {
  double sum = 0;
  for (const LineRecord& r : records) sum += r.similarity;
  return records.empty() ? 0 : sum / static_cast<double>(records.size());
}

Interval LineResult::exact_match_interval(uint64_t seed) const {
  const Columns c(*this);
  return bootstrap_ratio({c.exact, c.one}, c.cluster, seed);
}

Interval LineResult::edit_similarity_interval(uint64_t seed) const {
  const Columns c(*this);
  return bootstrap_ratio({c.similarity, c.one}, c.cluster, seed);
}

Json LineResult::to_json(uint64_t seed) const {
  Json json = Json::object(), lines = Json::array();
  const Interval em = exact_match_interval(seed), es = edit_similarity_interval(seed);
  json["name"] = name;
  json["note"] = note;
  json["lines"] = static_cast<int64_t>(records.size());
  json["exact_match"] = exact_match();
  json["exact_match_lo"] = em.lo;
  json["exact_match_hi"] = em.hi;
  json["edit_similarity"] = edit_similarity();
  json["edit_similarity_lo"] = es.lo;
  json["edit_similarity_hi"] = es.hi;
  json["edit_similarity_kind"] = "indel ratio";
  json["interval"] = "95 % bootstrap over files";
  for (const LineRecord& r : records) {
    Json line = Json::object();
    line["path"] = r.path;
    line["line"] = r.line;
    line["truth"] = r.truth;
    line["prediction"] = r.prediction;
    line["exact"] = r.exact;
    line["similarity"] = r.similarity;
    lines.push_back(std::move(line));
  }
  json["records"] = std::move(lines);
  return json;
}

LineResult complete_lines(Generator& model, const std::vector<LineTask>& tasks, int max_new_tokens) {
  LineResult result{"model", fmt::format("greedy, at most {} tokens", max_new_tokens), {}};
  ask(model, tasks, max_new_tokens, "line completion", result,
      [](const LineTask& task, GenerateRequest& request) { request.prompt = task.prompt; });
  return result;
}

LineResult infill_lines(Generator& model, const std::vector<LineTask>& tasks, int64_t bytes, int max_new_tokens) {
  LineResult result{
      "infill", fmt::format("greedy, at most {} tokens, {} bytes either side", max_new_tokens, bytes), {}};
  ask(model, tasks, max_new_tokens, "line infilling", result, [&](const LineTask& task, GenerateRequest& request) {
    const std::string_view text = task.document->text;
    request.prompt = last_lines(text.substr(0, task.begin), bytes);
    request.suffix = first_lines(text.substr(task.end), bytes);
  });
  return result;
}

LineResult predict_previous_line(const std::vector<LineTask>& tasks) {
  LineResult result{"previous_line", "the line before, again", {}};
  for (const LineTask& task : tasks) add_record(result, task, code_lines(task.context()).back());
  return result;
}

LineResult predict_successor(const Documents& train, const std::vector<LineTask>& tasks) {
  LineResult result{"successor", "what most often follows the line before in the training part", {}};
  std::unordered_map<std::string_view, Counts> successors;  // of the lines that are asked for
  for (const LineTask& task : tasks) successors[code_lines(task.context()).back()];
  Counts all;
  for (const Document* document : train) {
    const std::vector<std::string_view> lines = code_lines(document->text);
    for (size_t i = 1; i < lines.size(); ++i) {
      ++all[lines[i]];
      const auto it = successors.find(lines[i - 1]);
      if (it != successors.end()) ++it->second[lines[i]];
    }
  }
  const std::string_view fallback = most_common(all);
  for (const LineTask& task : tasks) {
    const Counts& counts = successors[code_lines(task.context()).back()];
    add_record(result, task, counts.empty() ? fallback : most_common(counts));
  }
  return result;
}

LineResult predict_in_file_repeat(const std::vector<LineTask>& tasks) {
  LineResult result{"in_file_repeat", "what followed the line before where it last stood in the file", {}};
  for (const LineTask& task : tasks) {
    const std::vector<std::string_view> lines = code_lines(task.context());
    std::string_view prediction;
    for (size_t i = lines.size() - 1; i-- > 0;) {
      if (lines[i] != lines.back()) continue;
      prediction = lines[i + 1];
      break;
    }
    add_record(result, task, prediction);
  }
  return result;
}

bool exact_match_at_floor(const LineResult& model, const std::vector<LineResult>& rivals, uint64_t seed) {
  return at_floor(model, rivals, seed, &Columns::exact);
}

bool edit_similarity_at_floor(const LineResult& model, const std::vector<LineResult>& rivals, uint64_t seed) {
  return at_floor(model, rivals, seed, &Columns::similarity);
}

}  // namespace ballast
