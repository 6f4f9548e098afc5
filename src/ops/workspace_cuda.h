// Device memory that an op needs between two of its kernels: one piece per device, hence per stream, whose ops run one
// after the other. Its size is fixed, so that its address is too: a captured graph may hold it.
#pragma once

#include "core/device.h"

namespace ballast::ops::cuda {

class Workspace {
 public:
  static constexpr size_t kBytes = size_t{64} << 20;

  // Allocates, so it must not be the first call of a stream capture: run the step once before it is captured.
  explicit Workspace(Device& device);

  void* data() const { return buffer_.data(); }
  // The first `count` elements of it; `op` names who asks. What another op left there is gone.
  template <class T>
  T* take(const char* op, int64_t count) const {
    require(op, static_cast<size_t>(count) * sizeof(T));
    return static_cast<T*>(buffer_.data());
  }

 private:
  void require(const char* op, size_t bytes) const;
  Buffer buffer_;
};

bool capturing(const Device& device);

}  // namespace ballast::ops::cuda
