#include "infer/sampler.h"

#include "ops/sample/sample.h"

namespace ballast {
namespace {

void upload_full(Device& device, const Tensor& to, double value) {
  if (to.dtype == DType::f64) return device.upload(to.data, &value, sizeof(value));
  const float narrow = static_cast<float>(value);
  device.upload(to.data, &narrow, sizeof(narrow));
}

}  // namespace

Sampler::Sampler(Device& device, DType full, const SamplerOptions& options)
    : device_(device), options_(options), memory_(device, 4 * 64) {
  if (!(options.temperature >= 0))
    fail(ErrorKind::usage, "temperature", "{} is negative; 0 takes the most probable token", options.temperature);
  if (!(options.top_p > 0 && options.top_p <= 1))
    fail(ErrorKind::usage, "top_p", "{} is not in (0, 1]; 1 keeps every token", options.top_p);
  const auto at = [&](int i, DType t, std::initializer_list<int64_t> shape) {
    return Tensor(static_cast<char*>(memory_.data()) + 64 * i, t, shape);
  };
  temperature_ = at(0, full, {1});
  top_p_ = at(1, full, {1});
  key_ = at(2, DType::i64, {1, 3});
  token_ = at(3, DType::i32, {1});
  upload_full(device_, temperature_, options.temperature);
  upload_full(device_, top_p_, options.top_p);
  device_.synchronize();
}

int32_t Sampler::draw(const Tensor& logits, int64_t position) {
  const int64_t key[3] = {static_cast<int64_t>(options_.seed), static_cast<int64_t>(options_.stream), position};
  device_.upload(key_.data, key, sizeof(key));
  device_.synchronize();
  ops::sample(device_, {.logits = logits, .temperature = temperature_, .top_p = top_p_, .key = key_, .token = token_});
  int32_t token = 0;
  device_.download(&token, token_.data, sizeof(token));
  return token;
}

}  // namespace ballast
