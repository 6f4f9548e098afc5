// What ranks say to each other. A rank is one copy of the model with a device of its own: a thread (dist/local.h) or a
// process (dist/mpi.h). Calls are collective: every rank makes the same ones in the same order.
#pragma once

#include <cstdint>
#include <span>

namespace ballast {

class Communicator {
 public:
  virtual ~Communicator() = default;
  virtual int rank() const = 0;
  virtual int size() const = 0;
  bool lead() const { return rank() == 0; }  // the one that writes files and talks to the user

  // Replaces the values of every rank by their sum over ranks, element by element, added in the order of the ranks: the
  // same bits on every rank, and the same for threads and processes.
  virtual void all_reduce_sum(std::span<float> values) = 0;
  virtual void all_reduce_sum(std::span<double> values) = 0;
  virtual void all_reduce_sum(std::span<int64_t> values) = 0;
  // Returns when every rank has called it.
  virtual void barrier() = 0;
};

// A run of one rank.
class SingleRank final : public Communicator {
 public:
  int rank() const override { return 0; }
  int size() const override { return 1; }
  void all_reduce_sum(std::span<float>) override {}
  void all_reduce_sum(std::span<double>) override {}
  void all_reduce_sum(std::span<int64_t>) override {}
  void barrier() override {}
};

}  // namespace ballast
