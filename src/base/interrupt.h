// Ctrl-C and SIGTERM as a flag that long loops look at between two steps, so that they can save and stop.
#pragma once

namespace ballast {

// The first SIGINT or SIGTERM sets the flag; the second one ends the process as if there were no handler.
void install_interrupt_handler();
bool interrupted();

}  // namespace ballast
