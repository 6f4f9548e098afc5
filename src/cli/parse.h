// One command's line: what it takes, its help, and reading it. A command declares, parses, then calls:
//
//   bool all = false;
//   line.flag("-v,--verbose", all, "every quantity, not the worst of each kind");
//   line.config(config, "train.seed");
//   if (!line.parse()) return;
//
// CLI11 finds the flags and their values; it is behind this header because including it costs seconds per file. What
// the values mean is base/config.h's business, for flags and configuration keys alike.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/config.h"

namespace ballast::cli {

// Nobody reads our output any more: a quiet end.
struct OutputClosed {};

// Writes to stdout. Throws OutputClosed after a broken pipe, Error{device} where it cannot be written (a full disk).
void print(std::string_view text);

class CommandLine;
struct Command {
  std::string_view name;     // "verify", "tokenizer train"
  std::string_view summary;  // half a line
  std::string_view example;  // a line that can be typed as it is
  void (*run)(CommandLine&);
  bool on_ranks = false;     // whether a launcher (mpirun) may start several of it, which share the work
};

// A flag, configuration key or word that a command takes: what shell completion needs to know of it.
struct LineWord {
  enum class Value { none, truth, path, other };
  std::vector<std::string> names;  // "-t", "--threads"; empty for positional words
  std::string argument, help;      // "N", half a line
  Value value = Value::other;      // what has to follow
};

class CommandLine {
 public:
  // `arguments`: what follows the command's name.
  CommandLine(const Command& command, std::vector<std::string> arguments);

  // `names` as "-t,--threads" or "--json". A repeated option counts with its last value; a list takes all.
  void flag(std::string names, bool& field, std::string help);
  template <class T>
  void option(const std::string& names, T& field, const std::string& argument, const std::string& help) {
    add({.names = names, .argument = argument, .help = help}, field);
  }
  // Positional words, in the order of declaration; a list takes all that are left.
  template <class T>
  void positional(const std::string& name, T& field, const std::string& help) {
    add({.names = name, .argument = name, .help = help, .positional = true}, field);
  }
  // The command's configuration: `--config FILE`, then `--section.key value` for every field.
  template <class Config>
  void config(Config& config) {
    config_ = fields_of(config);
    defaults_ = describe_fields(config_);
  }
  // A short name for a configuration key. After config().
  void shortcut(std::string names, std::string key, std::string argument);

  // What every command knows. `out` says what is written there.
  void threads(int& field);
  void out(std::string& field, std::string argument, std::string help);
  // Of a command without random numbers: --seed is accepted, so that scripts can pass it everywhere.
  void unused_seed();

  // Reads the line. False where help was asked for and printed. Throws Error{usage} naming the flag or key.
  bool parse();
  // Throws Error{usage} where a positional word or flag that the command cannot do without is missing.
  void require(bool given, std::string_view what) const;

  std::string help() const;
  // What the command declares, in that order, the configuration keys last. Runs it up to parse() and no further.
  static std::vector<LineWord> words_of(const Command& command);

 private:
  struct Entry {
    std::string names, argument, help;
    bool positional = false, is_flag = false, is_list = false;
    std::string key;                 // shortcuts: the configuration key
    FieldList field;                 // others: one field, named as the flag
    std::vector<std::string> given;  // the words on the line
    bool seen = false;
  };

  template <class T>
  void add(Entry entry, T& field) {
    entry.is_list = std::is_same_v<T, std::vector<std::string>>;
    entry.field(long_name(entry.names), field, entry.help);
    entries_.push_back(std::move(entry));
  }
  static std::string long_name(const std::string& names);  // "--threads" of "-t,--threads"
  void collect();
  void check_rest(const std::vector<std::string>& rest) const;
  [[noreturn]] void unknown_flag(const std::string& name) const;
  void apply(Entry& entry);
  void read_config_file();
  std::vector<std::string> flag_names() const;
  LineWord word_of(const Entry& entry) const;
  std::vector<LineWord> declared_words() const;
  std::string usage() const;

  const Command& command_;
  std::vector<std::string> arguments_;
  std::vector<Entry> entries_;
  FieldList config_;
  std::vector<Field> defaults_;
  std::string config_file_;
  std::vector<std::pair<std::string, std::string>> overrides_;  // key, text
  bool wants_help_ = false;
  std::vector<LineWord>* declared_ = nullptr;  // words_of(): where they go
};

}  // namespace ballast::cli
