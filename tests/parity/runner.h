// The parity runner: op x case x dtype x device against Device::ref in f64; and the gradient runner: every vjp against
// complex step on Device::ref.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "ops/case.h"

namespace ballast::ops {

enum class Outcome { passed, failed, unsupported };
struct Verdict {
  Outcome outcome = Outcome::passed;
  std::string message;   // what differed, by how much, where
  double worst = 0;      // largest relative error seen
};

// Runs forward (and backward, where there is one) of the case with inputs drawn from `seed` on `device` with `storage`
// as storage type, and on Device::ref in f64 from the same rounded inputs. Outputs are poisoned with NaN, guard bands
// stand before and behind every buffer, rows beyond capacity are poison.
Verdict check_parity(const OpCase& c, Device& device, DType storage, bool backward, uint64_t seed);

// Compares backward in f64 with complex step, h = 1e-50, over at most `samples` elements of each input.
Verdict check_gradient(const OpCase& c, uint64_t seed, int samples = 48);

// One case's arguments, bound to buffers on a device.
class Bound {
 public:
  Bound(Device& device, DType storage, int align) : device_(device), storage_(storage), align_(align) {}
  // Values are logical, in double. Out arguments are poisoned.
  void add(const Argument& argument, const std::vector<double>& values);
  std::vector<std::complex<double>> read(const Argument& argument) const;  // logical order
  void write(const Argument& argument, const std::vector<std::complex<double>>& values);
  std::string broken_guard() const;     // name of an argument whose guard band was written, or ""
  std::string broken_padding(const Argument& argument) const;
  const Bindings& bindings() const { return bindings_; }
  DType dtype_for(Kind kind) const;

 private:
  struct Slot {
    Buffer buffer;
    size_t bytes = 0;
  };
  std::vector<int64_t> physical_rows(const Argument& argument) const;  // logical row -> physical row
  int64_t physical_row_count(const Argument& argument) const;
  Device& device_;
  DType storage_;
  int align_;
  Bindings bindings_;
  std::map<std::string, Slot> slots_;
};

std::vector<double> draw(const Argument& argument, Rng& rng);

}  // namespace ballast::ops
