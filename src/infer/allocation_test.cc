// A decoded token allocates nothing: every allocation of the process is counted while some are decoded.
#include <gtest/gtest.h>

#include <atomic>
#include <cerrno>

#include "infer/golden_test.h"
#include "infer/sampler.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || !defined(__GLIBC__)
#define BALLAST_COUNTS_ALLOCATIONS 0
#else
#define BALLAST_COUNTS_ALLOCATIONS 1
#endif

#if BALLAST_COUNTS_ALLOCATIONS
namespace {
std::atomic<int64_t> allocations{0};
}

// glibc lets a program define these; the C++ operators call them, and so does every library.
extern "C" {
void* __libc_malloc(size_t);
void* __libc_calloc(size_t, size_t);
void* __libc_realloc(void*, size_t);
void* __libc_memalign(size_t, size_t);

void* malloc(size_t n) {
  ++allocations;
  return __libc_malloc(n);
}
void* calloc(size_t n, size_t size) {
  ++allocations;
  return __libc_calloc(n, size);
}
void* realloc(void* p, size_t n) {
  ++allocations;
  return __libc_realloc(p, n);
}
void* memalign(size_t align, size_t n) {
  ++allocations;
  return __libc_memalign(align, n);
}
void* aligned_alloc(size_t align, size_t n) {
  ++allocations;
  return __libc_memalign(align, n);
}
int posix_memalign(void** p, size_t align, size_t n) {
  ++allocations;
  *p = __libc_memalign(align, n);
  return *p ? 0 : ENOMEM;
}
}
#endif

namespace ballast {
namespace {

TEST(Engine, DecodingAllocatesNothing) {
#if BALLAST_COUNTS_ALLOCATIONS
  for (const DType storage : {DType::f32, DType::bf16}) {
    Golden g(DeviceKind::cpu, storage);
    Engine engine(g.model(), {.slots = 2, .context = 512, .prefill_chunk = 16});
    Sampler sampler(*g.device, engine.logits().dtype, {.temperature = 0.8, .top_p = 0.9});
    const auto plan = make_gate_plan(policy("topk", 2), g.slots());
    engine.prefill(0, Golden::ids(16));
    engine.prefill(1, Golden::ids(9));
    int32_t tokens[2] = {3, 5};
    const auto decode = [&](int steps) {
      const int64_t before = allocations;
      for (int i = 0; i < steps; ++i) {
        engine.set_plan(i % 2 ? plan.get() : nullptr);
        engine.decode(tokens);
        for (int s : {0, 1}) tokens[s] = sampler.draw(engine.logits().rows(s, s + 1), engine.length(s));
      }
      return allocations - before;
    };
    // Once each, workers' scratch grows to its size, on the day a worker first meets the task: not in every batch.
    decode(16);
    const int64_t fewest = std::min({decode(64), decode(64), decode(64)});
    EXPECT_EQ(fewest, 0) << name_of(storage);
    const int64_t before = allocations;
    ::operator delete(::operator new(8));
    EXPECT_GT(allocations, before) << "the counter counts";
  }
#else
  GTEST_SKIP() << "allocations are not counted in this build";
#endif
}

}  // namespace
}  // namespace ballast
