#include "ops/matmul_cpu.h"

#include <sys/mman.h>

#include <new>
#include <oneapi/dnnl/dnnl.hpp>
#include <unordered_map>

#include "ops/gemv_cpu.h"
#include "ops/scratch_cpu.h"

extern "C" void omp_set_num_threads(int);  // of omp.h, which clang-tidy cannot read where it is GCC's

namespace ballast::ops::cpu {
namespace {

using dnnl::memory;

struct HashMatmul {
  size_t operator()(const Matmul& s) const {
    uint64_t h = 0;
    for (const int64_t v : {s.m, s.n, s.k, s.lda, s.ldb, s.ldc,
                            int64_t(s.a_transposed) | int64_t(s.b_transposed) << 1 | int64_t(s.accumulate) << 2 |
                                int64_t(s.in) << 3 | int64_t(s.out) << 6})
      h = (h ^ static_cast<uint64_t>(v)) * 0x9E3779B97F4A7C15u, h ^= h >> 29;
    return h;
  }
};

memory::data_type type_of(DType t) { return t == DType::bf16 ? memory::data_type::bf16 : memory::data_type::f32; }

memory::desc view(int64_t rows, int64_t cols, int64_t stride, bool transposed, DType t) {
  return {{rows, cols}, type_of(t), transposed ? memory::dims{1, stride} : memory::dims{stride, 1}};
}

const dnnl::engine& engine() {
  static const dnnl::engine e(dnnl::engine::kind::cpu, 0);
  return e;
}

// A primitive with its memory objects, whose pointers are set before each execution.
struct Kept {
  dnnl::primitive primitive;
  memory a, b, c, scratchpad;
};

// What one thread keeps. Scratch is the caller's, one per thread: with the library's own, two threads in one primitive
// would write to the same memory.
struct Worker {
  Worker() : stream(engine()) { omp_set_num_threads(1); }
  dnnl::stream stream;
  std::unordered_map<Matmul, Kept, HashMatmul> kept;
  Scratch<std::byte> scratch;
  Scratch<float> a, b, c;  // widened
};

Worker& this_worker() {
  static thread_local Worker worker;
  return worker;
}

// oneDNN does not look whether its generated code was given memory, and writes it to a null pointer where it was not.
// So the address space is asked first: for more than all threads take that may be making a primitive at this moment.
void require_room_for_code() {
  constexpr size_t kBytes = size_t{32} << 20;
  void* p = ::mmap(nullptr, kBytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (p == MAP_FAILED) throw std::bad_alloc();
  ::munmap(p, kBytes);
}

Kept make(const Matmul& s) try {
  require_room_for_code();
  const memory::desc a = view(s.m, s.k, s.lda, s.a_transposed, s.in), b = view(s.k, s.n, s.ldb, s.b_transposed, s.in);
  const memory::desc c = view(s.m, s.n, s.ldc, false, s.out);
  dnnl::primitive_attr attr;
  attr.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  if (s.accumulate) {
    dnnl::post_ops sum;
    sum.append_sum(1.0f);
    attr.set_post_ops(sum);
  }
  const dnnl::matmul::primitive_desc pd(dnnl::matmul::desc(a, b, c), attr, engine());
  const auto empty = [](const memory::desc& d) { return memory(d, engine(), nullptr); };
  return {dnnl::matmul(pd), empty(a), empty(b), empty(c), empty(pd.scratchpad_desc())};
} catch (const dnnl::error& e) {
  if (e.status == dnnl_out_of_memory) throw std::bad_alloc();
  throw;
}

void execute(Worker& worker, const Matmul& s, const void* a, const void* b, void* c) {
  auto found = worker.kept.find(s);
  if (found == worker.kept.end()) found = worker.kept.emplace(s, make(s)).first;
  Kept& kept = found->second;
  kept.a.set_data_handle(const_cast<void*>(a));
  kept.b.set_data_handle(const_cast<void*>(b));
  kept.c.set_data_handle(c);
  kept.scratchpad.set_data_handle(worker.scratch.at_least(kept.scratchpad.get_desc().get_size()));
  // The C interface: the C++ one builds a map per call.
  const dnnl_exec_arg_t arguments[] = {{DNNL_ARG_SRC, kept.a.get()},
                                       {DNNL_ARG_WEIGHTS, kept.b.get()},
                                       {DNNL_ARG_DST, kept.c.get()},
                                       {DNNL_ARG_SCRATCHPAD, kept.scratchpad.get()}};
  dnnl::error::wrap_c_api(dnnl_primitive_execute(kept.primitive.get(), worker.stream.get(), 4, arguments),
                          "matmul execution");
}

// The same product where the CPU has none of bf16: in f32, on widened copies.
void widened(Worker& worker, const Matmul& s, const bf16* a, const bf16* b, void* c) {
  const int64_t a_rows = s.a_transposed ? s.k : s.m, a_width = s.a_transposed ? s.m : s.k;
  const int64_t b_rows = s.b_transposed ? s.n : s.k, b_width = s.b_transposed ? s.k : s.n;
  float* wide_a = worker.a.at_least(static_cast<size_t>(a_rows * a_width));
  float* wide_b = worker.b.at_least(static_cast<size_t>(b_rows * b_width));
  widen(a, s.lda, wide_a, a_width, a_rows, a_width);
  widen(b, s.ldb, wide_b, b_width, b_rows, b_width);
  Matmul f = s;
  f.in = DType::f32;
  f.lda = a_width;
  f.ldb = b_width;
  if (s.out == DType::f32) return execute(worker, f, wide_a, wide_b, c);
  f.out = DType::f32;
  f.ldc = s.n;
  float* wide_c = worker.c.at_least(static_cast<size_t>(s.m * s.n));
  if (s.accumulate) widen(static_cast<const bf16*>(c), s.ldc, wide_c, s.n, s.m, s.n);
  execute(worker, f, wide_a, wide_b, wide_c);
  narrow(wide_c, s.n, static_cast<bf16*>(c), s.ldc, s.m, s.n);
}

}  // namespace

bool has_bf16_products() {
  static const bool has = dnnl::get_effective_cpu_isa() >= dnnl::cpu_isa::avx512_core_bf16;
  return has;
}

void matmul(const Matmul& s, const void* a, const void* b, void* c) {
  Worker& worker = this_worker();
  if (s.in == DType::f32 || has_bf16_products()) return execute(worker, s, a, b, c);
  widened(worker, s, static_cast<const bf16*>(a), static_cast<const bf16*>(b), c);
}

}  // namespace ballast::ops::cpu
