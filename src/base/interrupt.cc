#include "base/interrupt.h"

#include <csignal>

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

}  // namespace

void install_interrupt_handler() {
  struct sigaction action = {};
  action.sa_handler = on_signal;
  action.sa_flags = SA_RESTART;  // libraries need not handle EINTR
  sigemptyset(&action.sa_mask);
  CHECK(sigaction(SIGINT, &action, nullptr) == 0);
  CHECK(sigaction(SIGTERM, &action, nullptr) == 0);
  struct sigaction before = {};
  CHECK(sigaction(SIGHUP, nullptr, &before) == 0);
  if (before.sa_handler != SIG_IGN) CHECK(sigaction(SIGHUP, &action, nullptr) == 0);
}

bool interrupted() { return flag != 0; }

}  // namespace ballast
