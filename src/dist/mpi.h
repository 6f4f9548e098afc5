// Processes as ranks, through MPI: `mpirun -n 2 ballast train ...`.
#pragma once

#include "dist/communicator.h"

namespace ballast {

// True where MPI was found when this program was built.
bool built_with_mpi();

// What a launcher says in the environment of how many processes it started, and which of them this is; 1 and 0 without
// one. Joins nothing.
int launched_size();
int launched_rank();

// The ranks that a launcher (mpirun, srun) started; one rank where there was no launcher. Joins MPI with the first
// call. Throws Error{unsupported} where there are several and the program was built without MPI.
Communicator& launched_ranks();

// Whether launched_ranks() has joined several.
bool joined_ranks();

// At the end of the process: takes leave of the other ranks, or, where this one failed, ends them with its exit code.
// Does nothing where launched_ranks() was never called.
void leave_ranks(bool failed, int exit_code);

}  // namespace ballast
