#include "dist/mpi.h"

#include <cstdlib>
#include <memory>

#include "base/error.h"

#if BALLAST_MPI
#include <mpi.h>

#include <algorithm>
#include <vector>
#endif

namespace ballast {
namespace {

// Of OpenMPI's mpirun, or of MPICH's and Slurm's (with PMI).
int of_launcher(const char* open_mpi, const char* pmi, int without) {
  for (const char* name : {open_mpi, pmi})
    if (const char* value = std::getenv(name)) return std::atoi(value);
  return without;
}

#if BALLAST_MPI

MPI_Datatype type_of(float) { return MPI_FLOAT; }
MPI_Datatype type_of(double) { return MPI_DOUBLE; }
MPI_Datatype type_of(int64_t) { return MPI_INT64_T; }

class MpiRanks final : public Communicator {
 public:
  MpiRanks() {
    MPI_Init(nullptr, nullptr);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank_);
    MPI_Comm_size(MPI_COMM_WORLD, &size_);
  }
  int rank() const override { return rank_; }
  int size() const override { return size_; }
  void all_reduce_sum(std::span<float> values) override { sum(values); }
  void all_reduce_sum(std::span<double> values) override { sum(values); }
  void all_reduce_sum(std::span<int64_t> values) override { sum(values); }
  void barrier() override { MPI_Barrier(MPI_COMM_WORLD); }

 private:
  // Not MPI_Allreduce, whose order of additions is its own affair: every rank gets one part of everybody's values, adds
  // them up in the order of ranks, and hands the sums round. Moves as many bytes as a ring does.
  template <class T>
  void sum(std::span<T> values) {
    const size_t ranks = static_cast<size_t>(size_), block = ranks * kPart;
    std::vector<T> send(std::min(block, (values.size() + ranks - 1) / ranks * ranks)), receive(send.size());
    for (size_t at = 0; at < values.size(); at += block) {
      const size_t n = std::min(block, values.size() - at), part = (n + ranks - 1) / ranks;
      std::copy_n(values.begin() + static_cast<ptrdiff_t>(at), n, send.begin());
      std::fill(send.begin() + static_cast<ptrdiff_t>(n), send.begin() + static_cast<ptrdiff_t>(part * ranks), T(0));
      const int count = static_cast<int>(part);
      MPI_Alltoall(send.data(), count, type_of(T{}), receive.data(), count, type_of(T{}), MPI_COMM_WORLD);
      for (size_t i = 0; i < part; ++i) {
        send[i] = receive[i];
        for (size_t other = 1; other < ranks; ++other) send[i] += receive[other * part + i];
      }
      MPI_Allgather(send.data(), count, type_of(T{}), receive.data(), count, type_of(T{}), MPI_COMM_WORLD);
      std::copy_n(receive.begin(), n, values.begin() + static_cast<ptrdiff_t>(at));
    }
  }

  static constexpr size_t kPart = 1 << 20;  // elements of one message
  int rank_ = 0, size_ = 1;
};

std::unique_ptr<MpiRanks> ranks;  // MPI is one per process

#endif

}  // namespace

bool built_with_mpi() { return BALLAST_MPI; }

int launched_size() { return of_launcher("OMPI_COMM_WORLD_SIZE", "PMI_SIZE", 1); }
int launched_rank() { return of_launcher("OMPI_COMM_WORLD_RANK", "PMI_RANK", 0); }

Communicator& launched_ranks() {
  static SingleRank alone;
  if (launched_size() <= 1) return alone;
#if BALLAST_MPI
  if (!ranks) ranks = std::make_unique<MpiRanks>();
  return *ranks;
#else
  fail(
      ErrorKind::unsupported, "mpirun",
      "this program was built without MPI: apt-get install libopenmpi-dev openmpi-bin, then configure and build again");
#endif
}

bool joined_ranks() {
#if BALLAST_MPI
  return ranks != nullptr;
#else
  return false;
#endif
}

void leave_ranks([[maybe_unused]] bool failed, [[maybe_unused]] int exit_code) {
#if BALLAST_MPI
  if (!ranks) return;
  if (failed) MPI_Abort(MPI_COMM_WORLD, exit_code);
  MPI_Finalize();
  ranks.reset();
#endif
}

}  // namespace ballast
