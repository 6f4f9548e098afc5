// SIGINT, SIGTERM and SIGHUP. Training, which saves and can go on, is in tests/resume.
#include "e2e/tiny_corpus.h"
#include "resume/run_files.h"

namespace ballast::e2e {
namespace {

class Signal : public Resume {};

// A command that runs for long stops soon, writes nothing, and says so with exit code 130.
TEST_F(Signal, StopsACommandThatOnlyComputes) {
  write_tiny_sources(work_ / "src");
  ASSERT_EQ(e2e::run({"corpus", "--source", work_ / "src", "--vocab-size=300", "--out", work_ / "data"}).code, 0);
  Words training = tiny_training(work_ / "data");
  training.insert(training.end(), {"--schedule.steps=1", "--out", work_ / "run"});
  ASSERT_EQ(e2e::run(training).code, 0);
  const fs::path model = work_ / "run/checkpoints/step-000001";
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) {
    for (const Words& words : std::vector<Words>{
             {"eval", "-m", model, "--source", work_ / "src", "--context=32", "--eval.stride=1",
              "--eval.prompt_bytes=16", "--eval.line_tokens=4", "-t", "1"},
             {"study", "skip", "-m", model, "--shard", work_ / "data/held_out.shard", "--study.window=32",
              "--study.calibration_tokens=32", "--study.prompt=8", "--study.decode=8", "--study.rounds=1000000", "-t", "1"},
         }) {
      Words command = words;
      command.insert(command.end(), {"--out", work_ / "text"});
      Child child = start(command);
      std::this_thread::sleep_for(std::chrono::milliseconds(300));  // any moment will do
      kill(child.pid, signal);
      const Result r = child.wait();
      if (r.code == 0) {
        fs::remove(work_ / "text");  // it was done by then
        continue;
      }
      // Before main() has begun, the signal ends the process at once.
      EXPECT_TRUE(r.code == 130 || r.code == 128 + signal) << words.front() << "\n" << r.err;
      EXPECT_EQ(r.out, "");
      EXPECT_FALSE(fs::exists(work_ / "text")) << words.front();
    }
  }
}

// Products whose timing takes long, in a plan that fits: --dry-run stops between two of them.
TEST_F(Signal, StopsADryRun) {
  recipe_.data.seq_len = 64, recipe_.data.batch_size = 1000;
  recipe_.model.num_hidden_layers = 100;
  recipe_.train.recompute = true;
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) {
    Child child = start(command("run", {"--dry-run"}), [] { std::signal(SIGHUP, SIG_DFL); });
    std::this_thread::sleep_for(std::chrono::milliseconds(500));
    kill(child.pid, signal);
    const Result r = child.wait();
    EXPECT_TRUE(r.code == 130 || r.code == 128 + signal) << r.code << r.out << r.err;
    EXPECT_EQ(r.out, "");
  }
}

// What cannot fit is refused with the figures, and is not timed.
TEST_F(Signal, ADryRunThatCannotFitIsRefused) {
  recipe_.data.seq_len = 64, recipe_.data.batch_size = 30000000;
  const Result r = e2e::run(command("run", {"--dry-run"}));
  EXPECT_EQ(r.code, 2) << r.err;
  EXPECT_NE(r.out.find("saved_activations"), std::string::npos) << r.out;
  EXPECT_EQ(r.out.find("ceiling"), std::string::npos) << r.out;
  EXPECT_NE(r.err.find("ballast: error: train: needs "), std::string::npos) << r.err;
  EXPECT_NE(r.err.find("data.batch_size"), std::string::npos) << r.err;
}

// The second signal ends the process without waiting; what was saved before stays, and the run goes on from there.
TEST_F(Signal, TwiceEndsAtOnce) {
  recipe_.train.checkpoint_every = 1;
  expect_done(command("whole"));
  Child child = start(command("run"));
  ASSERT_TRUE(wait_for_lines("run", 4, child.pid));
  kill(child.pid, SIGTERM);
  kill(child.pid, SIGINT);
  const Result r = child.wait();
  // Either may be the second to arrive; a run that was done by then has its own code.
  EXPECT_TRUE(r.code == 128 + SIGINT || r.code == 128 + SIGTERM || r.code == 0) << r.code << r.err;
  expect_done(command("run", {"--resume"}));
  expect_equal_runs(work_ / "run", work_ / "whole");
}

}  // namespace
}  // namespace ballast::e2e
