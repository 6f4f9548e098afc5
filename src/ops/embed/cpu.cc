// embed on the CPU. Forward copies rows. Backward splits the columns over the workers: each walks all tokens in order,
// so the sums are the same for any number of workers.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/embed/cpu.cc"
#include "hwy/foreach_target.h"  // must come before highway.h
#include "hwy/highway.h"
#include "ops/simd-inl.h"

#include "ops/embed/backends.h"

HWY_BEFORE_NAMESPACE();
namespace ballast::ops::HWY_NAMESPACE {

void AddRows(const EmbedBackward& a, int64_t begin, int64_t end) {
  const F32 d;
  const size_t width = static_cast<size_t>(end - begin);
  const int32_t* ids = a.ids.as<int32_t>();
  dispatch_storage("embed.backward", a.dy.dtype, [&]<class S>() HWY_ATTR {
    for (int64_t t = 0; t < a.ids[0]; ++t) {
      const int64_t id = ids[t * a.ids.stride[0]];
      CHECK(id >= -1 && id < a.dtable[0]);
      if (id < 0) continue;
      const S* dy = a.dy.as<S>() + t * a.dy.stride[0] + begin;
      float* sum = a.dtable.as<float>() + id * a.dtable.stride[0] + begin;
      ForEachVector(d, width, [&](auto load, auto store) HWY_ATTR {
        store(hn::Add(load(static_cast<const float*>(sum)), load(dy)), sum);
      });
    }
  });
}

}  // namespace ballast::ops::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace ballast::ops::cpu {

HWY_EXPORT(AddRows);

void embed_forward(Device& device, const EmbedForward& a) {
  const size_t element = size_of(a.y.dtype), bytes = static_cast<size_t>(a.y[1]) * element;
  const auto row = [element](const Tensor& x, int64_t i) {
    return static_cast<char*>(x.data) + static_cast<size_t>(i * x.stride[0]) * element;
  };
  device.pool().split(a.ids[0], 64, [&](int64_t begin, int64_t end, int) {
    for (int64_t t = begin; t < end; ++t) {
      const int64_t id = a.ids.at<int32_t>(t);
      CHECK(id >= -1 && id < a.table[0]);
      if (id < 0) std::memset(row(a.y, t), 0, bytes);
      else std::memcpy(row(a.y, t), row(a.table, id), bytes);
    }
  });
}

void embed_backward(Device& device, const EmbedBackward& a) {
  device.pool().split(a.dtable[1], 16, [&](int64_t begin, int64_t end, int) {
    for (int64_t v = 0; v < a.dtable[0] && !a.accumulate; ++v)
      std::memset(&a.dtable.at<float>(v, begin), 0, static_cast<size_t>(end - begin) * sizeof(float));
    HWY_DYNAMIC_DISPATCH(AddRows)(a, begin, end);
  });
}

}  // namespace ballast::ops::cpu
#endif
