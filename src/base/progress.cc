#include "base/progress.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/log.h"

namespace ballast {
namespace {

constexpr double kBarSeconds = 0.1, kPlainSeconds = 10;
constexpr double kRateMemory = 30;  // seconds
constexpr int kBarWidth = 20;

// The first `columns` characters of UTF-8 text; every character is taken to be one column wide.
std::string_view cut(std::string_view text, int columns) {
  size_t end = 0;
  for (int n = 0; end < text.size(); ++end)
    if ((text[end] & 0xC0) != 0x80 && ++n > columns) break;
  return text.substr(0, end);
}

}  // namespace

Progress::Progress(std::string stage, int64_t total, std::string unit, Clock clock)
    : stage_(std::move(stage)), unit_(std::move(unit)), total_(total), clock_(clock), started_(clock()) {}

Progress::~Progress() {
  if (!finished_) log_status("");
}

void Progress::resume_at(int64_t done) {
  earlier_ = done;
  update(done);
}

void Progress::update(int64_t done, std::string_view note) {
  const double now = clock_();
  done_ = done;
  note_ = note;
  const int columns = log_status_columns();
  const bool first = first_done_ < 0;
  if (first) {
    first_done_ = seen_done_ = done;
    seen_time_ = now;
  } else if (columns == 0 && plain_every_ > 0) {
    if (done % plain_every_ != 0) return;
  } else if (now - shown_ < (columns > 0 ? kBarSeconds : kPlainSeconds)) {
    return;
  }
  observe(now);
  shown_ = now;
  if (columns > 0) {
    log_status(bar(columns));
  } else {
    log_info("{}", plain());
  }
}

void Progress::finish() {
  const double now = clock_();
  finished_ = true;
  log_status("");
  const double work = static_cast<double>(done_ - std::max<int64_t>(first_done_, 0));
  std::string line = fmt::format("{}: {}", stage_, amount(static_cast<double>(done_ - earlier_)));
  if (earlier_ > 0) line += fmt::format(" ({} in all)", format_si(static_cast<double>(done_)));
  line += " in " + format_duration(now - started_);
  if (work > 0 && now > started_) line += fmt::format(", {}/s", amount(work / (now - started_)));
  if (!note_.empty()) line += ", " + note_;
  log_info("{}", line);
}

void Progress::observe(double now) {
  const double elapsed = now - seen_time_;
  const double keep = std::exp(-elapsed / kRateMemory);
  recent_work_ = recent_work_ * keep + static_cast<double>(done_ - seen_done_);
  recent_time_ = recent_time_ * keep + elapsed;
  seen_time_ = now;
  seen_done_ = done_;
}

std::string Progress::amount(double work) const {
  return unit_ == "bytes" ? format_bytes(work) : format_si(work) + " " + unit_;
}

std::string Progress::counted() const {
  const auto done = static_cast<double>(done_), total = static_cast<double>(total_);
  if (total_ <= 0) return amount(done);
  return (unit_ == "bytes" ? format_bytes(done) : format_si(done)) + "/" + amount(total);
}

std::string Progress::timed() const {
  if (recent_time_ <= 0 || recent_work_ <= 0) return "";
  const double rate = recent_work_ / recent_time_;
  std::string out = fmt::format("  {}/s", amount(rate));
  if (total_ > done_) out += fmt::format("  {} left", format_duration(static_cast<double>(total_ - done_) / rate));
  return out;
}

std::string Progress::bar(int columns) const {
  std::string out = stage_ + "  ";
  if (total_ > 0) {
    const double share = std::clamp(static_cast<double>(done_) / static_cast<double>(total_), 0.0, 1.0);
    const int filled = static_cast<int>(share * kBarWidth);
    std::string track(filled, '=');
    if (filled < kBarWidth) track += '>';
    track.resize(kBarWidth, ' ');
    out += fmt::format("[{}] {:3}%  ", track, static_cast<int>(share * 100));
  }
  out += counted() + timed();
  if (!note_.empty()) out += "  " + note_;
  return std::string(cut(out, columns - 1));  // the last column would wrap on some terminals
}

std::string Progress::plain() const {
  std::string out = stage_ + "  " + counted();
  if (total_ > 0) out += fmt::format("  {}%", done_ * 100 / total_);
  out += timed();
  if (!note_.empty()) out += "  " + note_;
  return out;
}

}  // namespace ballast
