#include "base/thread_pool.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <new>
#include <vector>

#include "base/error.h"

namespace ballast {
namespace {

// More workers than cores, too: they must not depend on running at the same time.
class ThreadPoolTest : public testing::TestWithParam<int> {};
INSTANTIATE_TEST_SUITE_P(Sizes, ThreadPoolTest, testing::Values(1, 2, 3, 8));

TEST_P(ThreadPoolTest, RunCallsEveryWorkerOnce) {
  ThreadPool pool(GetParam());
  ASSERT_EQ(pool.size(), GetParam());
  std::vector<int> calls(pool.size());
  for (int round = 0; round < 200; ++round) pool.run([&](int worker) { ++calls[worker]; });
  for (const int n : calls) EXPECT_EQ(n, 200);
}

TEST_P(ThreadPoolTest, ForEachDoesEveryTaskOnce) {
  ThreadPool pool(GetParam());
  for (const int64_t tasks : {0, 1, 2, 7, 1000}) {
    std::vector<int> done(tasks);
    pool.for_each(tasks, [&](int64_t task, int worker) {
      EXPECT_TRUE(worker >= 0 && worker < pool.size());
      ++done[task];
    });
    for (const int n : done) EXPECT_EQ(n, 1);
  }
}

TEST_P(ThreadPoolTest, SplitCoversTheRangeInWholeGrains) {
  ThreadPool pool(GetParam());
  for (const int64_t n : {0, 1, 15, 16, 17, 1000})
    for (const int64_t grain : {1, 16, 64}) {
      std::vector<int> covered(n);
      pool.split(n, grain, [&](int64_t begin, int64_t end, int) {
        EXPECT_LT(begin, end);
        EXPECT_EQ(begin % grain, 0);
        EXPECT_TRUE(end == n || end % grain == 0);
        for (int64_t i = begin; i < end; ++i) ++covered[i];
      });
      for (const int c : covered) ASSERT_EQ(c, 1);
    }
}

TEST_P(ThreadPoolTest, WorkersThatSleptWakeUp) {
  ThreadPool pool(GetParam());
  std::vector<int> calls(pool.size());
  for (int round = 0; round < 3; ++round) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));  // long past spinning and yielding
    pool.run([&](int worker) { ++calls[worker]; });
  }
  for (const int n : calls) EXPECT_EQ(n, 3);
}

TEST_P(ThreadPoolTest, RethrowsWhatAWorkerThrew) {
  ThreadPool pool(GetParam());
  for (int thrower = 0; thrower < pool.size(); ++thrower) {
    std::atomic<int> calls = 0;
    EXPECT_THROW(pool.run([&](int worker) {
      ++calls;
      if (worker >= thrower) throw std::bad_alloc();
    }),
                 std::bad_alloc);
    EXPECT_EQ(calls, pool.size()) << "it waits for all of them";
  }
  int calls = 0;
  pool.run([&](int worker) {
    if (worker == 0) ++calls;
  });
  EXPECT_EQ(calls, 1) << "and goes on";
}

// Threads' stacks are address space: with none left, no further thread starts.
TEST(ThreadPool, SaysThatThreadsDoNotStart) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "sanitizers need the address space themselves";
#endif
  const auto in_child = [] {
    const rlimit limit{size_t{1} << 30, size_t{1} << 30};
    setrlimit(RLIMIT_AS, &limit);
    try {
      ThreadPool pool(1000);
    } catch (const Error& e) {
      std::fputs(e.what(), stderr);
      std::_Exit(e.kind == ErrorKind::device ? 2 : 3);
    }
    std::_Exit(0);
  };
  EXPECT_EXIT(in_child(), testing::ExitedWithCode(2), "threads: cannot start 1000, only .*-t");
}

TEST(ThreadPool, TakesWhatTheMachineAllows) {
  EXPECT_GE(ThreadPool::available_cores(), 1);
  EXPECT_EQ(ThreadPool().size(), ThreadPool::available_cores());
}

TEST(ThreadPool, WorkersFlushDenormals) {
#if defined(__x86_64__)
  ThreadPool pool(2);
  std::vector<float> product(2, 1.0f);
  volatile float tiny = 1e-30f;
  pool.run([&](int worker) { product[worker] = tiny * 1e-12f; });
  EXPECT_EQ(product[0], 0);
  EXPECT_EQ(product[1], 0);
#else
  GTEST_SKIP() << "not done on this CPU";
#endif
}

}  // namespace
}  // namespace ballast
