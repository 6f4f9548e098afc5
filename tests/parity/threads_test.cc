// No result depends on the number of workers: every case, bit for bit, on one worker and on five.
#include <gtest/gtest.h>

#include "parity/runner.h"

namespace ballast::ops {
namespace {

using Values = std::map<std::string, std::vector<std::complex<double>>>;

Values results(const OpCase& c, int threads, DType storage) {
  auto device = Device::make(DeviceKind::cpu, threads);
  const int align = ragged_alignment(DeviceKind::cpu);
  auto arguments = c.arguments(align);
  if (c.backward)
    for (auto& a : c.vjp_arguments(align)) arguments.push_back(std::move(a));
  Bound bound(*device, storage, align);
  for (size_t i = 0; i < arguments.size(); ++i) {
    Rng rng(3, i);
    bound.add(arguments[i], draw(arguments[i], rng));
  }
  c.forward(*device, bound.bindings(), align);
  if (c.backward) c.backward(*device, bound.bindings(), align);
  Values values;
  for (const auto& a : arguments)
    if (a.role != Role::in) values[a.name] = bound.read(a);
  return values;
}

bool same(const std::complex<double>& a, const std::complex<double>& b) {
  return a.real() == b.real() || (std::isnan(a.real()) && std::isnan(b.real()));
}

TEST(Threads, DoNotShowInAnyResult) {
  for (const auto& c : all_cases()) {
    for (const DType storage : {DType::f32, DType::bf16}) {
      try {
        const Values one = results(c, 1, storage), five = results(c, 5, storage);
        for (const auto& [name, values] : one)
          EXPECT_TRUE(std::equal(values.begin(), values.end(), five.at(name).begin(), same))
              << c.op << " / " << c.name << " " << name_of(storage) << ": " << name;
      } catch (const Error& e) {
        if (e.kind != ErrorKind::unsupported) throw;
      }
    }
  }
}

}  // namespace
}  // namespace ballast::ops
