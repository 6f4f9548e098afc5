#include "base/thread_pool.h"

#include <sched.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <exception>
#include <system_error>

#include "base/error.h"
#include "base/interrupt.h"

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

// A job whose exceptions are kept: one that left a thread would end the process.
struct Job {
  void (*fn)(void*, int);
  void* ctx;
  std::atomic_flag caught{};
  std::exception_ptr thrown{};  // the first one

  static void call(void* self, int worker) noexcept {
    Job& job = *static_cast<Job*>(self);
    try {
      job.fn(job.ctx, worker);
    } catch (...) {
      if (!job.caught.test_and_set()) job.thrown = std::current_exception();
    }
  }
};

void end(std::atomic<bool>& stop, std::atomic<uint32_t>& generation, std::vector<std::thread>& threads) {
  stop = true;
  generation.fetch_add(1, std::memory_order_release);
  generation.notify_all();
  for (auto& t : threads) t.join();
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
  const SignalsKeptFromNewThreads scope;
  try {
    for (int worker = 1; worker < size_; ++worker) threads_.emplace_back([this, worker] { work(worker); });
  } catch (const std::system_error& e) {
    end(stop_, generation_, threads_);
    fail(ErrorKind::device, "threads",
         "cannot start {}, only {}: {}; ask for fewer with -t, or raise the limit (ulimit -v, -u)", size_,
         threads_.size() + 1, e.code().message());
  } catch (...) {
    end(stop_, generation_, threads_);
    throw;
  }
}

ThreadPool::~ThreadPool() { end(stop_, generation_, threads_); }

void ThreadPool::run_raw(void (*fn)(void*, int), void* ctx) {
  if (size_ == 1) return fn(ctx, 0);
  Job job{fn, ctx};
  fn_ = &Job::call;
  ctx_ = &job;
  pending_.store(size_ - 1, std::memory_order_relaxed);
  generation_.fetch_add(1, std::memory_order_release);
  generation_.notify_all();
  Job::call(&job, 0);
  for (int spin = 0; pending_.load(std::memory_order_acquire) != 0; ++spin) {
    if (spin < kSpins) relax(); else std::this_thread::yield();
  }
  if (job.thrown) std::rethrow_exception(job.thrown);
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
