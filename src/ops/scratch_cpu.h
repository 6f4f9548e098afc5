// Memory that a worker keeps between calls: it grows while a run warms up, then stays.
#pragma once

#include <cstddef>
#include <cstdlib>
#include <memory>
#include <new>

namespace ballast::ops::cpu {

template <class T>
class Scratch {
 public:
  // At least n elements, 64-byte aligned. Contents are lost when it has to grow.
  T* at_least(size_t n) {
    if (n > size_) {
      constexpr size_t kAlign = 64;
      const size_t bytes = (n * sizeof(T) + kAlign - 1) / kAlign * kAlign;
      data_.reset();
      size_ = 0;
      data_.reset(static_cast<T*>(std::aligned_alloc(kAlign, bytes)));
      if (!data_) throw std::bad_alloc();
      size_ = n;
    }
    return data_.get();
  }

 private:
  struct Free {
    void operator()(T* p) const { std::free(p); }
  };
  std::unique_ptr<T, Free> data_;
  size_t size_ = 0;
};

}  // namespace ballast::ops::cpu
