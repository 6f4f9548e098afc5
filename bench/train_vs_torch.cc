// Training speed beside PyTorch: the shape of configs/nano.toml, the same batch size and threads, in one run. The peer
// is bench/peers/train_torch.py (torch and transformers from PyPI, in any Python that has them):
//   python3 -m venv /tmp/peer && /tmp/peer/bin/pip install torch transformers
//   build/release/train_vs_torch configs/nano.toml /tmp/peer/bin/python [seconds]
// Without a second argument only our own figures are printed. The last line is
//   f32_ratio=A bf16_ratio=B f32_share=C bf16_share=D
// A: our f32 over torch's best f32; B: our bf16 over torch's best of any type; C, D: our steps' share of the ceiling,
// the step's own matrix products timed in the same run on all workers.
#include <fmt/core.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "base/config.h"
#include "base/human.h"
#include "base/json.h"
#include "base/rng.h"
#include "base/toml.h"
#include "core/cpu_features.h"
#include "train/ceiling.h"
#include "train/config.h"
#include "train/optimizer.h"
#include "train/step.h"

using namespace ballast;

namespace {

struct Ours {
  double tok_per_s = 0, share = 0;
};

Batch random_batch(const RunConfig& c) {
  Batch b(c.data.batch_size, c.data.seq_len, c.data.batch_size);
  Rng rng(1);
  const std::vector<int64_t> documents(static_cast<size_t>(c.data.seq_len), 0);
  std::vector<int32_t> tokens(documents.size());
  for (int64_t r = 0; r < b.rows; ++r) {
    for (int32_t& t : tokens) t = static_cast<int32_t>(rng.below(static_cast<uint64_t>(c.model.vocab_size)));
    set_row(b, r, tokens, documents, true);
  }
  return b;
}

// The median step over `seconds`, after two warm-up steps, as the peer measures.
Ours train(const RunConfig& config, DType dtype, double seconds) {
  auto device = Device::make(DeviceKind::cpu);
  ParamStore params(*device, make_param_table(config.model), {.storage = dtype, .training = true});
  params.initialize(0, config.model.initializer_range);
  Model model(config.model, params);
  const Batch batch = random_batch(config);
  TrainStep step(model, batch, {});
  Optimizer optimizer(params, config.optimizer);
  std::vector<double> times;
  double total = 0;
  for (int i = 0; i < 2 || total < seconds; ++i) {
    const double begun = steady_seconds();
    step.begin();
    step.run(batch, batch.n_valid, batch.n_valid_mtp, 1, true);
    optimizer.step(config.optimizer.learning_rate, step.nonfinite());
    if (i < 2) continue;
    times.push_back(steady_seconds() - begun);
    total += times.back();
  }
  std::sort(times.begin(), times.end());
  const double median = times[times.size() / 2];
  const double ceiling =
      ceiling_seconds(*device, step_products(config.model, batch.tokens(), config.data.seq_len, 1), dtype);
  return {static_cast<double>(batch.tokens()) / median, ceiling / median};
}

// One run of the peer: its tokens per second, 0 where it says it cannot.
double peer(const std::string& python, const std::string& script, const std::string& arguments, double seconds) {
  const std::string command = fmt::format("'{}' '{}' {} --seconds {} 2>/dev/null", python, script, arguments, seconds);
  FILE* pipe = ::popen(command.c_str(), "r");
  if (!pipe) return 0;
  std::string last, line;
  for (int c; (c = std::fgetc(pipe)) != EOF;) {
    if (c != '\n') {
      line += static_cast<char>(c);
    } else {
      last = line;
      line.clear();
    }
  }
  ::pclose(pipe);
  try {
    const Json j = Json::parse(last, "the peer's last line");
    if (const Json* rate = j.find("tok_per_s")) return rate->as_double();
    if (const Json* error = j.find("error")) fmt::print("    {}\n", error->as_string());
  } catch (const Error& e) {
    fmt::print("    {}\n", e.what());
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    fmt::print(stderr, "usage: train_vs_torch RECIPE.toml [PYTHON-with-torch] [seconds]\n");
    return 2;
  }
  RunConfig config;
  read_config(config, read_toml(argv[1]), argv[1]);
  const double seconds = argc > 3 ? std::atof(argv[3]) : 20;
  fmt::print("{} ({}), {} threads, batch {}x{}\n", cpu_model(), cpu_isa(), ThreadPool::available_cores(),
             config.data.batch_size, config.data.seq_len);
  const Ours f32 = train(config, DType::f32, seconds), bf16 = train(config, DType::bf16, seconds);
  fmt::print("ballast f32   {:>8.0f} tok/s, {:.0f} % of the ceiling\n", f32.tok_per_s, 100 * f32.share);
  fmt::print("ballast bf16  {:>8.0f} tok/s, {:.0f} % of the ceiling\n", bf16.tok_per_s, 100 * bf16.share);
  double best_f32 = 0, best = 0;
  if (argc > 2) {
    const std::string script = std::string(BALLAST_SOURCE_DIR) + "/bench/peers/train_torch.py";
    for (const char* dtype : {"f32", "bf16"})
      for (const char* mode : {"eager", "compile"})
        for (const char* experts : {"grouped_mm", "eager"}) {
          if (std::string(mode) == "compile" && std::string(experts) == "eager") continue;  // data-dependent shapes
          const std::string arguments = fmt::format("--dtype {} --mode {} --experts {} --threads {}", dtype, mode,
                                                    experts, ThreadPool::available_cores());
          const double rate = peer(argv[2], script, arguments, seconds);
          fmt::print("torch {:<5} {:<8} {:<11} {:>8.0f} tok/s\n", dtype, mode, experts, rate);
          std::fflush(stdout);
          best = std::max(best, rate);
          if (std::string(dtype) == "f32") best_f32 = std::max(best_f32, rate);
        }
  }
  fmt::print("f32_ratio={:.2f} bf16_ratio={:.2f} f32_share={:.2f} bf16_share={:.2f}\n",
             best_f32 > 0 ? f32.tok_per_s / best_f32 : 0, best > 0 ? bf16.tok_per_s / best : 0, f32.share, bf16.share);
}
