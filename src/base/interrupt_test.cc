#include "base/interrupt.h"

#include <gtest/gtest.h>

#include <csignal>
#include <cstdlib>

namespace ballast {
namespace {

// Each in a child process: signals are process-wide.
TEST(InterruptDeathTest, TheFirstSignalSetsTheFlag) {
  for (const int signal : {SIGINT, SIGTERM})
    EXPECT_EXIT(
        {
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

}  // namespace
}  // namespace ballast
