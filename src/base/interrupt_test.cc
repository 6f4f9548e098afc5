#include "base/interrupt.h"

#include <gtest/gtest.h>

#include <csignal>
#include <cstdlib>

namespace ballast {
namespace {

// Each in a child process: signals are process-wide.
TEST(InterruptDeathTest, TheFirstSignalSetsTheFlag) {
  for (const int signal : {SIGINT, SIGTERM, SIGHUP})
    EXPECT_EXIT(
        {
          std::signal(SIGHUP, SIG_DFL);  // whatever the test was started with
          install_interrupt_handler();
          if (interrupted()) std::exit(1);
          std::raise(signal);
          std::exit(interrupted() ? 42 : 1);
        },
        testing::ExitedWithCode(42), "");
}

TEST(InterruptDeathTest, TheSecondSignalEndsTheProcess) {
  EXPECT_EXIT(
      {
        install_interrupt_handler();
        std::raise(SIGTERM);
        std::raise(SIGINT);
        std::exit(42);
      },
      testing::KilledBySignal(SIGINT), "");
}

// A closing terminal sends it twice.
TEST(InterruptDeathTest, ASecondHangupIsNotASecondThought) {
  for (const int first : {SIGINT, SIGHUP})
    EXPECT_EXIT(
        {
          std::signal(SIGHUP, SIG_DFL);  // whatever the test was started with
          install_interrupt_handler();
          std::raise(first);
          std::raise(SIGHUP);
          std::exit(interrupted() ? 42 : 1);
        },
        testing::ExitedWithCode(42), "");
}

TEST(InterruptDeathTest, NohupIsRespected) {
  EXPECT_EXIT(
      {
        std::signal(SIGHUP, SIG_IGN);
        install_interrupt_handler();
        std::raise(SIGHUP);
        std::exit(interrupted() ? 1 : 42);
      },
      testing::ExitedWithCode(42), "");
}

}  // namespace
}  // namespace ballast
