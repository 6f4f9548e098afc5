#include "cli/parse.h"

#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cerrno>
#include <cstring>
#include <functional>
#include <iterator>

#include "base/error.h"
#include "base/file.h"
#include "base/nearest_name.h"
#include "base/toml.h"
#include "cli/foreign_names.h"

namespace ballast::cli {
namespace {

constexpr size_t kColumns = 100;
constexpr const char* kWhere = "command line";

// "  --flag N          help text, wrapped under itself".
std::string entry_text(const std::string& left, const std::string& help, size_t indent) {
  std::string out = "  " + left;
  size_t column = out.size();
  if (column + 2 > indent) {
    out += '\n';
    column = 0;
  }
  out.append(indent - column, ' ');
  column = indent;
  for (size_t at = 0; at < help.size();) {
    const size_t end = std::min(help.find(' ', at), help.size());
    if (column > indent && column + 1 + (end - at) > kColumns) {
      out += '\n' + std::string(indent, ' ');
      column = indent;
    } else if (column > indent) {
      out += ' ';
      ++column;
    }
    out += help.substr(at, end - at);
    column += end - at;
    at = end + 1;
  }
  return out + '\n';
}

std::vector<std::string> split(std::string_view text, char mark) {
  std::vector<std::string> parts;
  for (size_t at = 0; at <= text.size();) {
    const size_t end = std::min(text.find(mark, at), text.size());
    parts.emplace_back(text.substr(at, end - at));
    at = end + 1;
  }
  return parts;
}

bool is_flag_word(const std::string& word) { return word.size() > 1 && word[0] == '-'; }

bool is_text(const FieldEntry& field) {
  return std::holds_alternative<std::string*>(field.target) ||
         std::holds_alternative<std::vector<std::string>*>(field.target) ||
         std::holds_alternative<std::optional<std::string>*>(field.target);
}

// Other tools' names for keys that this command has.
std::vector<ForeignName> names_for(const FieldList& config) {
  std::vector<ForeignName> names;
  for (const ForeignName& name : foreign_keys())
    if (config.find(name.ours)) names.push_back(name);
  return names;
}

}  // namespace

void print(std::string_view text) {
  while (!text.empty()) {
    const ssize_t n = ::write(STDOUT_FILENO, text.data(), text.size());
    if (n >= 0) {
      text.remove_prefix(static_cast<size_t>(n));
    } else if (errno == EPIPE) {
      throw OutputClosed{};
    } else if (errno != EINTR) {
      fail(ErrorKind::device, "standard output", "cannot write: {}", std::strerror(errno));
    }
  }
}

CommandLine::CommandLine(const Command& command, std::vector<std::string> arguments)
    : command_(command), arguments_(std::move(arguments)) {}

std::string CommandLine::long_name(const std::string& names) { return split(names, ',').back(); }

void CommandLine::flag(std::string names, bool& field, std::string help) {
  add({.names = std::move(names), .help = std::move(help), .is_flag = true}, field);
}

void CommandLine::shortcut(std::string names, std::string key, std::string argument) {
  const FieldEntry* field = config_.find(key);
  CHECK(field);
  const bool list = std::holds_alternative<std::vector<std::string>*>(field->target);
  std::string help = "short for --" + key + ": " + field->help;
  entries_.push_back({.names = std::move(names),
                      .argument = std::move(argument),
                      .help = std::move(help),
                      .is_list = list,
                      .key = std::move(key)});
}

void CommandLine::threads(int& field) {
  option("-t,--threads", field, "N", "worker threads; 0: all cores this process may use");
}

void CommandLine::out(std::string& field, std::string argument, std::string help) {
  option("--out", field, std::move(argument), std::move(help));
}

void CommandLine::unused_seed() {
  static int64_t ignored;
  option("--seed", ignored, "N", "accepted by every command; nothing here is random");
}

bool CommandLine::parse() {
  if (declared_) {
    *declared_ = declared_words();
    return false;
  }
  collect();
  if (wants_help_) {
    print(help());
    return false;
  }
  if (!config_file_.empty()) read_config_file();
  const std::vector<ForeignName> foreign = names_for(config_);
  for (const auto& [key, text] : overrides_) override_field(config_, key, text, kWhere, foreign);
  for (Entry& entry : entries_)
    if (entry.seen) apply(entry);
  // Before hours of work for a file that cannot be written.
  for (const Entry& entry : entries_)
    if (entry.names == "--out" && entry.argument.starts_with("FILE") && entry.seen && !entry.given.back().empty())
      require_writable_file(entry.given.back());
  return true;
}

void CommandLine::require(bool given, std::string_view what) const {
  if (!given) fail(ErrorKind::usage, std::string(command_.name), "needs {}, as in: {}", what, command_.example);
}

void CommandLine::collect() {
  CLI::App app;
  app.set_help_flag("-h,--help");
  app.allow_extras();
  const auto add_option = [&](const std::string& names, bool list,
                              const std::function<void(const CLI::results_t&)>& take) {
    CLI::Option* option = app.add_option(names, CLI::callback_t([take](const CLI::results_t& words) {
      take(words);
      return true;
    }));
    if (list) {
      option->expected(1, CLI::detail::expected_max_vector_size)
          ->allow_extra_args()
          ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
    } else {
      option->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
    }
  };
  for (Entry& entry : entries_) {
    if (entry.is_flag) {
      app.add_flag_function(entry.names, [&entry](int64_t n) { entry.seen = n > 0; });
    } else {
      add_option(entry.names, entry.is_list, [&entry](const CLI::results_t& words) {
        entry.given = words;
        entry.seen = true;
      });
    }
  }
  if (!config_.fields().empty())
    add_option("--config", false, [this](const CLI::results_t& words) { config_file_ = words.back(); });
  for (const FieldEntry& field : config_.fields()) {
    add_option("--" + field.key, false,
               [this, key = field.key](const CLI::results_t& words) { overrides_.emplace_back(key, words.back()); });
  }
  try {
    std::vector<std::string> reversed(arguments_.rbegin(), arguments_.rend());
    app.parse(reversed);
  } catch (const CLI::CallForHelp&) {
    wants_help_ = true;
    return;
  } catch (const CLI::ArgumentMismatch& e) {  // "--out: 1 required TEXT missing"
    const std::string_view text = e.what();
    fail(ErrorKind::usage, std::string(command_.name), "{} needs a value", text.substr(0, text.find(':')));
  } catch (const CLI::ParseError& e) {
    fail(ErrorKind::usage, std::string(command_.name), "{}", e.what());
  }
  check_rest(app.remaining());
}

void CommandLine::check_rest(const std::vector<std::string>& rest) const {
  for (const std::string& word : rest)
    if (is_flag_word(word)) unknown_flag(word.substr(0, word.find('=')));
  const std::vector<std::string> flags = flag_names();
  for (const Entry& entry : entries_)
    for (const std::string& word : entry.given)
      if (std::find(flags.begin(), flags.end(), word) != flags.end())
        fail(ErrorKind::usage, std::string(command_.name), "{} needs a value; what follows it is the flag {}",
             long_name(entry.names), word);
  if (!rest.empty())
    fail(ErrorKind::usage, std::string(command_.name), "does not know what to do with '{}'; usage: {}", rest.front(),
         usage());
}

void CommandLine::unknown_flag(const std::string& name) const {
  const std::string where(command_.name);
  const std::vector<std::string> flags = flag_names();
  for (const ForeignName& foreign : foreign_flags()) {
    if (foreign.theirs == name && std::find(flags.begin(), flags.end(), foreign.ours) != flags.end())
      fail(ErrorKind::usage, where, "{} is {}'s name; here it is {}", name, foreign.tool, foreign.ours);
  }
  std::string key =
      name.substr(name.find_first_not_of('-') == std::string::npos ? name.size() : name.find_first_not_of('-'));
  std::replace(key.begin(), key.end(), '-', '_');
  const std::string last = key.substr(key.rfind('.') + 1);
  for (const ForeignName& foreign : names_for(config_)) {
    if (foreign.theirs == key || foreign.theirs == last)
      fail(ErrorKind::usage, where, "{} is {}'s name; here it is --{}", name, foreign.tool, foreign.ours);
  }
  // A right name without its section, or in a wrong one.
  for (const FieldEntry& field : config_.fields()) {
    if (field.key.substr(field.key.rfind('.') + 1) == last)
      fail(ErrorKind::usage, where, "unknown flag '{}'; the nearest known name is '--{}'", name, field.key);
  }
  const std::string nearest = nearest_name(name, flags);
  if (edit_distance(name, nearest) * 2 > static_cast<int>(name.size()))
    fail(ErrorKind::usage, where, "unknown flag '{}'; `ballast {} -h` lists what there is", name, command_.name);
  fail(ErrorKind::usage, where, "unknown flag '{}'; the nearest known name is '{}'", name, nearest);
}

void CommandLine::apply(Entry& entry) {
  if (entry.is_flag) {
    override_field(entry.field, long_name(entry.names), "true", kWhere, {});
    return;
  }
  const FieldList& fields = entry.key.empty() ? entry.field : config_;
  const std::string key = entry.key.empty() ? long_name(entry.names) : entry.key;
  if (!entry.is_list) {
    override_field(fields, key, entry.given.back(), kWhere, {});
    return;
  }
  const auto* list = std::get_if<std::vector<std::string>*>(&fields.find(key)->target);
  CHECK(list);
  **list = entry.given;  // as they are: a path may have a comma in it
}

void CommandLine::read_config_file() {
  Json recipe = read_toml(config_file_);
  if (const Json* format = recipe.find("format")) {  // the config.toml of a run says so
    if (!format->is_int() || format->as_int() != 1)
      fail(ErrorKind::unsupported, config_file_, "format = {}; this program knows format 1", format->dump());
    std::erase_if(recipe.as_object(), [](const Json::Member& m) { return m.first == "format"; });
  }
  read_fields(config_, recipe, config_file_, names_for(config_));
}

std::vector<std::string> CommandLine::flag_names() const {
  std::vector<std::string> names{"-h", "--help"};
  for (const Entry& entry : entries_)
    if (!entry.positional)
      for (std::string& name : split(entry.names, ',')) names.push_back(std::move(name));
  if (!config_.fields().empty()) names.push_back("--config");
  for (const FieldEntry& field : config_.fields()) names.push_back("--" + field.key);
  return names;
}

std::vector<LineWord> CommandLine::words_of(const Command& command) {
  std::vector<LineWord> words;
  CommandLine line(command, {});
  line.declared_ = &words;
  command.run(line);
  return words;
}

LineWord CommandLine::word_of(const Entry& entry) const {
  LineWord word{.names = split(entry.names, ','), .argument = entry.argument, .help = entry.help};
  if (entry.positional) word.names.clear();
  if (entry.is_flag) {
    word.value = LineWord::Value::none;
  } else if (is_text(*(entry.key.empty() ? entry.field.fields().data() : config_.find(entry.key)))) {
    // In the help a word for text that is no path is one of these.
    constexpr std::string_view kNoPaths[] = {"TEXT", "TEXT...", "TYPE", "KEY", "SIZE"};
    const bool path = std::find(std::begin(kNoPaths), std::end(kNoPaths), word.argument) == std::end(kNoPaths);
    if (path) word.value = LineWord::Value::path;
  }
  return word;
}

std::vector<LineWord> CommandLine::declared_words() const {
  std::vector<LineWord> words;
  for (const Entry& entry : entries_) words.push_back(word_of(entry));
  words.push_back({{"-h", "--help"}, "", "help about the command", LineWord::Value::none});
  if (config_.fields().empty()) return words;
  words.push_back({{"--config"}, "FILE", "TOML with the configuration", LineWord::Value::path});
  for (size_t i = 0; i < defaults_.size(); ++i) {
    const Field& field = defaults_[i];
    LineWord word{.names = {"--" + field.key}, .argument = field.type, .help = field.help};
    if (field.type == "bool") word.value = LineWord::Value::truth;
    // Text that is empty unless somebody sets it is a file or folder, not one of a few names.
    if (is_text(config_.fields()[i]) && (field.default_text == "\"\"" || field.default_text == "[]"))
      word.value = LineWord::Value::path;
    words.push_back(std::move(word));
  }
  return words;
}

std::string CommandLine::usage() const {
  std::string out = fmt::format("ballast {}", command_.name);
  for (const Entry& entry : entries_)
    if (entry.positional) out += " [" + entry.argument + (entry.is_list ? "...]" : "]");
  out += " [flags]";
  if (!config_.fields().empty()) out += " [--config FILE] [--section.key value]...";
  return out;
}

std::string CommandLine::help() const {
  std::string out = fmt::format("ballast {}: {}\n\nusage:   {}\nexample: {}\n", command_.name, command_.summary,
                                usage(), command_.example);
  constexpr size_t kIndent = 28;
  std::string words, flags;
  for (const Entry& entry : entries_) {
    std::string left;
    for (const std::string& name : split(entry.names, ',')) left += (left.empty() ? "" : ", ") + name;
    if (!entry.positional && !entry.argument.empty()) left += " " + entry.argument;
    (entry.positional ? words : flags) += entry_text(left, entry.help, kIndent);
  }
  if (!words.empty()) out += "\n" + words;
  out += "\nflags\n" + flags;
  if (!config_.fields().empty())
    out += entry_text("--config FILE", "TOML with the sections below; flags on the line win over it", kIndent);
  out += entry_text("-h, --help", "this text", kIndent);
  if (config_.fields().empty()) return out;

  out += "\nconfiguration: in --config FILE as [section] and key = value, on the line as --section.key value or\n"
         "--section.key=value. Lists: a,b. No value: none.\n";
  for (const SectionEntry& section : config_.sections()) {
    out += fmt::format("\n[{}] {}\n", section.key, section.help);
    for (const Field& field : defaults_) {
      if (field.key.substr(0, field.key.rfind('.')) == section.key)
        out += entry_text("--" + field.key,
                          fmt::format("{} ({}; default {})", field.help, field.type, field.default_text), 44);
    }
  }
  return out;
}

}  // namespace ballast::cli
