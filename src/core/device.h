// Where an op runs, and what it costs.
//   ref   plain loops in f32, f64 or c128: the definition of every op (ops/*/ref.h)
//   cpu   Highway, oneDNN and our own kernels on one thread pool
//   cuda  one GPU and one stream
// A Device is passed, never global. Planning: a dry run of the same code in which ops check their arguments and add up
// their cost but touch no data; arenas then learn their sizes before step 0 and `train --dry-run` its FLOPs.
#pragma once

#include <chrono>
#include <cstddef>
#include <map>
#include <memory>
#include <string>
#include <typeindex>

#include "base/thread_pool.h"
#include "core/tensor.h"

namespace ballast {

enum class DeviceKind { ref, cpu, cuda };
const char* name_of(DeviceKind kind);

// Arithmetic and the fewest bytes an op must move: inputs read once, outputs written once.
struct Cost {
  double flops = 0;
  double bytes = 0;
  Cost& operator+=(const Cost& o) {
    flops += o.flops;
    bytes += o.bytes;
    return *this;
  }
};

struct OpRecord {
  int64_t calls = 0;
  Cost cost;
  double seconds = 0;  // CPU and ref only; zero unless `timing` is on
};

class Device {
 public:
  static std::unique_ptr<Device> make(DeviceKind kind, int threads = 0);
  virtual ~Device() = default;

  const DeviceKind kind;
  ThreadPool& pool() { return pool_; }
  void* stream() const { return stream_; }  // cudaStream_t; null elsewhere

  bool planning = false;
  bool timing = false;
  std::map<std::string, OpRecord> records;  // by op, filled while planning or timing

  // Zero-initialised memory of this device, aligned to 2 MiB when large. Throws Error{device}.
  virtual void* allocate(size_t bytes) = 0;
  virtual void release(void* p, size_t bytes) = 0;
  virtual void zero(void* p, size_t bytes) = 0;
  virtual void copy(void* to, const void* from, size_t bytes) = 0;       // within the device, in stream order
  virtual void upload(void* to, const void* from, size_t bytes) = 0;     // from the host
  virtual void download(void* to, const void* from, size_t bytes) = 0;   // to the host, after waiting
  virtual void synchronize() {}

  // What a backend keeps for as long as the device lives (a library's handle and workspace): made by the first call that
  // asks for it, one per type, destroyed before the stream.
  template <class T>
  T& state() {
    std::shared_ptr<void>& slot = states_[std::type_index(typeid(T))];
    if (!slot) slot = std::make_shared<T>(*this);
    return *static_cast<T*>(slot.get());
  }

 protected:
  Device(DeviceKind kind, int threads) : kind(kind), pool_(threads) {}
  void* stream_ = nullptr;
  std::map<std::type_index, std::shared_ptr<void>> states_;

 private:
  ThreadPool pool_;
};

// The first line of every op after its checks: `OpScope scope(device, "rmsnorm.forward", args.cost()); if (!scope) return;`
class OpScope {
 public:
  OpScope(Device& device, const char* op, const Cost& cost);
  ~OpScope();
  explicit operator bool() const { return !device_.planning; }

 private:
  Device& device_;
  OpRecord* record_ = nullptr;
  std::chrono::steady_clock::time_point start_;
};

// Memory that lives as long as this object.
class Buffer {
 public:
  Buffer() = default;
  Buffer(Device& device, size_t bytes) : device_(&device), data_(device.allocate(bytes)), bytes_(bytes) {}
  Buffer(Buffer&& o) noexcept { swap(o); }
  Buffer& operator=(Buffer&& o) noexcept {
    swap(o);
    return *this;
  }
  ~Buffer() {
    if (data_) device_->release(data_, bytes_);
  }
  void* data() const { return data_; }
  size_t bytes() const { return bytes_; }

 private:
  void swap(Buffer& o) {
    std::swap(device_, o.device_);
    std::swap(data_, o.data_);
    std::swap(bytes_, o.bytes_);
  }
  Device* device_ = nullptr;
  void* data_ = nullptr;
  size_t bytes_ = 0;
};

// A bump allocator over one Buffer, with marks. Before reserve() it only counts (planning): the tensors it then hands out
// must not be touched. High water is what reserve() allocates.
class Arena {
 public:
  explicit Arena(Device& device, std::string name) : device_(device), name_(std::move(name)) {}
  Tensor alloc(DType dtype, std::initializer_list<int64_t> shape);  // not initialised; 64-byte aligned
  size_t mark() const { return used_; }
  void release(size_t mark) { used_ = mark; }
  void reset() { used_ = 0; }
  size_t high_water() const { return high_; }
  void reserve(size_t bytes);  // allocates; alloc() beyond it is a CHECK failure

 private:
  Device& device_;
  std::string name_;
  Buffer buffer_;
  size_t used_ = 0, high_ = 0;
};

// Frees an arena's allocations since its construction when it goes out of scope.
class ArenaScope {
 public:
  explicit ArenaScope(Arena& arena) : arena_(arena), mark_(arena.mark()) {}
  ~ArenaScope() { arena_.release(mark_); }

 private:
  Arena& arena_;
  size_t mark_;
};

}  // namespace ballast
