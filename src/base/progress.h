// How far a long stage has come. On a terminal one bar, redrawn in place at most ten times a second:
//   train  [=====>              ]  28%  420/1.50k steps  8.10 steps/s  2m 13s left  loss 3.21
// Elsewhere a plain line, at most every ten seconds, and one at the end.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/human.h"

namespace ballast {

class Progress {
 public:
  using Clock = double (*)();  // seconds

  // `total` units of work; 0 when it is not known. `unit` is a plural: "steps", "files". "bytes" are shown as MiB, GiB.
  Progress(std::string stage, int64_t total, std::string unit, Clock clock = steady_seconds);
  // Without a terminal: a line every so many units of work, instead of by time.
  void plain_every(int64_t units) { plain_every_ = units; }
  ~Progress();  // without finish(): the bar goes away, nothing is said
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  // Work that an earlier process did; shows the bar. It counts in `done`, but not in rates and not as this process's.
  void resume_at(int64_t done);
  // `done` so far; the rate counts from the first call. From one thread.
  void update(int64_t done, std::string_view note = {});
  // Says "stage: 1.50k steps in 3m 05s, 8.10 steps/s"; after a resume "(87.5k in all)" behind the steps.
  void finish();

 private:
  void observe(double now);
  std::string amount(double work) const;  // "1.50k steps", "1.50 MiB"
  std::string counted() const;
  std::string timed() const;
  std::string bar(int columns) const;
  std::string plain() const;

  std::string stage_, unit_, note_;
  int64_t total_;
  Clock clock_;
  double started_, seen_time_ = 0, shown_ = 0;
  int64_t plain_every_ = 0;
  int64_t first_done_ = -1, seen_done_ = 0, done_ = 0, earlier_ = 0;
  // Work and time of the last half minute or so, both decaying, so that the rate follows a change of pace.
  double recent_work_ = 0, recent_time_ = 0;
  bool finished_ = false;
};

}  // namespace ballast
