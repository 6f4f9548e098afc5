// Ctrl-C, SIGTERM and SIGHUP as a flag that long loops look at between two steps, so that they can save and stop.
#pragma once

#include <csignal>

namespace ballast {

// The first SIGINT, SIGTERM or SIGHUP sets the flag; a second SIGINT or SIGTERM ends the process as if there were no
// handler. A second SIGHUP does nothing: a terminal that closes sends it from the kernel and from the shell. Where SIGHUP
// is ignored already (nohup), it stays so. For the main thread: its handler runs on a stack of its own, since generated
// code (oneDNN's products) uses the stack pointer as one more register, and a handler's frame would be written into
// whatever it points to.
void install_interrupt_handler();
bool interrupted();

// While it lives, threads that this one starts never receive these signals, for the same reason.
class SignalsKeptFromNewThreads {
 public:
  SignalsKeptFromNewThreads();
  ~SignalsKeptFromNewThreads();
  SignalsKeptFromNewThreads(const SignalsKeptFromNewThreads&) = delete;
  SignalsKeptFromNewThreads& operator=(const SignalsKeptFromNewThreads&) = delete;

 private:
  sigset_t before_;
};

}  // namespace ballast
