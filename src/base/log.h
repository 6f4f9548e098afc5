// The one place where libraries say something to the user: lines on stderr, and under them, on a terminal, one status
// line that is redrawn in place (base/progress.h). Errors are not logged, they are thrown (base/error.h).
#pragma once

#include <fmt/core.h>

#include <string>
#include <string_view>
#include <utility>

namespace ballast {

enum class LogLevel { info, warning };

// Where lines go. Calls come from any thread, one at a time.
class LogSink {
 public:
  virtual ~LogSink() = default;
  virtual void line(LogLevel level, std::string_view text) = 0;
  virtual int status_columns() const { return 0; }  // the width of a status line; 0: none can be shown
  virtual void status(std::string_view) {}          // replaces the status line; empty removes it
};

// While it lives, `sink` receives everything instead of stderr.
class ScopedLogSink {
 public:
  explicit ScopedLogSink(LogSink& sink);
  ~ScopedLogSink();
  ScopedLogSink(const ScopedLogSink&) = delete;
  ScopedLogSink& operator=(const ScopedLogSink&) = delete;

 private:
  LogSink* before_;
};

void log_line(LogLevel level, std::string_view text);
void log_status(std::string_view text);
int log_status_columns();

template <class... Args>
void log_info(fmt::format_string<Args...> format, Args&&... args) {
  log_line(LogLevel::info, fmt::format(format, std::forward<Args>(args)...));
}

template <class... Args>
void log_warning(fmt::format_string<Args...> format, Args&&... args) {
  log_line(LogLevel::warning, fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace ballast
