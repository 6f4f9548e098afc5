// Errors. Two kinds, never mixed:
//  - CHECK(condition): a bug of ours. Aborts with the expression and its place.
//  - Error: what a user, a file or a device did wrong. Says what was wrong, where (file, tensor, key, line) and what to
//    do. Thrown by libraries; caught in cli (one line, exit code 2), in serve (an HTTP body) and at rank boundaries.
#pragma once

#include <fmt/core.h>

#include <stdexcept>
#include <string>
#include <utility>

namespace ballast {

enum class ErrorKind {
  usage,        // a command line, configuration key or value
  file,         // missing, unreadable, truncated, mislabelled
  format,       // bytes that do not parse
  shape,        // tensors that do not fit each other
  unsupported,  // known, but not built or not implemented
  device,       // memory, disk, accelerator
  interrupted   // the user asked to stop
};

class Error : public std::runtime_error {
 public:
  Error(ErrorKind kind, std::string where, const std::string& message)
      : std::runtime_error(where.empty() ? message : where + ": " + message), kind(kind), where(std::move(where)) {}
  const ErrorKind kind;
  const std::string where;
};

// fail(ErrorKind::file, path, "cannot open: {}", strerror(errno))
template <class... Args>
[[noreturn]] void fail(ErrorKind kind, std::string where, fmt::format_string<Args...> format, Args&&... args) {
  throw Error(kind, std::move(where), fmt::format(format, std::forward<Args>(args)...));
}

[[noreturn]] void check_failed(const char* expression, const char* file, int line);

#define CHECK(condition) \
  (static_cast<bool>(condition) ? void(0) : ::ballast::check_failed(#condition, __FILE__, __LINE__))

}  // namespace ballast
