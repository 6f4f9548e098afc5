// How fast a checkpoint's experts are multiplied where they lie: decoding one token with random choices, beside the rate at
// which the same workers just read the same matrices.
//
//   mapped_experts DIR [THREADS]
//
// The files should be in the page cache: run it twice.
#include <fmt/core.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <numeric>

#include "base/human.h"
#include "base/memory.h"
#include "base/rng.h"
#include "base/stats.h"
#include "infer/load.h"
#include "model/weights.h"
#include "ops/grouped_linear/grouped_linear.h"

namespace ballast {
namespace {

constexpr int kCalls = 200;
constexpr size_t kLayers = 8;  // enough that no cache holds them

struct Subject {
  Subject(OpenedModel model, int threads)
      : opened(std::move(model)),
        device(Device::make(DeviceKind::cpu, threads)),
        k(opened.config.num_experts_per_tok) {
    const ParamTable table = make_param_table(opened.config);
    for (const ParamId id : mappable_experts(table, opened.files)) {
      if (table.list[id].name.find("gate_up") == std::string::npos || layers.size() == kLayers) continue;
      ParamTable one;
      one.list = {table.list[id]};
      stores.push_back(std::make_unique<ParamStore>(*device, one, ParamStore::Options{.storage = DType::bf16, .mapped = {0}}));
      load_weights(*stores.back(), opened.files);
      layers.push_back(stores.back()->mapped(0));
      for (const ops::MappedMatrix& m : layers.back()->matrices)
        read_ahead({static_cast<const std::byte*>(m.data), static_cast<size_t>(layers.back()->matrix_bytes(m))});
    }
    if (layers.empty()) fail(ErrorKind::usage, opened.folder.string(), "no experts in bf16 or FP8");
  }
  OpenedModel opened;  // its files stay mapped
  std::unique_ptr<Device> device;
  int k;
  std::vector<std::unique_ptr<ParamStore>> stores;
  std::vector<const ops::MappedExperts*> layers;
};

double bytes_of(const ops::MappedExperts& m, int64_t experts) { return double(m.bytes()) / double(m.experts) * double(experts); }

// byte/s at the median call.
double decode_rate(Subject& s) {
  Rng rng(1);
  std::vector<double> rates;
  for (int call = 0; call < kCalls; ++call) {
    const ops::MappedExperts& m = *s.layers[call % s.layers.size()];
    std::vector<int32_t> count(static_cast<size_t>(m.experts)), offs(count.size() + 1);
    for (int chosen = 0; chosen < s.k;)
      if (int32_t& c = count[rng.below(count.size())]; c == 0) c = 1, ++chosen;
    std::partial_sum(count.begin(), count.end(), offs.begin() + 1);
    std::vector<bf16> x(static_cast<size_t>(s.k * m.cols), bf16(0.5f)), y(static_cast<size_t>(s.k * m.rows));
    const Ragged rows{Tensor(x.data(), DType::bf16, {s.k, m.cols}), Tensor(offs.data(), DType::i32, {m.experts + 1}),
                      Tensor(count.data(), DType::i32, {m.experts}), 1};
    const double begin = steady_seconds();
    ops::grouped_linear_forward(*s.device, {.x = rows, .mapped = &m, .y = Tensor(y.data(), DType::bf16, {s.k, m.rows})});
    rates.push_back(bytes_of(m, s.k) / (steady_seconds() - begin));
  }
  return quantile(rates, 0.5);
}

double read_rate(Subject& s) {
  std::vector<double> rates;
  std::atomic<uint64_t> sum = 0;  // or nothing would be read
  for (const ops::MappedExperts* m : s.layers) {
    const double begin = steady_seconds();
    s.device->pool().for_each(std::ssize(m->matrices), [&](int64_t i, int) {
      const auto* data = static_cast<const char*>(m->matrices[i].data);
      uint64_t mine = 0, word;
      for (int64_t at = 0; at + 8 <= m->matrix_bytes(m->matrices[i]); at += 8) std::memcpy(&word, data + at, 8), mine += word;
      sum += mine;
    });
    rates.push_back(double(m->bytes()) / (steady_seconds() - begin));
  }
  return quantile(rates, sum == 1 ? 0.4 : 0.5);
}

int run(int argc, char** argv) {
  if (argc < 2) return fmt::print(stderr, "usage: mapped_experts DIR [THREADS]\n"), 2;
  Subject subject(open_model(argv[1]), argc > 2 ? std::atoi(argv[2]) : 0);
  const double read = read_rate(subject), decode = decode_rate(subject), again = read_rate(subject);
  fmt::print("reading {:.1f} and {:.1f} GB/s, decoding {:.1f} GB/s of experts ({} of {} a token), {} workers\n", read / 1e9,
             again / 1e9, decode / 1e9, subject.k, subject.layers[0]->experts, subject.device->pool().size());
  return 0;
}

}  // namespace
}  // namespace ballast

int main(int argc, char** argv) {
  try {
    return ballast::run(argc, argv);
  } catch (const ballast::Error& e) {
    fmt::print(stderr, "mapped_experts: {}\n", e.what());
    return 2;
  }
}
