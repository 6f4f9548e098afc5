#include "base/thread_pool.h"

#include <sched.h>

#include <algorithm>
#include <cmath>
#include <cstdio>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace ballast {
namespace {

void relax() {
#if defined(__x86_64__)
  _mm_pause();
#endif
}

// Denormals are slow on some CPUs and flushed by others' bf16 products: flush them everywhere, for equal results.
void flush_denormals() {
#if defined(__x86_64__)
  _mm_setcsr(_mm_getcsr() | 0x8040);
#endif
}

// Cores that the cgroup (v2, then v1) allows; a large number where no quota is set.
double quota_cores() {
  double quota = 0, period = 0;
  if (FILE* f = std::fopen("/sys/fs/cgroup/cpu.max", "r")) {
    const int n = std::fscanf(f, "%lf %lf", &quota, &period);
    std::fclose(f);
    if (n == 2 && period > 0) return quota / period;
  }
  if (FILE* f = std::fopen("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "r")) {
    const int n = std::fscanf(f, "%lf", &quota);
    std::fclose(f);
    if (FILE* g = std::fopen("/sys/fs/cgroup/cpu/cpu.cfs_period_us", "r")) {
      const int m = std::fscanf(g, "%lf", &period);
      std::fclose(g);
      if (n == 1 && m == 1 && quota > 0 && period > 0) return quota / period;
    }
  }
  return 1e9;
}

constexpr int kSpins = 4000;     // some 20 microseconds
constexpr int kYields = 200;

}  // namespace

int ThreadPool::available_cores() {
  cpu_set_t set;
  int cores = static_cast<int>(std::thread::hardware_concurrency());
  if (sched_getaffinity(0, sizeof set, &set) == 0) cores = CPU_COUNT(&set);
  return std::max(1, static_cast<int>(std::min<double>(cores, std::ceil(quota_cores()))));
}

ThreadPool::ThreadPool(int threads) : size_(threads > 0 ? threads : available_cores()) {
  flush_denormals();
  for (int worker = 1; worker < size_; ++worker) threads_.emplace_back([this, worker] { work(worker); });
}

ThreadPool::~ThreadPool() {
  stop_ = true;
  generation_.fetch_add(1, std::memory_order_release);
  generation_.notify_all();
  for (auto& t : threads_) t.join();
}

void ThreadPool::run_raw(void (*fn)(void*, int), void* ctx) {
  if (size_ == 1) return fn(ctx, 0);
  fn_ = fn;
  ctx_ = ctx;
  pending_.store(size_ - 1, std::memory_order_relaxed);
  generation_.fetch_add(1, std::memory_order_release);
  generation_.notify_all();
  fn(ctx, 0);
  for (int spin = 0; pending_.load(std::memory_order_acquire) != 0; ++spin) {
    if (spin < kSpins) relax(); else std::this_thread::yield();
  }
}

void ThreadPool::work(int worker) {
  flush_denormals();
  uint32_t seen = 0;
  for (;;) {
    int spin = 0;
    uint32_t now;
    while ((now = generation_.load(std::memory_order_acquire)) == seen) {
      if (++spin < kSpins) relax();
      else if (spin < kSpins + kYields) std::this_thread::yield();
      else generation_.wait(seen, std::memory_order_acquire);
    }
    seen = now;
    if (stop_) return;
    fn_(ctx_, worker);
    pending_.fetch_sub(1, std::memory_order_release);
  }
}

}  // namespace ballast
