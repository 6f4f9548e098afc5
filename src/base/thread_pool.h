// The CPU's workers: one pool per rank, and no other. A second pool (OpenMP's, say) costs 2-7x, because idle workers of
// both spin on the same cores; oneDNN is therefore always called single-threaded from inside these workers.
// Idle workers spin briefly, then yield, then sleep on a futex.
#pragma once

#include <atomic>
#include <cstdint>
#include <thread>
#include <vector>

namespace ballast {

class ThreadPool {
 public:
  // `threads` workers including the caller; 0: what the affinity mask and the cgroup quota allow. Throws Error{device}.
  explicit ThreadPool(int threads = 0);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int size() const { return size_; }
  static int available_cores();

  // Calls fn(worker) once on every worker in [0, size()) and waits; rethrows. The caller is worker 0. Not reentrant.
  template <class F>
  void run(F&& fn) {
    run_raw([](void* ctx, int worker) { (*static_cast<std::remove_reference_t<F>*>(ctx))(worker); }, &fn);
  }

  // Calls fn(task, worker) for every task in [0, tasks). Tasks are handed out in order, one at a time, so which worker
  // gets which task varies: results must not depend on it.
  template <class F>
  void for_each(int64_t tasks, F&& fn) {
    if (tasks <= 1 || size_ == 1) {
      for (int64_t i = 0; i < tasks; ++i) fn(i, 0);
      return;
    }
    std::atomic<int64_t> next{0};
    run([&](int worker) {
      for (int64_t i; (i = next.fetch_add(1, std::memory_order_relaxed)) < tasks;) fn(i, worker);
    });
  }

  // Splits [0, n) into one contiguous range per worker, each a multiple of `grain` long but the last:
  // fn(begin, end, worker).
  template <class F>
  void split(int64_t n, int64_t grain, F&& fn) {
    const int64_t units = (n + grain - 1) / grain;
    const int parts = static_cast<int>(units < size_ ? units : size_);
    if (parts <= 1) {
      if (n > 0) fn(int64_t{0}, n, 0);
      return;
    }
    run([&](int worker) {
      if (worker >= parts) return;
      const int64_t begin = units * worker / parts * grain, end = units * (worker + 1) / parts * grain;
      fn(begin, end < n ? end : n, worker);
    });
  }

 private:
  void run_raw(void (*fn)(void*, int), void* ctx);
  void work(int worker);

  int size_;
  std::vector<std::thread> threads_;
  void (*fn_)(void*, int) = nullptr;
  void* ctx_ = nullptr;
  alignas(64) std::atomic<uint32_t> generation_{0};
  alignas(64) std::atomic<int> pending_{0};
  std::atomic<bool> stop_{false};
};

}  // namespace ballast
