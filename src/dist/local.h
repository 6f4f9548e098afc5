// Threads of this process as ranks: what tests use, with the semantics of several machines.
#pragma once

#include <functional>

#include "dist/communicator.h"

namespace ballast {

// Runs `body` once per rank, each on a thread of its own, and waits for all. Where one throws, the others' next
// collective call throws as well, and the first error is thrown here.
void run_local_ranks(int ranks, const std::function<void(Communicator&)>& body);

}  // namespace ballast
