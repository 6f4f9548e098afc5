#include "base/interrupt.h"

#include <gtest/gtest.h>

#include <array>
#include <csignal>
#include <cstdlib>

#include "base/thread_pool.h"

namespace ballast {
namespace {

// oneDNN's generated code has its stack pointer in matrices: neither a handler's frame nor a worker's may go there.
TEST(InterruptDeathTest, HandlersRunOnAStackOfTheirOwnInTheMainThread) {
  const auto in_child = [] {
    install_interrupt_handler();
    stack_t stack = {};
    bool okay = sigaltstack(nullptr, &stack) == 0 && !(stack.ss_flags & SS_DISABLE) && stack.ss_size >= 64 << 10;
    for (const int signal : {SIGINT, SIGTERM}) {
      struct sigaction action = {};
      okay = okay && sigaction(signal, nullptr, &action) == 0 && (action.sa_flags & SA_ONSTACK);
    }
    ThreadPool pool(3);
    std::array<bool, 3> kept{};
    pool.run([&](int worker) {
      sigset_t blocked;
      pthread_sigmask(SIG_BLOCK, nullptr, &blocked);
      kept[static_cast<size_t>(worker)] =
          sigismember(&blocked, SIGINT) == 1 && sigismember(&blocked, SIGTERM) == 1 && sigismember(&blocked, SIGHUP) == 1;
    });
    std::exit(okay && kept == std::array{false, true, true} ? 42 : 1);
  };
  EXPECT_EXIT(in_child(), testing::ExitedWithCode(42), "");
}

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
