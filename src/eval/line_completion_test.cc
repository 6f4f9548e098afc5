#include "eval/line_completion.h"

#include <gtest/gtest.h>

#include <set>

#include "eval/metrics.h"
#include "eval/scripted_generator.h"

namespace ballast {
namespace {

const char kSource[] = R"("""Module text that is prose and
not to be completed, also not this line."""
import first_module

# a comment that is long enough
def alpha(one):
    r'''Docstring of alpha.

    value = "inside of a docstring"
    '''
    value = one + 1  # "quote in a comment
    pass

    return value * 2


def beta(two):
    text = "it's" + 'a "quoted" \' word'
    value = two + 1  # "quote in a comment
    return text, value
)";

std::vector<Document> documents_of(int copies) {
  std::vector<Document> documents;
  for (int i = 0; i < copies; ++i) documents.push_back({"f" + std::to_string(i), "p", kSource, Split::held_out});
  return documents;
}

Documents pointers(const std::vector<Document>& documents) {
  Documents out;
  for (const Document& d : documents) out.push_back(&d);
  return out;
}

TEST(LineTasks, AreCodeLinesAndOnePerFunction) {
  const auto documents = documents_of(200);
  const auto tasks = make_line_tasks(pointers(documents), {.count = 100000});
  std::set<std::string> truths;
  for (const LineTask& t : tasks) truths.insert(t.truth);
  EXPECT_EQ(truths,
            (std::set<std::string>{"import first_module", "def alpha(one):", "value = one + 1  # \"quote in a comment",
                                   "return value * 2", "def beta(two):", "text = \"it's\" + 'a \"quoted\" \\' word'",
                                   "value = two + 1  # \"quote in a comment", "return text, value"}));
  EXPECT_EQ(tasks.size(), 600u);  // before the first def, after it, after the second
}

TEST(LineTasks, PromptAndTruthAreTheFile) {
  const auto documents = documents_of(30);
  for (const LineTask& t : make_line_tasks(pointers(documents), {.count = 50, .prompt_bytes = 120, .seed = 2})) {
    const std::string& text = t.document->text;
    EXPECT_LE(t.prompt.size(), 120u);
    EXPECT_TRUE(t.context().ends_with(t.prompt));
    EXPECT_NE(t.prompt.back(), '\n') << "the prompt ends before the line break";
    EXPECT_EQ(text[t.prompt_end], '\n');
    if (t.prompt.size() < t.prompt_end) {
      EXPECT_EQ(text[t.prompt_end - t.prompt.size() - 1], '\n') << "whole lines";
    }
    const std::string rest = text.substr(t.prompt_end);
    GenerateRequest one_line;
    one_line.one_line = true;
    EXPECT_EQ(trimmed(cut_completion(rest, one_line)), t.truth);
    const auto breaks =
        std::count(text.begin(), text.begin() + static_cast<long>(text.find(t.truth, t.prompt_end)), '\n');
    EXPECT_EQ(breaks + 1, t.line);
  }
}

TEST(LineTasks, ChoiceIsSeeded) {
  const auto documents = documents_of(30);
  const auto lines = [&](uint64_t seed) {
    std::vector<std::pair<std::string, int64_t>> out;
    for (const LineTask& t : make_line_tasks(pointers(documents), {.count = 20, .seed = seed})) {
      out.push_back({t.document->path, t.line});
    }
    return out;
  };
  EXPECT_EQ(lines(1), lines(1));
  EXPECT_NE(lines(1), lines(2));
  EXPECT_EQ(lines(1).size(), 20u);
}

LineTask task(const Document& document, const std::string& truth) {
  const size_t end = document.text.size();
  return {&document, 9, end, end, end, document.text, truth};
}

TEST(LineRivals, SayWhatTheirNamesSay) {
  const Document held{"h", "h", "begin_block\nfirst_step\n\nbegin_block\nsecond_step\nother\nbegin_block",
                      Split::held_out};
  const Document fresh{"n", "n", "nobody_wrote_this", Split::held_out};
  const std::vector<LineTask> tasks = {task(held, "second_step"), task(fresh, "x = 1")};
  const std::vector<Document> train = {
      {"a", "a", "  begin_block\n\n  third_step\nbegin_block\nthird_step\ncommon\ncommon\ncommon\ncommon",
       Split::train},
      {"b", "b", "begin_block\nfirst_step\nbegin_block", Split::train},
      {"c", "c", "fourth_step\n", Split::train}};
  const LineResult previous = predict_previous_line(tasks), repeat = predict_in_file_repeat(tasks),
                   successor = predict_successor(pointers(train), tasks);
  EXPECT_EQ(previous.records[0].prediction, "begin_block");
  EXPECT_EQ(previous.records[1].prediction, "nobody_wrote_this");
  EXPECT_EQ(repeat.records[0].prediction, "second_step");
  EXPECT_TRUE(repeat.records[0].exact);
  EXPECT_EQ(repeat.records[1].prediction, "");
  EXPECT_EQ(successor.records[0].prediction, "third_step");
  EXPECT_EQ(successor.records[1].prediction, "common");
  EXPECT_EQ(repeat.exact_match(), 0.5);
}

TEST(LineCompletion, ScoresTheFirstLineThatIsNotBlank) {
  const auto documents = documents_of(5);
  const auto tasks = make_line_tasks(pointers(documents), {.count = 15});
  ScriptedGenerator model;
  model.answer = [&](const GenerateRequest& r) {
    const LineTask& t = tasks[r.task];
    EXPECT_EQ(r.prompt, t.prompt);
    EXPECT_TRUE(r.one_line);
    return r.task % 3 == 0 ? "\n\n  " + t.truth + "\nmore" : "\nwrong_line = 7\n";
  };
  const LineResult result = complete_lines(model, tasks);
  EXPECT_EQ(model.asked.size(), 15u);
  EXPECT_NEAR(result.exact_match(), 1.0 / 3, 1e-12);
  EXPECT_GT(result.edit_similarity(), 100.0 / 3);
  const Json json = result.to_json(1);
  EXPECT_EQ(json.at("records").as_array().size(), 15u);
  EXPECT_LE(json.at("exact_match_lo").as_double(), 1.0 / 3);
}

TEST(LineInfill, AsksForTheLineBetweenItsNeighbors) {
  const auto documents = documents_of(12);
  const auto tasks = make_line_tasks(pointers(documents), {.count = 30, .seed = 4});
  ScriptedGenerator model;
  model.answer = [&](const GenerateRequest& r) {
    const LineTask& t = tasks[r.task];
    const std::string& text = t.document->text;
    const std::string line = text.substr(t.begin, t.end - t.begin);
    EXPECT_EQ(trimmed(line), t.truth);
    EXPECT_TRUE(text.find(r.prompt + line + r.suffix.value()) != std::string::npos) << r.prompt << "|" << *r.suffix;
    EXPECT_LE(r.prompt.size(), 100u);
    EXPECT_LE(r.suffix->size(), 100u);
    EXPECT_TRUE(r.prompt.empty() || r.prompt.back() == '\n');
    EXPECT_EQ(r.suffix->front(), '\n');
    EXPECT_TRUE(r.one_line);
    return r.task % 2 == 0 ? line + "\nmore" : "wrong_line = 7";
  };
  const LineResult result = infill_lines(model, tasks, 100);
  EXPECT_EQ(result.name, "infill");
  EXPECT_NEAR(result.exact_match(), 0.5, 1e-12);
  // All that there is, where it is allowed.
  model.answer = [&](const GenerateRequest& r) {
    const LineTask& t = tasks[r.task];
    EXPECT_EQ(r.prompt, t.document->text.substr(0, t.begin));
    EXPECT_EQ(*r.suffix, t.document->text.substr(t.end));
    return std::string();
  };
  EXPECT_EQ(infill_lines(model, tasks, 100'000).exact_match(), 0);
}

TEST(LineCompletion, AtFloorUnlessEveryRivalIsBeaten) {
  const auto result = [](double share) {
    LineResult r;
    for (int i = 0; i < 100; ++i) {
      const bool exact = i < share * 100;
      r.records.push_back({"f" + std::to_string(i % 25), i, "t", "p", exact, exact ? 100 : 20});
    }
    return r;
  };
  EXPECT_FALSE(exact_match_at_floor(result(0.6), {result(0.2), result(0.1)}, 1));
  EXPECT_FALSE(edit_similarity_at_floor(result(0.6), {result(0.2), result(0.1)}, 1));
  EXPECT_TRUE(exact_match_at_floor(result(0.6), {result(0.1), result(0.6)}, 1));
  EXPECT_TRUE(exact_match_at_floor(result(0.11), {result(0.1)}, 1));
  EXPECT_TRUE(edit_similarity_at_floor(result(0.1), {result(0.6)}, 1));
}

}  // namespace
}  // namespace ballast
