#include "base/log.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <mutex>

#include "base/utf8.h"

namespace ballast {
namespace {

bool stderr_is_terminal() {
  const char* term = std::getenv("TERM");
  return ::isatty(STDERR_FILENO) == 1 && !(term && std::strcmp(term, "dumb") == 0);
}

class StderrSink : public LogSink {
 public:
  void line(LogLevel level, std::string_view text) override {
    std::string out = status_.empty() ? "" : kClear;
    if (level == LogLevel::warning) out += "warning: ";
    for (size_t at = 0; at <= text.size();) {
      const size_t end = std::min(text.find('\n', at), text.size());
      out += printable(text.substr(at, end - at)) + '\n';
      at = end + 1;
    }
    write(out + status_);
  }
  int status_columns() const override {
    if (!terminal_) return 0;
    struct winsize size;
    return ::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
  }
  void status(std::string_view text) override {
    if (!terminal_ || status_ == text) return;
    status_ = text;
    write(kClear + status_);
  }

 private:
  // Nobody is left to tell when stderr itself fails.
  static void write(const std::string& text) { std::fwrite(text.data(), 1, text.size(), stderr); }

  static inline const std::string kClear = "\r\x1b[K";  // to the first column, erase the line
  const bool terminal_ = stderr_is_terminal();
  std::string status_;
};

struct Log {
  std::mutex mutex;
  StderrSink to_stderr;
  LogSink* sink = &to_stderr;
};

Log& log() {
  static Log instance;
  return instance;
}

LogSink* swap_sink(LogSink* sink) {
  const std::lock_guard lock(log().mutex);
  return std::exchange(log().sink, sink);
}

}  // namespace

ScopedLogSink::ScopedLogSink(LogSink& sink) : before_(swap_sink(&sink)) {}
ScopedLogSink::~ScopedLogSink() { swap_sink(before_); }

void log_line(LogLevel level, std::string_view text) {
  const std::lock_guard lock(log().mutex);
  log().sink->line(level, text);
}

void log_status(std::string_view text) {
  const std::lock_guard lock(log().mutex);
  log().sink->status(text);
}

int log_status_columns() {
  const std::lock_guard lock(log().mutex);
  return log().sink->status_columns();
}

}  // namespace ballast
