// Runs the built program as a child process.
#pragma once

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <functional>
#include <sstream>
#include <string>
#include <vector>

#include "base/testing.h"

namespace ballast::e2e {
namespace fs = std::filesystem;

inline std::string slurp(const fs::path& file) {
  std::ifstream in(file, std::ios::binary);
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

inline void spill(const fs::path& file, const std::string& text) {
  fs::create_directories(file.parent_path());
  std::ofstream(file, std::ios::binary) << text;
}

struct Result {
  int code = 0;  // exit status; 128 + signal where one ended it
  std::string out, err;
};

struct Child {
  pid_t pid = -1;
  fs::path out, err;

  Result wait() {
    int status = 0;
    waitpid(pid, &status, 0);
    Result r{WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status), slurp(out), slurp(err)};
    fs::remove(out);
    fs::remove(err);
    return r;
  }
};

// `words` are a program and its arguments; `in_child` runs before it starts: limits, other file descriptors.
inline Child start_program(const std::vector<std::string>& words, const std::function<void()>& in_child = {}) {
  static int serial = 0;
  const std::string stem =
      fs::temp_directory_path() / ("ballast-cli-" + std::to_string(getpid()) + "-" + std::to_string(serial++));
  Child child{.out = stem + ".out", .err = stem + ".err"};
  child.pid = fork();
  if (child.pid == 0) {
    const auto redirect = [](const fs::path& file, int to) {
      dup2(open(file.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600), to);
    };
    redirect(child.out, STDOUT_FILENO);
    redirect(child.err, STDERR_FILENO);
    if (in_child) in_child();
    std::vector<char*> argv;
    for (const std::string& a : words) argv.push_back(const_cast<char*>(a.c_str()));
    argv.push_back(nullptr);
    execvp(argv[0], argv.data());
    _exit(127);
  }
  return child;
}

// Ours.
inline Child start(const std::vector<std::string>& arguments, const std::function<void()>& in_child = {}) {
  std::vector<std::string> words{BALLAST_BINARY};
  words.insert(words.end(), arguments.begin(), arguments.end());
  return start_program(words, in_child);
}

inline Result run(const std::vector<std::string>& arguments, const std::function<void()>& in_child = {}) {
  return start(arguments, in_child).wait();
}

// Everything in a folder, sorted.
inline std::vector<std::string> files_in(const fs::path& folder) {
  std::vector<std::string> names;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) names.push_back(entry.path().string());
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace ballast::e2e
