#include "study/skip_study.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>

#include "base/human.h"
#include "base/interrupt.h"
#include "base/log.h"
#include "base/progress.h"
#include "base/rng.h"
#include "infer/load.h"
#include "infer/scoped_plan.h"
#include "infer/score.h"
#include "model/roofline.h"
#include "study/skip_cases.h"

namespace ballast {
namespace {

struct Window {
  size_t document;
  std::span<const int32_t> tokens;
  int64_t scored;
};

// The windows of all documents, the first of each before the second of any, documents in a seeded order: few tokens
// then come from many files, which is what the intervals resample.
std::vector<Window> list_windows(std::span<const std::vector<int32_t>> documents, const std::vector<size_t>& order,
                                 int64_t window) {
  std::vector<std::pair<size_t, Window>> list;
  for (const size_t d : order) {
    size_t i = 0;
    for (const ScoreWindow& w : score_windows(static_cast<int64_t>(documents[d].size()), window, 0))
      list.push_back(
          {i++,
           {d, std::span(documents[d]).subspan(static_cast<size_t>(w.begin), static_cast<size_t>(w.end - w.begin)),
            w.scored}});
  }
  std::stable_sort(list.begin(), list.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  std::vector<Window> windows;
  for (const auto& [i, w] : list) windows.push_back(w);
  return windows;
}

std::vector<size_t> shuffled(size_t n, uint64_t seed) {
  std::vector<size_t> order(n);
  std::iota(order.begin(), order.end(), size_t{0});
  Rng rng(seed);
  for (size_t i = n; i > 1; --i) std::swap(order[i - 1], order[rng.below(i)]);
  return order;
}

// Moves windows of some `tokens` tokens from the front of `from`.
std::vector<Window> take(std::vector<Window>& from, int64_t tokens) {
  size_t n = 0;
  for (int64_t sum = 0; n < from.size() && sum < tokens; ++n) sum += from[n].scored;
  std::vector<Window> taken(from.begin(), from.begin() + static_cast<int64_t>(n));
  from.erase(from.begin(), from.begin() + static_cast<int64_t>(n));
  return taken;
}

// What a row of logits says beside the reference distribution: the mean logit under it, and the largest logit. Eight
// running sums, so that the compiler may use vectors; their order is fixed.
struct RowSums {
  double mean_logit;
  float largest;
};
RowSums row_sums(const float* p, const float* z, int64_t vocab) {
  constexpr int kLanes = 8;
  std::array<double, kLanes> sum{};
  std::array<float, kLanes> largest;
  largest.fill(-INFINITY);
  int64_t v = 0;
  for (; v + kLanes <= vocab; v += kLanes)
    for (int j = 0; j < kLanes; ++j) {
      sum[j] += double(p[v + j] * z[v + j]);
      largest[j] = z[v + j] > largest[j] ? z[v + j] : largest[j];
    }
  for (; v < vocab; ++v) {
    sum[0] += double(p[v] * z[v]);
    largest[0] = std::max(largest[0], z[v]);
  }
  return {std::accumulate(sum.begin(), sum.end(), 0.0), *std::max_element(largest.begin(), largest.end())};
}

// One window's reference: the distribution of `off` for every scored token.
struct Reference {
  std::vector<float> p;               // (n, V)
  std::vector<double> nll, mean_log;  // (n): sum over v of p log p
  std::vector<int32_t> top;           // (n)
};

// Sums over one document under one policy.
struct QualitySums {
  double dnll = 0, kl = 0, same = 0;
};

// Experts that stay in the files are read as they are there.
ByteModel bytes_of(Model& model) {
  ParamStore& params = model.params();
  const double element = double(size_of(params.storage()));
  ByteModel m = byte_model(model.config(), element, element);
  for (const BlockParams& block : params.table().model.blocks) {
    const ops::MappedExperts *up = block.is_moe ? params.mapped(block.moe.experts_gate_up) : nullptr,
                             *down = block.is_moe ? params.mapped(block.moe.experts_down) : nullptr;
    if (up && down) m.expert = double(up->bytes() + down->bytes()) / double(up->experts);
  }
  return m;
}

void stop_if_interrupted() {
  if (interrupted()) fail(ErrorKind::interrupted, "study skip", "stopped before it was done");
}

class Study {
 public:
  Study(Model& model, std::span<const std::vector<int32_t>> documents, const SkipStudyOptions& options)
      : model_(model),
        documents_(documents),
        options_(options),
        order_(shuffled(documents.size(), static_cast<uint64_t>(options.seed))),
        engine_(model, skip_study_engine(model.config(), options)),
        scorer_(engine_) {
    if (engine_.logits().dtype != DType::f32 || engine_.device().kind == DeviceKind::cuda)
      fail(ErrorKind::unsupported, "study skip", "needs a model in f32 or bf16 on a CPU");
  }

  SkipStudy run() {
    choose();
    estimate();
    calibrate();
    quality();
    speed();
    return std::move(result_);
  }

 private:
  void choose() {
    std::vector<Window> windows = list_windows(documents_, order_, options_.window);
    windows_ = take(windows, options_.score_tokens);
    if (windows_.empty()) fail(ErrorKind::usage, "study skip", "no held-out file has two tokens");
    if (!chosen("minp")) return;
    const std::vector<Window> apart = take(windows, options_.calibration_tokens);
    result_.calibrated_apart = !apart.empty();
    for (const Window& w : apart.empty() ? windows_ : apart) calibration_.push_back(w.tokens);
  }

  bool chosen(const std::string& policy) const {
    return std::ranges::find(options_.policies, policy) != options_.policies.end();
  }

  std::vector<SkipCase> chosen_cases(std::span<const double> min_p) const {
    auto cases = skip_cases(model_.config(), min_p, static_cast<uint64_t>(options_.seed));
    std::erase_if(cases, [&](const SkipCase& c) { return !chosen(c.config.policy); });
    return cases;
  }

  // The first round only brings the weights into memory.
  void estimate() {
    SkipPlan& plan = result_.plan;
    const Window& w = windows_.front();
    const std::span<const int32_t> start = w.tokens.first(1);
    for (int round = 0; round < 2; ++round) {
      stop_if_interrupted();
      const double begin = steady_seconds();
      reference(w);
      plan.seconds_per_window = steady_seconds() - begin;
    }
    engine_.prefill(0, start);
    constexpr int kTokens = 5;
    std::vector<double> seconds;
    for (int i = 0; i < kTokens && engine_.length(0) < engine_.options().context; ++i) {
      const double begin = steady_seconds();
      engine_.decode(start);
      seconds.push_back(steady_seconds() - begin);
    }
    plan.seconds_per_token = quantile(seconds, 0.5);
    plan.windows = std::ssize(windows_);
    for (const Window& each : windows_) plan.tokens += each.scored;
    for (const auto& each : calibration_) plan.calibration_tokens += std::ssize(each);
    const double thresholds[] = {0.1, 0.2, 0.3};  // as many as there will be at most
    plan.policies = std::ssize(chosen_cases(thresholds));
    plan.timed_runs = 2 * (plan.policies + 2) * options_.rounds + 1;
    const double a_token = plan.seconds_per_window / static_cast<double>(w.tokens.size() - 1);
    plan.quality_minutes = (static_cast<double>(plan.windows * (plan.policies + 1)) * plan.seconds_per_window +
                            static_cast<double>(plan.calibration_tokens) * a_token) / 60;
    plan.speed_minutes = static_cast<double>(plan.timed_runs) *
                         (static_cast<double>(options_.prompt) * a_token +
                          static_cast<double>(options_.decode) * plan.seconds_per_token) / 60;
    log_info("{}", plan.text());
  }

  void calibrate() {
    cases_ = chosen_cases(calibrate_min_p(engine_, calibration_));
    result_.options = options_;
    result_.rows.push_back({.policy = "off"});
    for (const SkipCase& c : cases_) result_.rows.push_back({.policy = c.config.policy, .settings = c.settings});
  }

  // Every window under `off` and then, at once, under every policy.
  void quality() {
    std::vector<std::vector<QualitySums>> sums(cases_.size(), std::vector<QualitySums>(documents_.size()));
    std::vector<double> tokens(documents_.size());
    Progress progress("skip: quality", static_cast<int64_t>(windows_.size() * (cases_.size() + 1)), "windows");
    int64_t done = 0;
    progress.update(0);
    for (const Window& w : windows_) {
      stop_if_interrupted();
      reference(w);
      progress.update(++done);
      tokens[w.document] += static_cast<double>(w.scored);
      result_.tokens += w.scored;
      result_.nll += std::accumulate(reference_.nll.begin(), reference_.nll.end(), 0.0);
      for (size_t c = 0; c < cases_.size(); ++c) {
        compare(w, cases_[c], sums[c][w.document]);
        progress.update(++done, cases_[c].name());
      }
    }
    progress.finish();
    result_.nll /= static_cast<double>(result_.tokens);
    result_.files = std::count_if(tokens.begin(), tokens.end(), [](double n) { return n > 0; });
    summarize(sums, tokens);
  }

  void reference(const Window& w) {
    const int64_t vocab = model_.config().vocab_size;
    scorer_.window(w.tokens, w.scored, [&](const ScoredRows& r) {
      const int64_t n = r.logits[0];
      CHECK(n == w.scored);  // a window is one chunk
      reference_.p.resize(static_cast<size_t>(n * vocab));
      reference_.nll.assign(r.nll.begin(), r.nll.end());
      reference_.mean_log.resize(static_cast<size_t>(n));
      reference_.top.resize(static_cast<size_t>(n));
      engine_.device().pool().for_each(n, [&](int64_t i, int) {
        const float *z = r.logits.as<float>() + i * vocab, lse = static_cast<float>(r.lse[i]);
        float* p = reference_.p.data() + i * vocab;
        for (int64_t v = 0; v < vocab; ++v) p[v] = std::exp(z[v] - lse);
        reference_.mean_log[i] = row_sums(p, z, vocab).mean_logit - r.lse[i];
        reference_.top[i] = static_cast<int32_t>(std::max_element(z, z + vocab) - z);
      });
    });
  }

  void compare(const Window& w, const SkipCase& c, QualitySums& sums) {
    const ScopedPlan plan(engine_, c.config);
    const int64_t vocab = model_.config().vocab_size;
    scorer_.window(w.tokens, w.scored, [&](const ScoredRows& r) {
      const size_t n = static_cast<size_t>(r.logits[0]);
      kl_.resize(n);
      same_.resize(n);
      engine_.device().pool().for_each(static_cast<int64_t>(n), [&](int64_t i, int) {
        const float* z = r.logits.as<float>() + i * vocab;
        const RowSums row = row_sums(reference_.p.data() + i * vocab, z, vocab);
        kl_[i] = std::max(0.0, reference_.mean_log[i] - (row.mean_logit - r.lse[i]));
        same_[i] = z[reference_.top[i]] == row.largest;
      });
      for (size_t i = 0; i < n; ++i) {
        sums.dnll += r.nll[i] - reference_.nll[i];
        sums.kl += kl_[i];
        sums.same += same_[i];
      }
    });
  }

  void summarize(const std::vector<std::vector<QualitySums>>& sums, const std::vector<double>& tokens) {
    const double all = static_cast<double>(result_.tokens);
    std::vector<int64_t> file;
    std::vector<double> count;
    for (size_t d = 0; d < documents_.size(); ++d)
      if (tokens[d] > 0) {
        file.push_back(static_cast<int64_t>(d));
        count.push_back(tokens[d]);
      }
    for (size_t c = 0; c < cases_.size(); ++c) {
      std::vector<double> difference;
      QualitySums total;
      for (const int64_t d : file) {
        const QualitySums& s = sums[c][static_cast<size_t>(d)];
        difference.push_back(s.dnll);
        total.dnll += s.dnll;
        total.kl += s.kl;
        total.same += s.same;
      }
      SkipResult& row = result_.rows[c + 1];
      const Interval interval = bootstrap_ratio({difference, count}, file, static_cast<uint64_t>(options_.seed));
      row.dnll = total.dnll / all;
      row.dnll_lo = interval.lo;
      row.dnll_hi = interval.hi;
      row.kl = total.kl / all;
      row.same_top1 = total.same / all;
    }
  }

  struct Timing {
    std::vector<double> prefill;              // seconds of every prompt
    std::vector<std::vector<double>> tokens;  // by round: seconds of every decoded token, both directions together
    int64_t executed = 0, decoded = 0;
  };

  // ABBA: each round goes through all policies and back, so that a drift of the machine's speed cancels. `off` opens
  // and closes the round (what the others are compared with), and stands once more at its turning point (the A/A row).
  void speed() {
    const size_t n = cases_.size(), runs = n + 2;  // off, the cases, off again
    std::vector<Timing> timing(runs);
    Progress progress("skip: speed", static_cast<int64_t>(2 * runs) * options_.rounds, "runs");
    int64_t done = 0;
    progress.update(0);
    Timing warm_up;
    warm_up.tokens.resize(1);
    for (int round = 0; round < options_.rounds; ++round) {
      const std::vector<int32_t> text = round_tokens(round);
      if (round == 0) measure(text, nullptr, warm_up);
      for (Timing& t : timing) t.tokens.emplace_back();
      for (size_t step = 0; step < 2 * runs; ++step) {
        const size_t i = step < runs ? step : 2 * runs - 1 - step;
        stop_if_interrupted();
        measure(text, i == 0 || i == n + 1 ? nullptr : &cases_[i - 1], timing[i]);
        progress.update(++done, i == 0 || i == n + 1 ? "off" : cases_[i - 1].name());
      }
    }
    progress.finish();
    fill_speed(result_.rows[0], timing[n + 1], timing[0]);
    for (size_t c = 0; c < n; ++c) fill_speed(result_.rows[c + 1], timing[c + 1], timing[0]);
    predict(timing[0]);
  }

  // Real text of a round, the same for every policy: routing of random tokens is not that of code.
  std::vector<int32_t> round_tokens(int round) const {
    const size_t need = static_cast<size_t>(options_.prompt + options_.decode);
    std::vector<int32_t> stream;
    for (size_t i = 0; stream.size() < need; ++i) {
      const auto& d = documents_[order_[(i + static_cast<size_t>(round)) % order_.size()]];
      stream.insert(stream.end(), d.begin(), d.end());
    }
    stream.resize(need);
    return stream;
  }

  void measure(const std::vector<int32_t>& text, const SkipCase* c, Timing& t) {
    const ScopedPlan plan(engine_, c ? c->config : SkipConfig());
    const std::span<const int32_t> ids(text);
    const size_t prompt = static_cast<size_t>(options_.prompt);
    double before = steady_seconds();
    engine_.prefill(0, ids.first(prompt));
    t.prefill.push_back(steady_seconds() - before);
    engine_.reset_executed();
    before = steady_seconds();
    for (size_t i = prompt; i < ids.size(); ++i) {
      engine_.decode(ids.subspan(i, 1));
      const double now = steady_seconds();
      t.tokens.back().push_back(now - before);
      before = now;
    }
    for (const int64_t n : engine_.executed()) t.executed += n;
    t.decoded += options_.decode;
  }

  // Of medians: a token that waited for another process says nothing about a policy, and one such wait may be as long
  // as a hundred tokens.
  void fill_speed(SkipResult& row, const Timing& t, const Timing& off) {
    const auto median = [](const std::vector<double>& v) { return quantile(v, 0.5); };
    std::vector<double> all, log_ratio;
    for (size_t r = 0; r < t.tokens.size(); ++r) {
      all.insert(all.end(), t.tokens[r].begin(), t.tokens[r].end());
      log_ratio.push_back(std::log(median(off.tokens[r]) / median(t.tokens[r])));
    }
    row.pp = static_cast<double>(options_.prompt) / median(t.prefill);
    row.tg = 1 / median(all);
    const Interval interval = bootstrap_mean(log_ratio, static_cast<uint64_t>(options_.seed));
    row.speedup = std::exp(mean(log_ratio));
    row.speedup_lo = std::exp(interval.lo);
    row.speedup_hi = std::exp(interval.hi);
    row.executed_k = static_cast<double>(t.executed) / static_cast<double>(t.decoded) / bytes_.moe_layers;
  }

  // Bytes of a decoded token without and with the policy, at the experts that ran and the mean context.
  void predict(const Timing& off) {
    const double context = double(options_.prompt) + 0.5 * double(options_.decode + 1);
    const double full = static_cast<double>(off.executed) / static_cast<double>(off.decoded) / bytes_.moe_layers;
    for (SkipResult& row : result_.rows)
      row.predicted = bytes_.step_bytes(full, context) / bytes_.step_bytes(row.executed_k, context);
  }

  Model& model_;
  std::span<const std::vector<int32_t>> documents_;
  SkipStudyOptions options_;
  std::vector<size_t> order_;
  Engine engine_;
  Scorer scorer_;
  ByteModel bytes_ = bytes_of(model_);
  std::vector<Window> windows_;
  std::vector<std::span<const int32_t>> calibration_;
  std::vector<SkipCase> cases_;
  Reference reference_;
  std::vector<double> kl_, same_;
  SkipStudy result_;
};

void check(const Model& model, std::span<const std::vector<int32_t>> documents, const SkipStudyOptions& o) {
  if (byte_model(model.config()).moe_layers == 0)
    fail(ErrorKind::unsupported, "study skip", "the model has no MoE layer: nothing to skip");
  const auto positive = [](const char* key, int64_t value) {
    if (value < 1) fail(ErrorKind::usage, key, "{} is not positive", value);
  };
  positive("score_tokens", o.score_tokens);
  positive("prompt", o.prompt);
  positive("decode", o.decode);
  if (o.rounds < 2) fail(ErrorKind::usage, "rounds", "{}: an interval needs two rounds at least", o.rounds);
  for (const std::string& policy : o.policies)
    if (policy != "topk" && policy != "minp" && policy != "random")
      fail(ErrorKind::usage, "policies", "'{}' is none of topk, minp and random", policy);
  if (o.window < 2) fail(ErrorKind::usage, "window", "{}: a token is scored from at least one before it", o.window);
  const auto tokens = std::accumulate(documents.begin(), documents.end(), size_t{0},
                                      [](size_t n, const auto& d) { return n + d.size(); });
  if (tokens < 2) fail(ErrorKind::usage, "study skip", "no held-out tokens to score");
}

}  // namespace

EngineOptions skip_study_engine(const ModelConfig& config, const SkipStudyOptions& options) {
  check_positions(config, options.window, "study.window", fmt::format("a window of {} tokens", options.window));
  check_positions(
      config, options.prompt + options.decode, "study.prompt",
      fmt::format("a prompt of {} tokens and {} decoded ones (study.decode)", options.prompt, options.decode));
  return {.slots = 1,
          .context = std::max(options.window, options.prompt + options.decode),
          .prefill_chunk = std::max(options.window, options.prompt)};
}

// The distribution of a window without a policy, for every token.
int64_t skip_study_bytes(const ModelConfig& config, const SkipStudyOptions& options) {
  return options.window * config.vocab_size * static_cast<int64_t>(sizeof(float));
}

std::string SkipPlan::text() const {
  return fmt::format(
      "{} tokens in {} windows to be scored under off and {} policies, {} timed runs: at most about {} ({} to score, {} "
      "to time; a window takes {:.3g} s, a decoded token {:.3g} ms)",
      tokens, windows, policies, timed_runs, format_duration(60 * minutes()), format_duration(60 * quality_minutes),
      format_duration(60 * speed_minutes), seconds_per_window, 1e3 * seconds_per_token);
}

Json SkipPlan::to_json() const {
  return Json(Json::Object{{"tokens", tokens},
                           {"windows", windows},
                           {"policies", policies},
                           {"calibration_tokens", calibration_tokens},
                           {"timed_runs", timed_runs},
                           {"seconds_per_window", seconds_per_window},
                           {"seconds_per_token", seconds_per_token},
                           {"quality_minutes", quality_minutes},
                           {"speed_minutes", speed_minutes},
                           {"minutes", minutes()},
                           {"minutes_per_policy", minutes_per_policy()}});
}

Json SkipResult::to_json() const {
  return Json(Json::Object{{"policy", policy},
                           {"settings", settings},
                           {"executed_k", executed_k},
                           {"pp512", pp},
                           {"tg128", tg},
                           {"speedup", speedup},
                           {"speedup_lo", speedup_lo},
                           {"speedup_hi", speedup_hi},
                           {"predicted", predicted},
                           {"dnll", dnll},
                           {"dnll_lo", dnll_lo},
                           {"dnll_hi", dnll_hi},
                           {"kl", kl},
                           {"same_top1", same_top1}});
}

Json SkipStudy::rows_json() const {
  Json array = Json::array();
  for (const SkipResult& row : rows) array.push_back(row.to_json());
  return array;
}

Json SkipStudy::to_json() const {
  return Json(Json::Object{{"plan", plan.to_json()},
                           {"rows", rows_json()},
                           {"nll", nll},
                           {"tokens", tokens},
                           {"files", files},
                           {"intervals", intervals_json()}});
}

Json SkipStudy::intervals_json() const {
  Json json = Json::object();
  json["speedup"] = fmt::format(
      "95 %, bootstrap over {} interleaved rounds (of the median over {} decoded tokens each), forth and back, on this "
      "machine",
      options.rounds, 2 * options.decode);
  json["dnll"] =
      fmt::format("95 %, paired bootstrap over {} files ({} tokens); not over training seeds", files, tokens);
  return json;
}

std::string SkipStudy::table() const {
  std::string text =
      fmt::format("{:<7} {:<24} {:>6} {:>8} {:>8} {:>22} {:>6} {:>27} {:>8} {:>6}\n", "policy", "settings", "exec k",
                  "pp tok/s", "tg tok/s", "speed-up", "model", "delta NLL", "KL", "top-1");
  for (const SkipResult& r : rows) {
    std::string settings;
    for (const auto& [key, value] : r.settings.as_object())
      settings += (settings.empty() ? "" : " ") + key + "=" +
                  (value.is_int() ? value.dump() : fmt::format("{:.4g}", value.as_double()));
    text += fmt::format(
        "{:<7} {:<24} {:>6.2f} {:>8.0f} {:>8.0f} {:>6.3f} [{:.3f}, {:.3f}] {:>6.3f} {:>8.4f} [{:>7.4f}, {:>7.4f}] "
        "{:>8.5f} {:>5.1f}%\n",
        r.policy, r.policy == "off" ? "against off" : settings, r.executed_k, r.pp, r.tg, r.speedup, r.speedup_lo,
        r.speedup_hi, r.predicted, r.dnll, r.dnll_lo, r.dnll_hi, r.kl, 100 * r.same_top1);
  }
  const Json intervals = intervals_json();
  const std::string thresholds =
      fmt::format("min-p's thresholds were chosen on {} tokens.", calibrated_apart ? "other" : "the same");
  text += fmt::format(
      "off: {:.4f} nats per token. Speed-up of decoding ({} tokens after {}): {}. A speed-up inside the first row's "
      "interval is "
      "not resolved.\nDelta NLL: {}.{}\n",
      nll, options.decode, options.prompt, intervals.at("speedup").as_string(), intervals.at("dnll").as_string(),
      plan.calibration_tokens > 0 ? " " + thresholds : "");
  return text;
}

SkipStudy study_skip(Model& model, std::span<const std::vector<int32_t>> documents, const SkipStudyOptions& options) {
  check(model, documents, options);
  return Study(model, documents, options).run();
}

}  // namespace ballast
