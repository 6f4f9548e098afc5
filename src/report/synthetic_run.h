// A made-up quickstart folder for the tests: every file that a real one has, with values whose place in the report is
// known. Nothing in it was measured.
#pragma once

#include <cmath>
#include <filesystem>
#include <string>
#include <vector>

#include "base/file.h"
#include "base/json.h"
#include "base/rng.h"

namespace ballast::report {

inline constexpr int kSynLayers = 5, kSynExperts = 32, kSynTopK = 8, kSynTokens = 4096;

inline std::string npy_of(const std::vector<int64_t>& values, const std::string& shape) {
  std::string header = "{'descr': '<i8', 'fortran_order': False, 'shape': " + shape + ", }";
  while ((10 + header.size() + 1) % 64 != 0) header += ' ';
  header += '\n';
  std::string out("\x93NUMPY\x01\0", 8);
  out += static_cast<char>(header.size() & 255);
  out += static_cast<char>(header.size() >> 8);
  out += header;
  return out.append(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(int64_t));
}

// How uneven the router is at a step: `none` grows, the auxiliary loss halves it, the bias removes it.
inline double synthetic_skew(const std::string& arm, double step) {
  if (arm == "none") return 1.2 * (1 - std::exp(-step / 25)) + 0.1;
  if (arm == "aux_global") return 0.1 + 0.45 * (1 - std::exp(-step / 20));
  return 0.9 * (1 - std::exp(-step / 8)) * std::exp(-step / 22) + 0.03;
}

inline Json synthetic_record(const std::string& arm, int step, const std::vector<int64_t>& loads, Rng& rng) {
  const double fair = double{kSynTokens} * kSynTopK / kSynExperts;
  Json record = Json::object();
  record["step"] = step;
  record["tokens"] = int64_t{step} * kSynTokens;
  const double offset = arm == "none" ? 0.06 : arm == "aux_global" ? 0.03 : 0;
  const double loss = 2.6 + offset + 6.4 * std::exp(-step / 18.0) + 1.1 * std::exp(-step / 110.0);
  record["train/loss"] = loss + 0.07 * rng.normal();
  record["lr"] =
      3e-3 * std::min(1.0, step / 20.0) * (step < 80 ? 1 : 0.55 + 0.45 * std::cos(3.14159 * (step - 80) / 160.0));
  record["grad_norm"] = 0.6 + 3 * std::exp(-step / 12.0) + 0.06 * std::abs(rng.normal());
  record["tok_per_s"] = 11800 + 350 * rng.normal();
  record["time"] = step * 0.35;
  double worst = 0, mean = 0, effective = 0;
  int dead = 0, starved = 0;
  for (int layer = 0; layer < kSynLayers; ++layer) {
    double top = 0, entropy = 0;
    for (int e = 0; e < kSynExperts; ++e) {
      const double load = static_cast<double>(loads[layer * kSynExperts + e]), p = load / (fair * kSynExperts);
      top = std::max(top, load / fair - 1);
      dead += load == 0;
      starved += load < 0.1 * fair;
      if (p > 0) entropy -= p * std::log(p);
    }
    record["max_vio/layer_" + std::to_string(layer + 1)] = top;
    worst = std::max(worst, top);
    mean += top / kSynLayers;
    effective += std::exp(entropy) / kSynLayers;
  }
  record["max_vio/worst"] = worst;
  record["max_vio/mean"] = mean;
  record["dead"] = dead;
  record["starved_share"] = double(starved) / (kSynLayers * kSynExperts);
  record["effective_experts"] = effective;
  if (step % 20 == 0) record["val/loss"] = loss + 0.09;
  if (step % 20 == 0) record["val/bpb"] = (loss + 0.09) / 3.2 / 0.6931;
  return record;
}

inline void write_synthetic_arm(const std::filesystem::path& folder, const std::string& arm, int steps) {
  std::filesystem::create_directories(folder);
  Rng rng(7, arm.size());
  std::vector<double> taste(kSynLayers * kSynExperts);
  for (double& t : taste) t = rng.normal();
  std::vector<int64_t> all;
  std::string metrics;
  for (int step = 1; step <= steps; ++step) {
    std::vector<int64_t> loads(taste.size());
    for (int layer = 0; layer < kSynLayers; ++layer) {
      const double skew = synthetic_skew(arm, step) * (0.5 + 0.16 * layer);
      double sum = 0;
      std::vector<double> weight(kSynExperts);
      for (int e = 0; e < kSynExperts; ++e)
        sum += weight[e] = std::exp(skew * taste[layer * kSynExperts + e]) * (1 + 0.035 * rng.normal());
      for (int e = 0; e < kSynExperts; ++e) {
        const double load = weight[e] / sum * kSynTokens * kSynTopK;
        loads[layer * kSynExperts + e] = std::llround(std::clamp(load, 0.0, double{kSynTokens}));
      }
    }
    metrics += synthetic_record(arm, step, loads, rng).dump() + "\n";
    all.insert(all.end(), loads.begin(), loads.end());
  }
  write_file_atomic(folder / "metrics.jsonl", metrics);
  write_file_atomic(
      folder / "config.toml",
      "format = 1\n[model]\nn_routed_experts = 32\nnum_experts_per_tok = 8\n[balance]\nrule = \"" + arm + "\"\n");
  write_file_atomic(folder / "loads.npy", npy_of(all, "(" + std::to_string(steps) + ", " + std::to_string(kSynLayers) +
                                                          ", " + std::to_string(kSynExperts) + ")"));
}

inline Json synthetic_skip_row(const std::string& policy, Json settings, double k, double cost) {
  const double share = 0.53 * k / kSynTopK + 0.47, predicted = 1 / share, speedup = 1 + 0.86 * (predicted - 1);
  Json row = Json::object();
  row["policy"] = policy;
  row["settings"] = std::move(settings);
  row["executed_k"] = k;
  row["pp512"] = 5200 * speedup;
  row["tg128"] = 410 * speedup;
  row["speedup"] = speedup;
  row["speedup_lo"] = speedup - 0.012;
  row["speedup_hi"] = speedup + 0.014;
  row["predicted"] = predicted;
  row["dnll"] = cost;
  row["dnll_lo"] = cost - 0.1 * std::abs(cost) - 0.0002;
  row["dnll_hi"] = cost + 0.1 * std::abs(cost) + 0.0002;
  row["kl"] = 0.8 * std::abs(cost);
  row["same_top1"] = std::exp(-1.3 * std::abs(cost));
  return row;
}

inline Json synthetic_skip() {
  Json rows = Json::array();
  Json off = synthetic_skip_row("off", Json::object(), 8, 0);
  off["dnll_lo"] = off["dnll_hi"] = Json(0.0);
  off["speedup"] = 1.001;
  rows.push_back(std::move(off));
  for (int k = 7; k >= 1; --k) {
    const double cost = 0.0009 * std::pow(1.75, 8 - k);
    rows.push_back(synthetic_skip_row("topk", Json(Json::Object{{"k", k}, {"renorm", 0}}), k, cost));
    if (k % 2 == 0)
      rows.push_back(synthetic_skip_row("topk", Json(Json::Object{{"k", k}, {"renorm", 1}}), k, 1.3 * cost));
    if (k % 2 == 0) rows.push_back(synthetic_skip_row("random", Json(Json::Object{{"k", k}}), k, 8 * cost));
  }
  for (const double t : {0.2, 0.4, 0.6})
    rows.push_back(synthetic_skip_row("minp", Json(Json::Object{{"t", t}}), 8 - 6.5 * t, 0.0012 * std::exp(6 * t)));
  return rows;
}

inline Json synthetic_summary(bool balanced) {
  return Json::parse(
      std::string(R"json({"format": 1,
 "header": {"shape": {"hidden": 192, "layers": "6 (1 dense)", "experts": "32, top-8, 4 groups keep 2", "shared": 1,
   "expert FFN": 160, "MLA": "4 heads, q rank 96, kv rank 64", "vocabulary": 8192, "MTP": 1}, "tokens": 983040,
   "corpus_hash": "sha256:5f0c7a1be2d94413", "dtype": "bf16, f32 master", "isa": "avx512_bf16 + amx",
   "machine": "2 cores of a made-up processor, 8 GB", "commit": "0000000 (synthetic)", "experts": 32, "experts_per_tok": 8},
 "seconds": {"corpus": 6.1, "tokenizer": 4.2, "train none": 31.2, "train aux_global": 31.4, "train sign_centered": 92.8,
   "evaluate": 40.3, "skip": 71.0},
 "model": {"params_total": 18350080, "params_active": 6815744, "routed_byte_share": 0.53},
 "train": {"none": {"tokens": 327680, "tok_per_s": 11810, "ceiling_share": 0.61, "val_loss_first": 9.02, "val_loss_last": 3.31,
    "max_vio_worst": 2.91, "max_vio_mean": 1.9, "dead": 4},
  "aux_global": {"tokens": 327680, "tok_per_s": 11790, "ceiling_share": 0.6, "val_loss_first": 9.02, "val_loss_last": 3.29,
    "max_vio_worst": 1.4, "max_vio_mean": 0.9, "dead": 0},
  "sign_centered": {"tokens": 983040, "tok_per_s": 11840, "ceiling_share": 0.62, "val_loss_first": 9.02, "val_loss_last": 2.81,
    "max_vio_worst": 0.21, "max_vio_mean": 0.14, "dead": 0},
  "none_at": {"tokens": 327680, "val_loss_last": 3.31, "max_vio_worst": 2.91},
  "sign_centered_at": {"tokens": 327680, "val_loss_last": 3.27, "max_vio_worst": 0.4}},
 "heldout": {"bpb": 1.8312, "ngram5": 2.1046, "xz_file": 2.2717, "xz_primed": 1.6904},
 "line": {"em": 9.4, "es": 47.3, "rivals": {"previous_line": {"em": 1.1, "es": 31.0}, "common_successor": {"em": 6.0, "es": 29.5},
   "in_file_repeat": {"em": 10.8, "es": 41.2}}},
 "intervals": {"speedup": "95 %, bootstrap over interleaved repetitions", "dnll": "95 %, paired bootstrap over files"},
 "completion": {"source": "json/decoder.py", "prompt": "def scan(text, at):\n    while at < len(text) and text[at] in \" \\t\":\n        ",
   "truth": "at += 1\n    return at <= end & \"done\"\n", "output": "at += 1\n    return text[at]\n"},
 "commands": ["ballast quickstart --seed 1", "ballast report run/quickstart"],
 "balance_note": )json") +
      (balanced ? "null" : "\"Balance was not reached: layer 5 was at MaxVio 0.82 by half of the run.\"") + "}");
}

struct SyntheticRun {
  int steps = 240;  // of the main arm; the other two stop at a third
  bool balanced = true;
};

// Writes folder/summary.json and folder/{none, aux_global, sign_centered}/{config.toml, metrics.jsonl, loads.npy}.
inline void write_synthetic_run(const std::filesystem::path& folder, const SyntheticRun& options = {}) {
  for (const std::string arm : {"none", "aux_global", "sign_centered"})
    write_synthetic_arm(folder / arm, arm, arm == "sign_centered" ? options.steps : options.steps / 3);
  Json summary = synthetic_summary(options.balanced);
  summary["skip"] = synthetic_skip();
  write_file_atomic(folder / "summary.json", summary.dump(1));
}

}  // namespace ballast::report
