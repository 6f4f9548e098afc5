// A run that was killed, stopped or interrupted, and then resumed, leaves the files of a run that never was: only times
// differ. And what a damaged checkpoint gets.
#include "resume/run_files.h"

namespace ballast::e2e {
namespace {

class Killed : public Resume {
 protected:
  void kill_and_resume(uint64_t seed) {
    recipe_.balance.probe_every = 4;  // checkpoints fall between two probes, and on one
    expect_done(command("whole"));
    Rng rng(seed, 0);
    int killed = 0;
    for (int64_t done = 0; done + 1 < kSteps;) {
      const int64_t target = done + 1 + static_cast<int64_t>(rng.below(9));
      Child child = start(command("killed", {"--resume"}));
      wait_for_lines("killed", target, child.pid);
      std::this_thread::sleep_for(std::chrono::microseconds(rng.below(8000)));  // into a step, a validation or a save
      kill(child.pid, SIGKILL);
      const Result r = child.wait();
      if (r.code == 0) break;
      ASSERT_EQ(r.code, 128 + SIGKILL) << r.err;
      ++killed;
      done = std::max(target, lines("killed"));
    }
    EXPECT_GE(killed, 3);
    expect_done(command("killed", {"--resume"}));
    expect_equal_runs(work_ / "killed", work_ / "whole");
  }
};

TEST_F(Killed, AtAnyMomentInF32) { kill_and_resume(1); }

TEST_F(Killed, AtAnyMomentInBf16) {
  recipe_.train.dtype = "bf16";
  kill_and_resume(2);
}

TEST_F(Resume, StoppedAfterSomeStepsOfTheSchedule) {
  recipe_.train.keep_best = false;  // the stop's own validation would be in the race
  expect_done(command("whole"));
  recipe_.schedule.stop_after = 10;  // no validation is due there, but one is made
  expect_done(command("stopped"));
  for (const int64_t steps : {10, 6}) {  // done already, or beyond: nothing is lost or doubled, and it is said
    recipe_.schedule.stop_after = steps;
    const Result r = e2e::run(command("stopped", {"--resume"}));
    EXPECT_EQ(r.code, 0) << r.err;
    EXPECT_NE(r.err.find("is finished: 10 of " + std::to_string(steps) + " steps"), std::string::npos) << r.err;
    EXPECT_EQ(r.err.find('%'), std::string::npos) << r.err;
    EXPECT_EQ(lines("stopped"), 10 + 3);
  }
  recipe_.schedule.stop_after = 0;
  const Result r = e2e::run(command("stopped", {"--resume"}));
  ASSERT_EQ(r.code, 0) << r.err;
  EXPECT_EQ(r.err.find("another recipe"), std::string::npos) << r.err;
  expect_equal_runs(work_ / "stopped", work_ / "whole");
}

TEST_F(Resume, InterruptedFinishesItsStepAndSaves) {
  expect_done(command("whole"));
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) {
    fs::remove_all(work_ / "stopped");
    recipe_.train.checkpoint_every = 0;
    Child child = start(command("stopped"));
    ASSERT_TRUE(wait_for_lines("stopped", 4, child.pid));
    kill(child.pid, signal);
    const Result r = child.wait();
    if (r.code == 0) continue;  // it was done by then
    EXPECT_EQ(r.code, 130) << r.err;
    EXPECT_NE(r.err.find("--resume"), std::string::npos) << r.err;
    EXPECT_EQ(r.out, "");
    const auto saved = latest_checkpoint(work_ / "stopped" / "checkpoints");
    ASSERT_TRUE(saved);
    const int64_t step = Json::read(*saved / "trainer/state.json").at("step").as_int();
    EXPECT_EQ(static_cast<int64_t>(series(work_ / "stopped", "train/loss").size()), step);
    recipe_.train.checkpoint_every = 3;
    expect_done(command("stopped", {"--resume"}));
    fs::copy(work_ / "whole/config.toml", work_ / "stopped/config.toml", fs::copy_options::overwrite_existing);
    Files got = essence(work_ / "stopped"), want = essence(work_ / "whole");
    for (const char* name : {"metrics.jsonl", "loads.npy", "checkpoints/step-000030/model.safetensors",
                             "checkpoints/step-000030/trainer/moments.safetensors", "events.out.tfevents.ballast"})
      EXPECT_EQ(got.at(name), want.at(name)) << name;
  }
}

TEST_F(Resume, ThreadsDoNotMatter) {
  recipe_.schedule.steps = 9;
  for (const char* dtype : {"f32", "bf16"}) {
    recipe_.train.dtype = dtype;
    expect_done(command("one", {"--fresh"}));
    expect_done(command("two", {"--fresh", "-t", "2"}));
    for (const char* key : {"train/loss", "train/mtp_loss", "grad_norm", "val/loss"})
      EXPECT_EQ(series(work_ / "one", key), series(work_ / "two", key)) << dtype << " " << key;
    EXPECT_EQ(slurp(work_ / "one/loads.npy"), slurp(work_ / "two/loads.npy")) << dtype;
    EXPECT_EQ(slurp(work_ / "one/checkpoints/step-000009/model.safetensors"),
              slurp(work_ / "two/checkpoints/step-000009/model.safetensors")) << dtype;
  }
}

TEST_F(Resume, OneProcessPerFolder) {
  recipe_.schedule.steps = 1000000;
  Child first = start(command("run"));
  ASSERT_TRUE(wait_for_lines("run", 5, first.pid));
  const std::string partial = work_ / "run/checkpoints/.partial-step-999999";
  fs::create_directories(partial);  // as if the first were saving
  for (const char* how : {"--resume", "--fresh"}) {
    const Result second = e2e::run(command("run", {how}));
    EXPECT_EQ(second.code, 2) << how << second.err;
    EXPECT_NE(second.err.find("another process"), std::string::npos) << second.err;
  }
  EXPECT_TRUE(fs::exists(partial));
  EXPECT_EQ(kill(first.pid, SIGINT), 0);
  EXPECT_EQ(first.wait().code, 130);
}

TEST_F(Resume, LeftoversOfAKilledSaveGo) {
  recipe_.schedule.stop_after = 4;
  expect_done(command("run"));
  spill(work_ / "run/checkpoints/.partial-step-000009/trainer/state.json", "{");
  spill(work_ / "run/.partial-old-checkpoints/step-000100/config.json", "{");
  spill(work_ / "run/checkpoints/best.json.tmp-123-4", "{");
  recipe_.schedule.stop_after = 5;
  expect_done(command("run", {"--resume"}));
  for (const std::string& name : files_in(work_.path())) {
    EXPECT_EQ(name.find(".partial-"), std::string::npos) << name;
    EXPECT_EQ(name.find(".tmp-"), std::string::npos) << name;
  }
}

TEST_F(Resume, AnotherRecipeIsSaid) {
  recipe_.schedule.stop_after = 2;
  expect_done(command("run"));
  recipe_.schedule.stop_after = 3;
  recipe_.optimizer.learning_rate = 0.02;
  const Result r = e2e::run(command("run", {"--resume"}));
  EXPECT_EQ(r.code, 0) << r.err;
  EXPECT_NE(r.err.find("optimizer.learning_rate 0.01 -> 0.02"), std::string::npos) << r.err;
}

TEST_F(Resume, DamageIsNamedAndNothingChanges) {
  recipe_.schedule.stop_after = 8;
  recipe_.train.keep_last = 1;
  expect_done(command("run"));
  recipe_.schedule.stop_after = 9;
  const fs::path checkpoint = work_ / "run/checkpoints/step-000008", state = checkpoint / "trainer/state.json";
  const auto cut = [](const fs::path& file) { fs::resize_file(file, fs::file_size(file) / 2); };
  const auto replace = [](const fs::path& file, const std::string& from, const std::string& to) {
    std::string text = slurp(file);
    ASSERT_NE(text.find(from), std::string::npos);
    spill(file, text.replace(text.find(from), from.size(), to));
  };
  struct Damage {
    std::function<void()> make;
    Words named;
  };
  const Damage damages[] = {
      {[&] { cut(checkpoint / "model.safetensors"); }, {"step-000008/model.safetensors"}},
      {[&] { cut(checkpoint / "trainer/moments.safetensors"); }, {"moments.safetensors"}},
      {[&] { fs::remove(checkpoint / "trainer/moments.safetensors"); }, {"moments.safetensors"}},
      {[&] { cut(state); }, {"state.json"}},
      {[&] { spill(state, "not JSON"); }, {"state.json:1"}},
      {[&] { replace(state, "\"format\": 1", "\"format\": 2"); }, {"state.json", "newer"}},
      {[&] { replace(state, "\"updates\"", "\"upbeats\""); }, {"state.json", "updates"}},
      {[&] { replace(state, "\"epoch\": 0", "\"epoch\": \"x\""); }, {"epoch"}},
      {[&] { fs::remove(state); }, {"step-000008", "--init-from"}},
      {[&] { cut(work_ / "run/metrics.jsonl"); }, {"metrics.jsonl"}},
      {[&] { cut(work_ / "run/loads.npy"); }, {"loads.npy"}},
      {[&] { cut(work_ / "run/events.out.tfevents.ballast"); }, {"events.out.tfevents.ballast"}},
      {[&] { recipe_.model.moe_intermediate_size = 16; }, {"model.layers.1.mlp.experts.0."}},
      {[&] { recipe_.train.seed = 9; }, {"seed"}},
  };
  fs::remove(checkpoint / "checksums.json");  // which would name the file, too, but not what is wrong in it
  fs::copy(work_ / "run", work_ / "sound", fs::copy_options::recursive);
  const RunConfig sound = recipe_;
  for (const Damage& damage : damages) {
    damage.make();
    const Words words = command("run", {"--resume"});
    const Files before = snapshot(work_.path());
    const Result r = e2e::run(words);
    EXPECT_EQ(r.code, 2) << damage.named.front() << r.err;
    for (const std::string& name : damage.named) EXPECT_NE(r.err.find(name), std::string::npos) << name << "\n" << r.err;
    EXPECT_EQ(snapshot(work_.path()), before) << damage.named.front();
    fs::remove_all(work_ / "run");
    fs::copy(work_ / "sound", work_ / "run", fs::copy_options::recursive);
    recipe_ = sound;
  }
  expect_done(command("run", {"--resume"}));
}

}  // namespace
}  // namespace ballast::e2e
