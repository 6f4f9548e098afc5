#include "core/device.h"

#include <sys/mman.h>

#include <cstdlib>
#include <cstring>

#include "core/device_cuda.h"

namespace ballast {
namespace {

constexpr size_t kHugePage = size_t{2} << 20;

// Host memory, for ref and cpu. Large blocks ask for huge pages: first touch is 7x cheaper, reads some per cent faster.
class HostDevice : public Device {
 public:
  HostDevice(DeviceKind kind, int threads) : Device(kind, threads) {}
  void* allocate(size_t bytes) override {
    const size_t align = bytes >= kHugePage ? kHugePage : 64;
    void* p = std::aligned_alloc(align, (bytes + align - 1) / align * align);
    if (!p && bytes) fail(ErrorKind::device, "memory", "cannot allocate {:.1f} MiB", double(bytes) / (1 << 20));
    if (bytes >= kHugePage) madvise(p, bytes, MADV_HUGEPAGE);
    if (p) std::memset(p, 0, bytes);
    return p;
  }
  void release(void* p, size_t) override { std::free(p); }
  void zero(void* p, size_t bytes) override {
    if (!planning && bytes) std::memset(p, 0, bytes);  // an empty tensor may have no address
  }
  void copy(void* to, const void* from, size_t bytes) override {
    if (!planning && bytes) std::memcpy(to, from, bytes);
  }
  void upload(void* to, const void* from, size_t bytes) override { copy(to, from, bytes); }
  void download(void* to, const void* from, size_t bytes) override { copy(to, from, bytes); }
};

}  // namespace

const char* name_of(DeviceKind kind) {
  return kind == DeviceKind::ref ? "ref" : kind == DeviceKind::cpu ? "cpu" : "cuda";
}

std::unique_ptr<Device> Device::make(DeviceKind kind, int threads) {
  if (kind == DeviceKind::cuda) return make_cuda_device();
  return std::make_unique<HostDevice>(kind, kind == DeviceKind::ref ? 1 : threads);
}

OpScope::OpScope(Device& device, const char* op, const Cost& cost) : device_(device) {
  if (!device.planning && !device.timing) return;
  record_ = &device.records[op];
  record_->calls += 1;
  record_->cost += cost;
  if (device.timing) start_ = std::chrono::steady_clock::now();
}

OpScope::~OpScope() {
  if (record_ && device_.timing)
    record_->seconds += std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
}

Tensor Arena::alloc(DType dtype, std::initializer_list<int64_t> shape) {
  Tensor t(nullptr, dtype, shape);
  const size_t begin = used_;
  used_ += (static_cast<size_t>(t.bytes()) + 63) / 64 * 64;
  high_ = used_ > high_ ? used_ : high_;
  if (buffer_.data()) {
    if (used_ > buffer_.bytes())
      fail(ErrorKind::device, name_ + " arena", "{} bytes needed, {} planned: a bug in the plan", used_,
           buffer_.bytes());
    t.data = static_cast<char*>(buffer_.data()) + begin;
  } else {
    CHECK(device_.planning);
    t.data = reinterpret_cast<void*>(0x1000 + begin);  // "present", never touched NOLINT(performance-no-int-to-ptr)
  }
  return t;
}

void Arena::reserve(size_t bytes) {
  buffer_ = Buffer();
  buffer_ = Buffer(device_, bytes ? bytes : 64);
  used_ = 0;
}

}  // namespace ballast
