#include "train/trainer.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <deque>
#include <limits>

#include "base/checksums.h"
#include "base/config.h"
#include "base/file.h"
#include "base/human.h"
#include "base/interrupt.h"
#include "base/log.h"
#include "base/progress.h"
#include "base/toml.h"
#include "core/cpu_features.h"
#include "model/weights.h"
#include "train/bias_health.h"
#include "train/ceiling.h"
#include "train/checkpoint.h"
#include "train/data_parallel.h"
#include "train/run_folder.h"

namespace ballast {
namespace fs = std::filesystem;
namespace {

constexpr const char* kHealthFile = "bias_health.safetensors";
constexpr size_t kWindow = 20;  // steps in a running mean of MaxVio

double now() { return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count(); }

Json environment(DType dtype, int threads, int ranks) {
  Json e = Json::object();
  e["dtype"] = name_of(dtype);
  e["isa"] = cpu_isa();
  e["cpu"] = cpu_model();
  e["threads"] = threads;
  if (ranks > 1) e["ranks"] = ranks;
  return e;
}

// Json has no word for a loss that is not finite: it is null there.
double number_or_nan(const Json& state, const char* key, const std::string& where) {
  const Json& v = state.at(key, where);
  return v.is_null() ? std::numeric_limits<double>::quiet_NaN() : v.as_double(where);
}

// "optimizer.learning_rate 0.001 -> 0.002" for every key that differs; how far a run goes may change freely.
void list_changes(const Json& then, const Json& now, const std::string& prefix, std::vector<std::string>& changed) {
  for (const auto& [key, value] : now.as_object()) {
    const Json* old = then.find(key);
    if (value.is_object() && old && old->is_object()) list_changes(*old, value, prefix + key + ".", changed);
    else if ((!old || old->dump() != value.dump()) && prefix + key != "schedule.stop_after")
      changed.push_back(fmt::format("{}{} {} -> {}", prefix, key, old ? old->dump() : "unset", value.dump()));
  }
}

class Trainer {
 public:
  Trainer(const TrainOptions& options, const TrainHooks& hooks)
      : options_(options), config_(options.config), hooks_(hooks), comm_(options.ranks ? *options.ranks : alone_),
        device_(Device::make(DeviceKind::cpu, options.threads)),
        lock_(lead() ? std::make_unique<RunLock>(options.run) : nullptr), resume_from_(find_checkpoint()),
        dtype_(choose_dtype()), data_(config_),
        params_(*device_, make_param_table(config_.model), {.storage = dtype_, .training = true}),
        model_(config_.model, params_), step_(model_, data_.shape(), training_options(config_)), optimizer_(params_, config_.optimizer),
        health_(route_config(config_.model), layer_names()) {
    if (lead()) validation_.emplace(model_, config_);
  }

  TrainSummary run() {
    start();
    const int64_t last = config_.schedule.run_steps();
    std::optional<Progress> progress;
    if (lead() && next_ >= last) {
      log_info("{} is finished: {} of {} steps are done, nothing is left to train", options_.run.string(), next_, last);
    } else if (lead()) {
      progress.emplace("train", last, "steps");
      progress->plain_every(config_.train.log_every);
      progress->resume_at(next_);
    }
    const int64_t first = next_;
    while (next_ < last && !stopping()) {
      one_step();
      if (!lead()) continue;
      progress->update(next_, note_);
      after_step(last);
    }
    const int64_t steps = next_ - first;
    if (!lead()) {
      comm_.barrier();
      return {.steps = next_, .tokens = tokens_, .interrupted = next_ < last};
    }
    if (progress) progress->finish();
    // A validation that only the end asks for stands behind the position saved with it: resumed with more steps, the run's
    // records are those of one that never stopped here.
    const RunPosition position = folder_->flush();
    if (next_ >= last && !due(config_.train.eval_every)) validate_now();
    save(position);
    comm_.barrier();
    return summary(steps, next_ < last);
  }

 private:
  // --- start -----------------------------------------------------------------------------------------------------------
  std::optional<fs::path> find_checkpoint() {
    comm_.barrier();  // the leading rank has the lock: nobody else writes there
    if (!options_.resume) return {};
    auto found = latest_checkpoint(options_.run / "checkpoints");
    if (!found && lead()) log_info("{} has no checkpoint to resume from; starting at step 0", options_.run.string());
    return found;
  }

  // A resumed run keeps the type it was trained in.
  DType choose_dtype() {
    if (!resume_from_) return compute_dtype(config_.train.dtype);
    state_ = read_checkpoint_state(*resume_from_);
    const std::string where = (*resume_from_ / "trainer/state.json").string();
    const std::string kept = state_.at("environment", where).at("dtype", where).as_string(where);
    if (config_.train.dtype != "auto" && config_.train.dtype != kept) {
      if (lead())
        log_warning("the run goes on in {}, as it began; train.dtype = {} is for new runs", kept, config_.train.dtype);
      config_.train.dtype = kept;
    }
    return compute_dtype(kept);
  }

  void start() {
    std::optional<RunPosition> position;
    if (resume_from_) {
      load_checkpoint(*resume_from_, params_);
      restore(position);
    } else if (options_.init_from) {
      verify_checksums(*options_.init_from);
      load_weights(params_, Checkpoint::open(*options_.init_from));
    } else {
      params_.initialize(static_cast<uint64_t>(config_.train.seed), config_.model.initializer_range);
    }
    if (lead()) start_folder(position);
    comm_.barrier();
  }

  void start_folder(const std::optional<RunPosition>& position) {
    const auto moe_layers = static_cast<int64_t>(config_.model.moe_layers().size());
    lock_->claim();
    remove_leftovers(options_.run);
    remove_leftovers(options_.run / "checkpoints");
    folder_ = std::make_unique<RunFolder>(options_.run, moe_layers, config_.model.n_routed_experts, position);
    write_file_atomic(folder_->path() / "config.toml", "format = 1\n\n" + write_toml(config_to_json(config_)));
    if (resume_from_) finish_save();  // the process before may have ended between the checkpoint and the rest
    else validate_now();
    if (probes() && !(resume_from_ && health_.load(*resume_from_ / "trainer" / kHealthFile, data_.shape().tokens())))
      for_each_probed([&](size_t l, const Pass& routed) { health_.remember(l, host<int32_t>(routed.route_ids.index(l))); });
  }

  void restore(std::optional<RunPosition>& position) {
    const std::string where = (*resume_from_ / "trainer/state.json").string();
    next_ = state_.at("step", where).as_int(where);
    tokens_ = state_.at("tokens", where).as_int(where);
    bad_steps_ = state_.at("bad_steps", where).as_int(where);
    skipped_ = state_.at("skipped", where).as_int(where);
    optimizer_.set_updates(state_.at("updates", where).as_int(where));
    data_.source().load(state_.at("data", where));
    position = RunPosition{static_cast<uint64_t>(state_.at("metrics_bytes", where).as_int(where)),
                           static_cast<uint64_t>(state_.at("events_bytes", where).as_int(where)),
                           state_.at("loads_rows", where).as_int(where)};
    std::vector<int64_t> idle;
    for (const Json& n : state_.at("idle", where).as_array(where)) idle.push_back(n.as_int(where));
    dead_.restore(std::move(idle));
    for (const Json& row : state_.at("max_vio", where).as_array(where)) {
      std::vector<double> values;
      for (const Json& v : row.as_array(where)) values.push_back(v.as_double(where));
      recent_.push_back(std::move(values));
    }
    saved_ = next_;
    summary_.train_loss_last = number_or_nan(state_, "train_loss_last", where);
    summary_.val_loss_first = number_or_nan(state_, "val_loss_first", where);
    summary_.val_loss_last = number_or_nan(state_, "val_loss_last", where);
    summary_.val_bpb = number_or_nan(state_, "val_bpb", where);
    best_name_ = state_.at("best", where).as_string(where);
    if (!best_name_.empty()) best_ = state_.at("val_loss_best", where).as_double(where);
    balanced_ = state_.at("balanced", where).as_bool(where);
    if (!lead()) return;
    const Json then = state_.at("environment", where), here = environment(dtype_, device_->pool().size(), comm_.size());
    if (then.dump() != here.dump())
      log_warning("continuing, not bit-equal: the run was on {}, this is {}", then.dump(), here.dump());
    std::vector<std::string> changed;
    list_changes(state_.at("config", where), config_to_json(config_), "", changed);
    if (!changed.empty()) log_warning("continuing with another recipe: {}", fmt::join(changed, ", "));
  }

  bool lead() const { return comm_.lead(); }
  // Several ranks stop after the same step: the one whose sums say that somebody was asked to.
  bool stopping() const { return comm_.size() > 1 ? interrupted_ : interrupted(); }
  bool due(int64_t every) const { return every > 0 && next_ % every == 0; }

  // --- one step --------------------------------------------------------------------------------------------------------
  void one_step() {
    const double begun = steady_seconds();
    std::vector<Batch> batches;
    int64_t targets = 0, mtp_targets = 0;
    for (int64_t i = 0; i < config_.train.micro_batches; ++i) {
      batches.push_back(data_.source().next());
      targets += batches.back().n_valid;
      mtp_targets += batches.back().n_valid_mtp;
    }
    step_.begin();
    StepTotals totals;
    for (size_t i = 0; i < batches.size(); ++i) {
      const Batch& b = batches[i];
      tokens_ += b.tokens();
      if (!is_mine(comm_, static_cast<int64_t>(i))) continue;
      totals.sums += step_.run(b, targets, mtp_targets, config_.train.micro_batches, true);
      const auto a = step_.aux_losses();
      totals.aux.first += a.first / static_cast<double>(config_.train.micro_batches);
      totals.aux.second += a.second / static_cast<double>(config_.train.micro_batches);
    }
    totals.loads = step_.loads();
    totals.interrupted = interrupted();
    reduce_step(comm_, params_, step_, totals);
    const double rate = config_.optimizer.learning_rate * config_.schedule.factor(next_);
    const Optimizer::Outcome outcome = optimizer_.step(rate, step_.nonfinite());
    const double bias_rate = config_.balance.rate(next_, config_.schedule.steps);
    if (!outcome.skipped) balance(totals.loads, bias_rate);
    const double seconds = steady_seconds() - begun;
    step_seconds_ += seconds;
    if (lead()) record(totals, outcome, rate, bias_rate, seconds);
    ++next_;
    guard(outcome);
    interrupted_ = totals.interrupted;
  }

  void after_step(int64_t last) {
    const bool better = due(config_.train.eval_every) && validate_now();
    if (probes() && due(config_.balance.probe_every)) probe_now();
    if (due(config_.train.sample_every) && hooks_.sample) hooks_.sample(model_, next_);
    if (next_ < last && (better || due(config_.train.checkpoint_every))) save(folder_->flush());
  }

  // A skipped step leaves the bias alone, too: its counts are discarded.
  void balance(const Loads& loads, double rate) {
    const auto layers = config_.model.moe_layers();
    const int64_t experts = config_.model.n_routed_experts;
    for (size_t l = 0; l < layers.size(); ++l) {
      const std::vector<float> before = bias_values(layers[l]);
      if (before.empty()) continue;
      std::vector<float> bias = before;
      update_bias(config_.balance, rate, loads[l], bias);
      require_finite(layers[l], bias);
      health_.observe(l, before, bias);
      const std::vector<double> wide(bias.begin(), bias.end());
      params_.write(bias_of(layers[l]), 0, wide.data(), experts);
    }
  }

  // The weights' step is done by now and nothing can be skipped: the run ends before such a bias is stored.
  void require_finite(int layer, const std::vector<float>& bias) {
    if (std::all_of(bias.begin(), bias.end(), [](float b) { return std::isfinite(b); })) return;
    if (lead()) folder_->flush();
    fail(ErrorKind::device, options_.run.string(),
         "step {}: the router's bias of layer {} would not be finite after balance.rule = {}: stopped, and checkpoints "
         "stay as they were. Is it finite in what the run began with (`ballast inspect`)?",
         next_ + 1, layer, config_.balance.rule);
  }

  // Empty where the router has none.
  std::vector<float> bias_values(int layer) const {
    const ParamId id = bias_of(layer);
    if (id == kNoParam) return {};
    std::vector<double> wide(static_cast<size_t>(config_.model.n_routed_experts));
    params_.read(id, 0, wide.data(), config_.model.n_routed_experts);
    return {wide.begin(), wide.end()};
  }

  ParamId bias_of(int layer) const {
    const ModelParams& m = params_.table().model;
    const int main = config_.model.num_hidden_layers;
    return layer < main ? m.blocks[layer].moe.bias : m.mtp[layer - main].block.moe.bias;
  }

  void guard(const Optimizer::Outcome& outcome) {
    bad_steps_ = outcome.skipped ? bad_steps_ + 1 : 0;
    skipped_ += outcome.skipped;
    if (outcome.skipped && lead())
      log_warning("step {}: gradient norm {} or a router logit is not finite; the step was skipped", next_, outcome.grad_norm);
    if (bad_steps_ < config_.train.max_bad_steps) return;
    if (lead()) folder_->flush();
    fail(ErrorKind::device, options_.run.string(),
         "{} steps in a row were not finite: stopped. Lower optimizer.learning_rate, or resume from an earlier checkpoint",
         bad_steps_);
  }

  void record(const StepTotals& totals, const Optimizer::Outcome& outcome, double rate, double bias_rate, double seconds) {
    const LossSums& sums = totals.sums;
    const Loads& loads = totals.loads;
    dead_.observe(loads);
    const LoadStatistics s = load_statistics(loads);
    recent_.push_back(s.max_vio);
    if (recent_.size() > kWindow) recent_.pop_front();
    summary_.train_loss_last = sums.mean();
    const double per_second = static_cast<double>(config_.data.batch_size * config_.data.seq_len * config_.train.micro_batches) / seconds;
    Json m = Json::object();
    m["step"] = next_ + 1;
    m["tokens"] = tokens_;
    m["train/loss"] = sums.mean();
    if (config_.model.num_nextn_predict_layers > 0) m["train/mtp_loss"] = sums.mtp_mean();
    if (config_.aux.seq > 0) m["train/aux_seq"] = totals.aux.first;
    if (config_.aux.global > 0) m["train/aux_global"] = totals.aux.second;
    m["lr"] = rate;
    m["bias_rate"] = bias_rate;
    m["grad_norm"] = outcome.grad_norm;
    m["skipped"] = outcome.skipped ? 1 : 0;
    m["max_vio/mean"] = s.mean;
    m["max_vio/worst"] = s.worst;
    const auto layers = config_.model.moe_layers();
    for (size_t l = 0; l < layers.size(); ++l) m["max_vio/layer_" + std::to_string(layers[l])] = s.max_vio[l];
    m["dead"] = dead_.count();
    m["starved_share"] = s.starved_share;
    m["effective_experts"] = s.effective_experts;
    m["tok_per_s"] = per_second;
    m["time"] = now();
    folder_->record(next_ + 1, m);
    folder_->record_loads(loads);
    if (next_ + 1 == config_.schedule.run_steps() / 2) balanced_ = worst_recent() < 0.5;
    note_ = fmt::format("loss {:.3f}  MaxVio {:.2f}  {} tok/s", sums.mean(), s.worst, format_si(per_second));
    if (hooks_.step) hooks_.step(next_ + 1, m);
  }

  // --- the biases' health ----------------------------------------------------------------------------------------------
  bool probes() const { return config_.balance.probe_every > 0 && !config_.model.moe_layers().empty(); }

  std::vector<std::string> layer_names() const {
    std::vector<std::string> names;
    for (const int layer : config_.model.moe_layers()) names.push_back("layer_" + std::to_string(layer));
    return names;
  }

  template <class T>
  std::vector<T> host(const Tensor& t) {
    std::vector<T> values(static_cast<size_t>(t.size()));
    device_->download(values.data(), t.data, values.size() * sizeof(T));
    return values;
  }

  template <class F>
  void for_each_probed(F f) {
    const Pass& routed = validation_->probe();
    for (size_t l = 0; l < config_.model.moe_layers().size(); ++l) f(l, routed);
  }

  void probe_now() {
    const auto layers = config_.model.moe_layers();
    Json m = Json::object();
    m["step"] = next_;
    m["tokens"] = tokens_;
    for_each_probed([&](size_t l, const Pass& routed) {
      health_.report(l, bias_values(layers[l]), host<float>(routed.route_scores.index(l)),
                     host<int32_t>(routed.route_ids.index(l)), m);
    });
    m["time"] = now();
    folder_->record(next_, m);
  }

  // The worst layer's mean MaxVio over the last steps.
  double worst_recent() const {
    double worst = 0;
    for (size_t l = 0; !recent_.empty() && l < recent_.front().size(); ++l) {
      double sum = 0;
      for (const auto& row : recent_) sum += row[l];
      worst = std::max(worst, sum / static_cast<double>(recent_.size()));
    }
    return worst;
  }
  double mean_recent() const {
    double sum = 0, n = 0;
    for (const auto& row : recent_)
      for (const double v : row) {
        sum += v;
        ++n;
      }
    return n > 0 ? sum / n : 0;
  }

  // --- validation and checkpoints --------------------------------------------------------------------------------------
  // True where this is the checkpoint of lowest loss so far, and it is to be kept.
  bool validate_now() {
    const ValidationResult r = validation_->run();
    Json m = Json::object();
    m["step"] = next_;
    m["tokens"] = tokens_;
    m["val/loss"] = r.loss;
    if (r.bpb > 0) m["val/bpb"] = r.bpb;
    m["val/accuracy"] = r.accuracy;
    m["time"] = now();
    folder_->record(next_, m);
    if (next_ == 0) summary_.val_loss_first = r.loss;
    summary_.val_loss_last = r.loss;
    summary_.val_bpb = r.bpb;
    log_info("step {}: validation loss {:.4f}{}", next_, r.loss, r.bpb > 0 ? fmt::format(", {:.3f} bits per byte", r.bpb) : "");
    if (next_ == 0 || !config_.train.keep_best || !(r.loss < best_)) return false;
    best_ = r.loss;
    best_name_ = checkpoint_name(next_);
    return true;
  }

  void save(const RunPosition& position) {
    if (saved_ == next_) return;
    Json s = Json::object();
    s["step"] = next_;
    s["tokens"] = tokens_;
    s["updates"] = optimizer_.updates();
    s["bad_steps"] = bad_steps_;
    s["skipped"] = skipped_;
    s["data"] = data_.source().save();
    s["data_hash"] = data_.hash();
    s["metrics_bytes"] = static_cast<int64_t>(position.metrics);
    s["events_bytes"] = static_cast<int64_t>(position.events);
    s["loads_rows"] = position.loads;
    s["train_loss_last"] = summary_.train_loss_last;
    s["val_loss_first"] = summary_.val_loss_first;
    s["val_loss_last"] = summary_.val_loss_last;
    s["val_bpb"] = summary_.val_bpb;
    s["val_loss_best"] = best_;
    s["best"] = best_name_;
    s["balanced"] = balanced_;
    s["environment"] = environment(dtype_, device_->pool().size(), comm_.size());
    s["idle"] = Json::array();
    for (const int64_t n : dead_.idle()) s["idle"].push_back(n);
    s["max_vio"] = Json::array();
    for (const auto& row : recent_) {
      Json values = Json::array();
      for (const double v : row) values.push_back(v);
      s["max_vio"].push_back(std::move(values));
    }
    s["config"] = config_to_json(config_);
    save_checkpoint(folder_->checkpoints(), checkpoint_name(next_), params_, config_.model, data_.tokenizer(), s,
                    [&](const fs::path& trainer) { if (probes()) health_.save(trainer / kHealthFile); });
    saved_ = next_;
    finish_save();
  }

  void finish_save() {
    if (!best_name_.empty()) mark_best(folder_->checkpoints(), best_name_, best_);
    prune_checkpoints(folder_->checkpoints(), config_.train.keep_last, best_name_);
  }

  TrainSummary summary(int64_t steps, bool interrupted) {
    TrainSummary s = summary_;
    s.steps = next_;
    s.tokens = tokens_;
    s.seconds = step_seconds_;
    const double per_step = static_cast<double>(config_.data.batch_size * config_.data.seq_len * config_.train.micro_batches);
    s.tok_per_s = steps > 0 ? static_cast<double>(steps) * per_step / step_seconds_ : 0;
    const StepProducts products = step_products(config_.model, config_.data.batch_size * config_.data.seq_len,
                                                config_.data.seq_len, config_.train.micro_batches / comm_.size());
    if (steps > 0) s.ceiling_share = ceiling_seconds(*device_, products, dtype_) / (step_seconds_ / static_cast<double>(steps));
    s.max_vio_worst = worst_recent();
    s.max_vio_mean = mean_recent();
    s.dead = dead_.count();
    s.skipped_steps = skipped_;
    s.balanced_at_half = balanced_;
    s.interrupted = interrupted;
    s.checkpoint = folder_->checkpoints() / checkpoint_name(next_);
    return s;
  }

  const TrainOptions& options_;
  RunConfig config_;
  const TrainHooks& hooks_;
  SingleRank alone_;
  Communicator& comm_;
  std::unique_ptr<Device> device_;
  std::unique_ptr<RunLock> lock_;            // the leading rank's, as all that is written
  Json state_;
  std::optional<fs::path> resume_from_;
  DType dtype_;
  TrainingData data_;
  ParamStore params_;
  Model model_;
  TrainStep step_;
  Optimizer optimizer_;
  std::optional<Validation> validation_;  // the leading rank's
  BiasHealth health_;
  std::unique_ptr<RunFolder> folder_;

  int64_t next_ = 0;  // steps done; the index of the next one
  int64_t tokens_ = 0, bad_steps_ = 0, skipped_ = 0, saved_ = -1;
  double best_ = std::numeric_limits<double>::infinity(), step_seconds_ = 0;
  std::string best_name_;  // the checkpoint of that loss, if one is kept
  bool balanced_ = false, interrupted_ = false;
  DeadExperts dead_;
  std::deque<std::vector<double>> recent_;  // MaxVio by layer of the last steps
  std::string note_;
  TrainSummary summary_;
};

}  // namespace

Json TrainSummary::to_json() const {
  Json j = Json::object();
  j["steps"] = steps;
  j["tokens"] = tokens;
  j["tok_per_s"] = tok_per_s;
  j["ceiling_share"] = ceiling_share;
  j["train_loss_last"] = train_loss_last;
  j["val_loss_first"] = val_loss_first;
  j["val_loss_last"] = val_loss_last;
  j["val_bpb"] = val_bpb;
  j["max_vio_worst"] = max_vio_worst;
  j["max_vio_mean"] = max_vio_mean;
  j["dead"] = dead;
  j["skipped_steps"] = skipped_steps;
  j["balanced_at_half"] = balanced_at_half;
  return j;
}

TrainSummary train(const TrainOptions& options, const TrainHooks& hooks) {
  validate(options.config);
  if (options.ranks) check_ranks(*options.ranks, options.config);
  return Trainer(options, hooks).run();
}

}  // namespace ballast
