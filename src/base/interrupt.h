// Ctrl-C, SIGTERM and SIGHUP as a flag that long loops look at between two steps, so that they can save and stop.
#pragma once

namespace ballast {

// The first SIGINT, SIGTERM or SIGHUP sets the flag; a second SIGINT or SIGTERM ends the process as if there were no
// handler. A second SIGHUP does nothing: a terminal that closes sends it from the kernel and from the shell. Where SIGHUP
// is ignored already (nohup), it stays so.
void install_interrupt_handler();
bool interrupted();

}  // namespace ballast
