#include "dist/local.h"

#include <gtest/gtest.h>

#include <atomic>
#include <cmath>
#include <vector>

#include "base/error.h"

namespace ballast {
namespace {

template <class T>
T value_of(int rank, size_t i) {
  return static_cast<T>(1e-3 * static_cast<double>(i % 97) + std::pow(10.0, rank));
}

// Every rank gets the sum in the order of ranks, to the bit, for lengths that do not divide by the number of ranks.
template <class T>
void expect_sums(int ranks, size_t n) {
  std::vector<std::vector<T>> after(static_cast<size_t>(ranks));
  run_local_ranks(ranks, [&](Communicator& comm) {
    std::vector<T> own(n);
    for (size_t i = 0; i < n; ++i) own[i] = value_of<T>(comm.rank(), i);
    comm.all_reduce_sum(std::span<T>(own));
    after[static_cast<size_t>(comm.rank())] = own;
  });
  for (size_t i = 0; i < n; ++i) {
    T sum = value_of<T>(0, i);
    for (int rank = 1; rank < ranks; ++rank) sum += value_of<T>(rank, i);
    for (const auto& values : after) ASSERT_EQ(values[i], sum) << i;
  }
}

TEST(LocalRanks, SumInTheOrderOfRanks) {
  for (const int ranks : {1, 2, 3, 5})
    for (const size_t n : {size_t{0}, size_t{1}, size_t{4}, size_t{1001}}) {
      expect_sums<float>(ranks, n);
      expect_sums<double>(ranks, n);
      expect_sums<int64_t>(ranks, n);
    }
}

TEST(LocalRanks, KnowWhoTheyAre) {
  std::atomic<int> sum = 0, leads = 0;
  run_local_ranks(3, [&](Communicator& comm) {
    EXPECT_EQ(comm.size(), 3);
    sum += comm.rank();
    leads += comm.lead();
  });
  EXPECT_EQ(sum, 3);
  EXPECT_EQ(leads, 1);
}

TEST(LocalRanks, BarrierWaitsForAll) {
  std::atomic<int> before = 0;
  run_local_ranks(4, [&](Communicator& comm) {
    for (int round = 1; round <= 50; ++round) {
      ++before;
      comm.barrier();
      EXPECT_GE(before, 4 * round);
      comm.barrier();
    }
  });
}

TEST(LocalRanks, AnErrorOfOneEndsAll) {
  try {
    run_local_ranks(3, [](Communicator& comm) {
      if (comm.rank() == 1) fail(ErrorKind::file, "shard", "is gone");
      for (;;) comm.barrier();
    });
    FAIL() << "no error";
  } catch (const Error& e) {
    EXPECT_STREQ(e.what(), "shard: is gone");
  }
}

}  // namespace
}  // namespace ballast
