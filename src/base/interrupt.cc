#include "base/interrupt.h"

#include "base/error.h"

namespace ballast {
namespace {

volatile std::sig_atomic_t flag = 0;

void on_signal(int signal) {
  if (flag && signal != SIGHUP) {
    std::signal(signal, SIG_DFL);
    std::raise(signal);  // is delivered when this handler returns
  }
  flag = 1;
}

constexpr int kSignals[] = {SIGINT, SIGTERM, SIGHUP};
alignas(64) char handler_stack[64 << 10];  // AVX-512 and AMX registers take up to 11 KiB of a frame

}  // namespace

void install_interrupt_handler() {
  stack_t stack = {};
  stack.ss_sp = handler_stack;
  stack.ss_size = sizeof handler_stack;
  CHECK(sigaltstack(&stack, nullptr) == 0);
  struct sigaction action = {};
  action.sa_handler = on_signal;
  action.sa_flags = SA_ONSTACK | SA_RESTART;  // libraries need not handle EINTR
  sigemptyset(&action.sa_mask);
  CHECK(sigaction(SIGINT, &action, nullptr) == 0);
  CHECK(sigaction(SIGTERM, &action, nullptr) == 0);
  struct sigaction before = {};
  CHECK(sigaction(SIGHUP, nullptr, &before) == 0);
  if (before.sa_handler != SIG_IGN) CHECK(sigaction(SIGHUP, &action, nullptr) == 0);
}

bool interrupted() { return flag != 0; }

SignalsKeptFromNewThreads::SignalsKeptFromNewThreads() {
  sigset_t blocked;
  sigemptyset(&blocked);
  for (const int signal : kSignals) sigaddset(&blocked, signal);
  CHECK(pthread_sigmask(SIG_BLOCK, &blocked, &before_) == 0);
}

SignalsKeptFromNewThreads::~SignalsKeptFromNewThreads() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }

}  // namespace ballast
