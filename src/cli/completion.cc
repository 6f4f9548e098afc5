// Completion scripts, written from the commands' own declarations. Each shell gets the same three things: the first one
// or two words, the flags and keys of the command they name, and what may follow a flag.
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <utility>

#include "base/error.h"
#include "base/version.h"
#include "cli/commands.h"

namespace ballast::cli {
namespace {

using Value = LineWord::Value;

// The first words of the command line, each with what is said about it.
std::vector<std::pair<std::string, std::string>> first_words() {
  std::vector<std::pair<std::string, std::string>> words;
  for (const Command& c : commands()) {
    const std::string first(c.name.substr(0, c.name.find(' ')));
    const auto same = std::find_if(words.begin(), words.end(), [&](const auto& w) { return w.first == first; });
    if (same == words.end()) {
      words.emplace_back(first, c.summary);
    } else {
      same->second = "several commands";
    }
  }
  words.emplace_back("help", "help about a command");
  return words;
}

// The second words of the commands that have two: "tokenizer" -> train, check, encode.
std::map<std::string, std::vector<const Command*>> groups() {
  std::map<std::string, std::vector<const Command*>> groups;
  for (const Command& c : commands())
    if (const size_t space = c.name.find(' '); space != std::string_view::npos)
      groups[std::string(c.name.substr(0, space))].push_back(&c);
  return groups;
}

std::string second_word(const Command& c) { return std::string(c.name.substr(c.name.find(' ') + 1)); }

std::string joined(const std::vector<LineWord>& words, bool (*wanted)(const LineWord&)) {
  std::vector<std::string> names;
  for (const LineWord& word : words)
    if (wanted(word)) names.insert(names.end(), word.names.begin(), word.names.end());
  return fmt::format("{}", fmt::join(names, " "));
}

std::string escaped(std::string_view text, std::string_view special, std::string_view before) {
  std::string out;
  for (const char c : text) {
    if (special.find(c) != std::string_view::npos) out += before;
    out += c;
  }
  return out;
}

std::string bash_script() {
  std::string first = "--help --version", second, flags;
  for (const auto& [word, help] : first_words()) first += " " + word;
  for (const auto& [group, members] : groups()) {
    std::string words;
    for (const Command* c : members) words += (words.empty() ? "" : " ") + second_word(*c);
    second += fmt::format("      {}) seconds='{}' ;;\n", group, words);
  }
  for (const Command& c : commands()) {
    const std::vector<LineWord> words = CommandLine::words_of(c);
    flags += fmt::format("    '{}')\n      flags='{}'\n      paths='{}'\n      truths='{}'\n      others='{}' ;;\n",
                         c.name, joined(words, [](const LineWord&) { return true; }),
                         joined(words, [](const LineWord& w) { return w.value == Value::path; }),
                         joined(words, [](const LineWord& w) { return w.value == Value::truth; }),
                         joined(words, [](const LineWord& w) { return w.value == Value::other; }));
  }
  // The line is cut at "=" when COMP_WORDBREAKS has it: --key=val is then three words.
  return R"sh(_ballast() {
  local words=("${COMP_WORDS[@]:1:COMP_CWORD-1}") cur=${COMP_WORDS[COMP_CWORD]}
  local prev command seconds flags paths truths others
  COMPREPLY=()
  [[ ${words[0]-} == help ]] && words=("${words[@]:1}")
  if ((${#words[@]} == 0)); then
    mapfile -t COMPREPLY < <(compgen -W ')sh" +
         first + R"sh(' -- "$cur")
    return
  fi
  command=${words[0]}
  case $command in
)sh" + second +
         R"sh(  esac
  if ((${#words[@]} == 1)); then
    mapfile -t COMPREPLY < <(compgen -W "$seconds" -- "$cur")
    ((${#COMPREPLY[@]} > 0)) && return
  elif [[ " $seconds " == *" ${words[1]} "* ]]; then
    command+=" ${words[1]}"
  fi
  case $command in
)sh" + flags +
         R"sh(    *) return ;;
  esac
  prev=${words[-1]}
  if [[ $cur == '=' ]]; then
    cur=''
  elif [[ $prev == '=' ]]; then
    prev=${words[-2]}
  elif [[ $cur == --*=* ]]; then
    prev=${cur%%=*} cur=${cur#*=}
  fi
  if [[ " $truths " == *" $prev "* ]]; then
    mapfile -t COMPREPLY < <(compgen -W 'true false' -- "$cur")
  elif [[ " $others " == *" $prev "* ]]; then
    return
  elif [[ $cur == -* && " $paths " != *" $prev "* ]]; then
    mapfile -t COMPREPLY < <(compgen -W "$flags" -- "$cur")
  else
    compopt -o filenames 2>/dev/null
    mapfile -t COMPREPLY < <(compgen -f -- "$cur")
  fi
}
complete -F _ballast ballast
)sh";
}

std::string zsh_quoted(std::string_view text) { return escaped(text, "'", "'\\'"); }

// An argument of zsh's _arguments: '(-t --threads)'{-t,--threads}'[help]:N:'.
std::string zsh_argument(const LineWord& word) {
  const std::string help = zsh_quoted(escaped(word.help, "[]:\\", "\\"));
  const std::string argument = zsh_quoted(escaped(word.argument, "[]:\\", "\\"));
  const char* action = word.value == Value::path ? "_files" : word.value == Value::truth ? "(true false)" : "";
  if (word.names.empty()) return fmt::format("'*:{}:{}'", argument, action);
  const bool several = word.names.size() > 1;
  std::string out;
  for (const std::string& name : word.names) {
    if (!out.empty()) out += " \\\n        ";
    if (several) out += fmt::format("'({})'", fmt::join(word.names, " "));
    // "=": the value may also stand in the same word.
    out += name + (word.value != Value::none && name.starts_with("--") ? "=" : "") + "'[" + help + "]";
    if (word.value != Value::none) out += ":" + argument + ":" + action;
    out += "'";
  }
  return out;
}

std::string zsh_script() {
  std::string first, second, cases;
  for (const auto& [word, help] : first_words())
    first += fmt::format("    '{}:{}'\n", word, zsh_quoted(escaped(help, ":\\", "\\")));
  for (const auto& [group, members] : groups()) {
    second += fmt::format("    {}) seconds=(", group);
    for (const Command* c : members)
      second += fmt::format("\n      '{}:{}'", second_word(*c), zsh_quoted(escaped(c->summary, ":\\", "\\")));
    second += ") ;;\n";
  }
  for (const Command& c : commands()) {
    cases += fmt::format("    '{}')\n      _arguments", c.name);
    bool positional = false;
    for (const LineWord& word : CommandLine::words_of(c)) {
      if (word.names.empty() && std::exchange(positional, true)) continue;  // '*:' takes all words already
      cases += " \\\n        " + zsh_argument(word);
    }
    cases += " ;;\n";
  }
  return R"sh(_ballast() {
  local command
  local -a firsts seconds
  firsts=(
)sh" + first +
         R"sh(  )
  if [[ $words[2] == help ]] && ((CURRENT > 2)); then
    shift words
    ((CURRENT--))
  fi
  if ((CURRENT == 2)); then
    _describe -t commands 'command' firsts
    _arguments '--help[all commands]' '--version[which build this is]'
    return
  fi
  command=$words[2]
  case $command in
)sh" + second +
         R"sh(  esac
  if (($#seconds)); then
    if ((CURRENT == 3)); then
      _describe -t commands 'command' seconds
    elif (($seconds[(I)$words[3]:*])); then
      command+=" $words[3]"
      shift words
      ((CURRENT--))
    fi
  fi
  shift words
  ((CURRENT--))
  case $command in
)sh" + cases +
         R"sh(  esac
}
if [[ $funcstack[1] == _ballast ]]; then
  _ballast "$@"
else
  compdef _ballast ballast
fi
)sh";
}

std::string fish_quoted(std::string_view text) { return "'" + escaped(text, "'\\", "\\") + "'"; }

std::string fish_script() {
  std::string out =
      R"sh(function __ballast_at --description 'whether the line is this command; "only": with no word more'
  set -l words (commandline -opc)[2..-1]
  test "$words[1]" = help; and set -e words[1]
  set -l wanted (string split ' ' -- $argv[1])
  set -l n (count $wanted)
  test (count $words) -ge $n; and test "$words[1..$n]" = "$argv[1]"; or return 1
  test (count $argv) -eq 1; or test (count $words) -eq $n
end
function __ballast_first --description 'whether the command is still to come'
  set -l words (commandline -opc)[2..-1]
  test (count $words) -eq 0; or test "$words" = help
end
complete -c ballast -f
)sh";
  for (const auto& [word, help] : first_words())
    out += fmt::format("complete -c ballast -n __ballast_first -a {} -d {}\n", word, fish_quoted(help));
  out +=
      "complete -c ballast -n __ballast_first -l help -d 'all commands'\n"
      "complete -c ballast -n __ballast_first -l version -d 'which build this is'\n";
  for (const auto& [group, members] : groups())
    for (const Command* c : members)
      out += fmt::format("complete -c ballast -n '__ballast_at {} only' -a {} -d {}\n", group, second_word(*c),
                         fish_quoted(c->summary));
  const auto all_groups = groups();
  for (const Command& c : commands()) {
    std::string condition = fmt::format("__ballast_at \"{}\"", c.name);
    if (const auto group = all_groups.find(std::string(c.name)); group != all_groups.end())
      for (const Command* member : group->second)
        condition += fmt::format("; and not __ballast_at \"{}\"", member->name);
    for (const LineWord& word : CommandLine::words_of(c)) {
      const std::string at = fmt::format("complete -c ballast -n '{}'", condition);
      if (word.names.empty()) {
        if (word.value == Value::path) out += at + " -F\n";
        continue;
      }
      out += at;
      for (const std::string& name : word.names)
        out += name.starts_with("--") ? " -l " + name.substr(2) : " -s " + name.substr(1);
      if (word.value == Value::path) out += " -r -F";
      if (word.value == Value::truth) out += " -x -a 'true false'";
      if (word.value == Value::other) out += " -x";
      out += " -d " + fish_quoted(word.help) + "\n";
    }
  }
  return out;
}

}  // namespace

std::string completion_script(const std::string& shell) {
  const std::string origin =
      fmt::format("for ballast {}, written by `ballast completion {}`\n", build_version(), shell);
  if (shell == "bash") return "# bash completion " + origin + bash_script();
  if (shell == "zsh") return "#compdef ballast\n# zsh completion " + origin + zsh_script();
  if (shell == "fish") return "# fish completion " + origin + fish_script();
  fail(ErrorKind::usage, "completion", "no script for the shell '{}'; there are bash, zsh and fish", shell);
}

}  // namespace ballast::cli
