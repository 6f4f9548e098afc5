// A run that goes on with another instruction set or another type: said in a line each, and the type is kept.
#include "core/cpu_features.h"
#include "resume/run_files.h"

namespace ballast::e2e {
namespace {

class Tier : public Resume {
 protected:
  void SetUp() override {
    Resume::SetUp();
    recipe_.schedule.stop_after = 4;
  }

  // Goes on by two steps under BALLAST_ISA = isa, if given. What it said.
  std::string go_on(const char* isa) {
    recipe_.schedule.stop_after = 6;
    const Result r = e2e::run(command("run", {"--resume"}), [&] {
      if (isa != nullptr) setenv("BALLAST_ISA", isa, 1);
    });
    EXPECT_EQ(r.code, 0) << r.err;
    EXPECT_EQ(series(work_ / "run", "train/loss").size(), 6u);
    return r.err;
  }

  Json environment() const {
    return Json::read(*latest_checkpoint(work_ / "run/checkpoints") / "trainer/state.json").at("environment");
  }

  static int count(const std::string& text, const std::string& part) {
    int n = 0;
    for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++n;
    return n;
  }
};

TEST_F(Tier, AnotherInstructionSetIsSaidAndTheTypeKept) {
  if (cpu_isa() == "baseline") GTEST_SKIP() << "this CPU has but one instruction set";
  recipe_.train.dtype = "auto";
  expect_done(command("run"));
  const std::string dtype = environment().at("dtype").as_string();
  EXPECT_EQ(dtype, cpu_has_bf16_products() ? "bf16" : "f32");
  const std::string said = go_on("baseline");
  EXPECT_EQ(count(said, "continuing, not bit-equal"), 1) << said;
  EXPECT_NE(said.find("\"isa\": \"" + cpu_isa() + "\""), std::string::npos) << said;
  EXPECT_NE(said.find("\"isa\": \"baseline\""), std::string::npos) << said;
  EXPECT_EQ(environment().at("isa").as_string(), "baseline");
  EXPECT_EQ(environment().at("dtype").as_string(), dtype);
}

TEST_F(Tier, AnotherTypeIsSaidAndTheRunsOwnKept) {
  for (const char* dtype : {"f32", "bf16"}) {
    fs::remove_all(work_ / "run");
    recipe_.schedule.stop_after = 6;
    recipe_.train.dtype = dtype;
    expect_done(command("whole", {"--fresh"}));
    recipe_.schedule.stop_after = 4;
    expect_done(command("run"));
    recipe_.train.dtype = dtype == std::string("f32") ? "bf16" : "f32";
    const std::string said = go_on(nullptr);
    EXPECT_EQ(count(said, "the run goes on in " + std::string(dtype)), 1) << said;
    EXPECT_EQ(said.find("another recipe"), std::string::npos) << said;
    EXPECT_EQ(said.find("not bit-equal"), std::string::npos) << said;
    EXPECT_EQ(environment().at("dtype").as_string(), dtype);
    EXPECT_EQ(series(work_ / "run", "train/loss"), series(work_ / "whole", "train/loss"));
  }
}

TEST_F(Tier, TheProgramKeepsToTheLimit) {
  const Result r = e2e::run({"--version"}, [] { setenv("BALLAST_ISA", "baseline", 1); });
  EXPECT_EQ(r.code, 0) << r.err;
  EXPECT_NE(r.out.find("baseline"), std::string::npos) << r.out;
  EXPECT_NE(r.out.find("sse41"), std::string::npos) << r.out;  // oneDNN's lowest
  const Result unknown = e2e::run({"--version"}, [] { setenv("BALLAST_ISA", "avx3", 1); });
  EXPECT_EQ(unknown.code, 2);
  EXPECT_NE(unknown.err.find("BALLAST_ISA"), std::string::npos) << unknown.err;
  EXPECT_NE(unknown.err.find("avx512"), std::string::npos) << unknown.err;
}

}  // namespace
}  // namespace ballast::e2e
