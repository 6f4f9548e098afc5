// The completion scripts do in their shells what the program's help says. A shell that is not installed is skipped.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>

#include "e2e/help_text.h"

namespace ballast::e2e {
namespace {

using Lines = std::vector<std::string>;

std::string shell_quoted(const std::string& word) {
  std::string out = "'";
  for (const char c : word) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return out + "'";
}

// Standard output of a shell command.
std::string output_of(const std::string& command) {
  std::string out;
  FILE* pipe = popen(command.c_str(), "r");
  for (int c; (c = fgetc(pipe)) != EOF;) out += static_cast<char>(c);
  EXPECT_EQ(pclose(pipe), 0) << command;
  return out;
}

bool has_shell(const std::string& shell) { return !output_of("command -v " + shell + " || true").empty(); }

Lines lines_of(const std::string& text) {
  Lines lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);)
    if (!line.empty()) lines.push_back(line);
  std::sort(lines.begin(), lines.end());
  return lines;
}

bool has(const Lines& lines, const std::string& line) { return std::binary_search(lines.begin(), lines.end(), line); }

// A folder with the script and two files whose names may be offered.
class Completion : public testing::Test {
 protected:
  void need(const std::string& name) {
    shell_ = name;
    if (!has_shell(name)) GTEST_SKIP() << name << " is not installed";
    const Result r = run({"completion", name, "--out", script()});
    ASSERT_EQ(r.code, 0) << r.err;
    spill(work_ / "recipe.toml", "");
    spill(work_ / "two words.json", "");
  }
  std::string script() const { return work_ / ("ballast." + shell_); }

  // What bash offers for the last of `line`'s words.
  Lines bash(const Lines& line) {
    std::string words;
    for (const std::string& word : line) words += " " + shell_quoted(word);
    return shell("source " + script() + "; COMP_WORDS=(ballast" + words +
                 "); COMP_CWORD=" + std::to_string(line.size()) + "; _ballast; printf '%s\\n' \"${COMPREPLY[@]}\"");
  }
  Lines shell(const std::string& commands, const std::string& options = "") {
    return lines_of(
        output_of("cd " + work_.path().string() + " && " + shell_ + " " + options + " -c " + shell_quoted(commands)));
  }

  TemporaryFolder work_;
  std::string shell_;
};

// The first words of all commands.
Lines first_words() {
  std::set<std::string> first{"help"};
  for (const std::string& name : commands()) first.insert(name.substr(0, name.find(' ')));
  return {first.begin(), first.end()};
}

TEST(CompletionScript, OfAnUnknownShellOrNone) {
  EXPECT_EQ(run({"completion", "tcsh"}).code, 2);
  EXPECT_NE(run({"completion", "tcsh"}).err.find("bash, zsh and fish"), std::string::npos);
  EXPECT_EQ(run({"completion"}).code, 2);
}

TEST_F(Completion, BashCommands) {
  need("bash");
  if (IsSkipped()) return;
  Lines top = first_words();
  top.insert(top.end(), {"--help", "--version"});
  std::sort(top.begin(), top.end());
  EXPECT_EQ(bash({""}), top);
  EXPECT_EQ(bash({"tr"}), Lines{"train"});
  EXPECT_EQ(bash({"tokenizer", "tr"}), Lines{"train"});
  EXPECT_EQ(bash({"help", "tr"}), Lines{"train"});
  EXPECT_EQ(bash({"nothing", ""}), Lines{});
}

TEST_F(Completion, BashFlagsAreThoseOfTheHelp) {
  need("bash");
  if (IsSkipped()) return;
  for (const std::string& name : commands()) {
    Lines line = words(name);
    line.push_back("-");
    const std::set<std::string> flags = names_in(help_of(name));
    EXPECT_EQ(bash(line), Lines(flags.begin(), flags.end())) << name;
  }
  const Lines model = bash({"train", "--resume", "--mod"});
  EXPECT_GT(model.size(), 30u);
  EXPECT_TRUE(has(model, "--model.hidden_size"));
  for (const std::string& flag : model) EXPECT_TRUE(flag.starts_with("--model.")) << flag;
}

TEST_F(Completion, BashValues) {
  need("bash");
  if (IsSkipped()) return;
  const Lines files{"ballast.bash", "recipe.toml", "two words.json"};
  EXPECT_EQ(bash({"train", "--config", ""}), files);
  EXPECT_EQ(bash({"train", "--config", "re"}), Lines{"recipe.toml"});
  EXPECT_EQ(bash({"train", "--data.tokenizer", "two"}), Lines{"two words.json"});
  EXPECT_EQ(bash({"train", "--data.tokenizer", "=", "two"}), Lines{"two words.json"}) << "'=' cuts words in bash";
  EXPECT_EQ(bash({"train", "--data.tokenizer=two"}), Lines{"two words.json"}) << "'=' does not everywhere";
  EXPECT_EQ(bash({"tokenizer", "encode", ""}), files) << "a positional word is a file";
  EXPECT_EQ(bash({"train", "--schedule.steps", ""}), Lines{}) << "a number";
  EXPECT_EQ(bash({"train", "--model.norm_topk_prob", "t"}), Lines{"true"});
}

TEST_F(Completion, FishOffersTheSame) {
  need("fish");
  if (IsSkipped()) return;
  const auto fish = [&](const std::string& line) {
    Lines lines = shell("source " + script() + "; complete -C " + shell_quoted(line) + "; true", "--no-config");
    for (std::string& entry : lines) entry = entry.substr(0, entry.find('\t'));  // what follows is the help
    std::sort(lines.begin(), lines.end());
    return lines;
  };
  EXPECT_EQ(fish("ballast "), first_words());
  EXPECT_EQ(fish("ballast tr"), Lines{"train"});
  EXPECT_EQ(fish("ballast tokenizer "), (Lines{"check", "encode", "train"}));
  const Lines model = fish("ballast train --mod");
  EXPECT_GT(model.size(), 30u);
  EXPECT_TRUE(has(model, "--model.hidden_size"));
  EXPECT_EQ(fish("ballast train --config re"), Lines{"recipe.toml"});
  EXPECT_EQ(fish("ballast train --model.norm_topk_prob t"), Lines{"true"});
  EXPECT_EQ(fish("ballast train --schedule.steps "), Lines{});
}

// zsh's completion needs a terminal; its two functions that the script calls are replaced by ones that print.
TEST_F(Completion, ZshOffersTheSame) {
  need("zsh");
  if (IsSkipped()) return;
  shell("zsh -n " + script(), "-f");
  const auto zsh = [&](const std::string& line, int current) {
    return shell("compdef() { }; _arguments() { print -rl -- \"$@\" }; _describe() { print -rl -- ${(P)4} }; source " +
                     script() + "; words=(" + line + " ''); CURRENT=" + std::to_string(current) + "; _ballast",
                 "-f");
  };
  Lines first;
  for (const std::string& entry : zsh("ballast", 2))
    if (!entry.starts_with("-")) first.push_back(entry.substr(0, entry.find(':')));
  EXPECT_EQ(first, first_words());
  EXPECT_EQ(zsh("ballast tokenizer", 3).size(), 3u);
  for (const std::string& name : commands()) {
    std::set<std::string> flags;
    for (std::string entry : zsh("ballast " + name, static_cast<int>(words(name).size()) + 2)) {
      if (entry.starts_with('(')) entry.erase(0, entry.find(')') + 1);
      if (entry.starts_with('-')) flags.insert(entry.substr(0, entry.find_first_of("=[")));
    }
    EXPECT_EQ(flags, names_in(help_of(name))) << name;
  }
  const Lines train = zsh("ballast train", 3);
  EXPECT_TRUE(has(train, "--config=[TOML with the configuration]:FILE:_files"));
}

}  // namespace
}  // namespace ballast::e2e
