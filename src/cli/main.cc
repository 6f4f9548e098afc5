#include <fmt/format.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <new>

#include "base/error.h"
#include "base/file.h"
#include "base/interrupt.h"
#include "base/nearest_name.h"
#include "base/utf8.h"
#include "base/version.h"
#include "cli/commands.h"
#include "dist/mpi.h"
#include "ops/cpu_backend.h"

namespace ballast::cli {
namespace {

constexpr int kOk = 0, kNegative = 1, kFailure = 1, kUserError = 2, kInterrupted = 130, kOutputClosed = 141;

std::string tour() {
  std::string text =
      "ballast " + build_version() +
      ": train, serve and study DeepSeek-V3-architecture code models\n\n"
      "A model's way, a command at a time (`ballast COMMAND -h` lists its flags and configuration keys):\n";
  for (const Command& c : commands())
    text += fmt::format("\n  {:<17} {}\n  {:<17} $ {}\n", c.name, c.summary, "", c.example);
  return text +
         "\nEvery command knows -h, --seed N, -t N (threads) and --out PATH. Commands with a configuration read a recipe\n"
         "with --config FILE (TOML); --section.key value, or --section.key=value, sets a single key and wins over the\n"
         "recipe.\n"
         "Exit codes: 0 done, 1 a comparison failed or a bug, 2 wrong input or a full disk, 130 interrupted.\n";
}

std::vector<std::string> names_starting_with(std::string_view word) {
  std::vector<std::string> names;
  for (const Command& c : commands())
    if (c.name.starts_with(std::string(word) + " ")) names.emplace_back(c.name);
  return names;
}

[[noreturn]] void unknown_command(const std::string& word) {
  std::vector<std::string> names{"help"};
  for (const Command& c : commands()) names.emplace_back(c.name.substr(0, c.name.find(' ')));
  fail(ErrorKind::usage, "", "unknown command '{}'; the nearest is '{}' (`ballast --help` lists all)", word,
       nearest_name(word, names));
}

// Takes the command's one or two words off the front of `words`.
const Command* take_command(std::vector<std::string>& words) {
  for (const Command& c : commands()) {
    const size_t space = c.name.find(' ');
    if (words.front() != c.name.substr(0, space)) continue;
    if (space == std::string_view::npos) {
      words.erase(words.begin());
      return &c;
    }
    if (words.size() > 1 && words[1] == c.name.substr(space + 1)) {
      words.erase(words.begin(), words.begin() + 2);
      return &c;
    }
  }
  return nullptr;
}

void run(std::vector<std::string> words) {
  if (words.empty() || words.front() == "--help" || words.front() == "-h" || words == std::vector<std::string>{"help"})
    return print(tour());
  if (words.front() == "--version") return print(version_text());
  if (words.front() == "help") {  // `ballast help CMD` is `ballast CMD -h`
    words.erase(words.begin());
    words.push_back("-h");
  }
  const std::string first = words.front();
  if (const Command* command = take_command(words)) {
    if (launched_size() > 1 && !command->on_ranks)
      fail(ErrorKind::usage, std::string(command->name),
           "runs in one process, and the launcher started {}, which would all do the same work: start it without mpirun",
           launched_size());
    CommandLine line(*command, std::move(words));
    return command->run(line);
  }
  const std::vector<std::string> group = names_starting_with(first);
  if (group.empty()) unknown_command(first);
  if (words.size() > 1 && (words[1] == "-h" || words[1] == "--help")) {
    for (const Command& c : commands())
      if (c.name.starts_with(first + " "))
        print(fmt::format("  {:<17} {}\n  {:<17} $ {}\n", c.name, c.summary, "", c.example));
    return;
  }
  if (words.size() > 1 && !words[1].starts_with('-'))
    fail(ErrorKind::usage, "", "unknown command '{} {}'; the nearest is '{}'", first, words[1],
         nearest_name(first + " " + words[1], group));
  fail(ErrorKind::usage, first, "which one? {}", fmt::join(group, ", "));
}

int guarded(int argc, char** argv) {
  // Names out of files are in messages: they must not write to the terminal as they like.
  const auto complain = [](const std::string& text) {
    std::fputs(("ballast: error: " + printable(text) + "\n").c_str(), stderr);
  };
  try {
    ops::limit_isa();
    run({argv + 1, argv + argc});
    return kOk;
  } catch (const Negative&) {
    return kNegative;
  } catch (const OutputClosed&) {
    return kOutputClosed;
  } catch (const Error& e) {
    if (e.kind == ErrorKind::interrupted) {
      std::fputs(fmt::format("ballast: {}\n", printable(e.what())).c_str(), stderr);
      return kInterrupted;
    }
    if (e.kind == ErrorKind::usage && launched_rank() > 0 && !joined_ranks()) {
      // The first rank, whose line is the same, says so. It is given time to: a launcher ends all with the first that fails.
      ::sleep(2);
      return kUserError;
    }
    complain(e.what());
    return kUserError;
  } catch (const std::filesystem::filesystem_error& e) {
    complain(as_error(e).what());
    return kUserError;
  } catch (const std::bad_alloc&) {
    complain(
        "out of memory: the machine, the process's control group or ulimit -v gives no more; fewer threads (-t), a "
        "shorter context and a smaller batch need less");
    return kUserError;
  } catch (const std::exception& e) {
    complain(fmt::format("{} (a bug of ballast or of its machine; please report it with the command)", e.what()));
    return kFailure;
  }
}

}  // namespace
}  // namespace ballast::cli

int main(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN);  // a closed pipe is an error of write(), so that files in the making are cleaned up
  ballast::install_interrupt_handler();
  const int code = ballast::cli::guarded(argc, argv);
  ballast::leave_ranks(code != ballast::cli::kOk && code != ballast::cli::kInterrupted, code);
  return code;
}
