// Fifty runs that are killed outright, each at its own moment, at least ten of them while they write a checkpoint. Every
// one of them, resumed, leaves the files of a run that never was.
#include "resume/run_files.h"

namespace ballast::e2e {
namespace {

class SlowKills : public Resume {
 protected:
  static constexpr int kKills = 50, kInsideAtLeast = 10, kShortSteps = 12;

  void SetUp() override {
    Resume::SetUp();
    recipe_.schedule.steps = kShortSteps;
    recipe_.train.micro_batches = 1;
    recipe_.train.eval_every = 5;
    recipe_.train.checkpoint_every = 2;
    recipe_.balance.probe_every = 3;
  }

  // The folder of a checkpoint that is being written now, and its files; empty where none is.
  std::vector<std::string> in_the_making() const {
    std::vector<std::string> names;
    std::error_code error;  // the folder changes under our eyes
    for (fs::recursive_directory_iterator it(work_ / "killed/checkpoints", error), end; !error && it != end;
         it.increment(error)) {
      const std::string name = fs::relative(it->path(), work_ / "killed/checkpoints", error);
      if (name.starts_with(".partial-step-")) names.push_back(name);
    }
    std::sort(names.begin(), names.end());
    return names;
  }

  bool runs(pid_t child) const {
    siginfo_t ended{};
    return waitid(P_PID, static_cast<id_t>(child), &ended, WEXITED | WNOHANG | WNOWAIT) == 0 && ended.si_pid != child;
  }

  // Kills a fresh run. Every second one once a checkpoint of the drawn number is seen to be in the making, the others
  // after a line of metrics; both a drawn moment later. False where the run ended before.
  bool kill_one(Rng& rng, bool while_saving) {
    fs::remove_all(work_ / "killed");
    Child child = start(command("killed"));
    if (while_saving) {
      const uint64_t which = 1 + rng.below(kShortSteps / 2);
      uint64_t seen = 0;
      for (bool was = false; seen < which && runs(child.pid);) {
        const bool is = !in_the_making().empty();
        seen += is && !was;
        was = is;
      }
      std::this_thread::sleep_for(std::chrono::microseconds(rng.below(3000)));
    } else {
      wait_for_lines("killed", 1 + static_cast<int64_t>(rng.below(kShortSteps)), child.pid);
      std::this_thread::sleep_for(std::chrono::microseconds(rng.below(8000)));
    }
    kill(child.pid, SIGKILL);
    const Result r = child.wait();
    EXPECT_TRUE(r.code == 0 || r.code == 128 + SIGKILL) << r.err;
    return r.code != 0;
  }

  void kill_and_resume(const char* dtype, int kills, uint64_t seed) {
    recipe_.train.dtype = dtype;
    fs::remove_all(work_ / "whole");
    expect_done(command("whole"));
    Rng rng(seed, 0);
    for (int i = 0, missed = 0; i < kills;) {
      if (!kill_one(rng, i % 2 == 0)) {
        ASSERT_LT(++missed, 2 * kKills) << "runs end before they can be killed";
        continue;
      }
      const std::vector<std::string> left = in_the_making();
      inside_ += !left.empty();
      ++killed_;
      std::printf("kill %2d (%s, seed %d.%d): after %2d lines of metrics, %s\n", killed_, dtype, static_cast<int>(seed), i,
                  static_cast<int>(lines("killed")),
                  left.empty() ? "between checkpoints" : ("inside the write of" + listed(left)).c_str());
      SCOPED_TRACE("kill " + std::to_string(killed_));
      expect_done(command("killed", {"--resume"}));
      expect_equal_runs(work_ / "killed", work_ / "whole");
      if (HasFailure()) return;
      ++i;
    }
  }

  static std::string listed(const std::vector<std::string>& names) {
    std::string text;
    for (const std::string& name : names) text += " " + name.substr(text.empty() ? 0 : names.front().size() + 1);
    return text;
  }

  int killed_ = 0, inside_ = 0;
};

TEST_F(SlowKills, FiftyOfThemTenInsideACheckpointAllResumedBitEqual) {
  kill_and_resume("f32", kKills / 2, 1);
  if (!HasFailure()) kill_and_resume("bf16", kKills - kKills / 2, 2);
  std::printf("%d kills, %d of them inside the write of a checkpoint\n", killed_, inside_);
  EXPECT_EQ(killed_, kKills);
  EXPECT_GE(inside_, kInsideAtLeast);
}

}  // namespace
}  // namespace ballast::e2e
