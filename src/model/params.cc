#include "model/params.h"

#include <algorithm>
#include <functional>

#include "base/rng.h"

namespace ballast {
namespace {

int64_t product(const std::vector<int64_t>& shape) {
  int64_t n = 1;
  for (const int64_t d : shape) n *= d;
  return n;
}

constexpr int64_t kAlign = 64;  // elements; keeps every parameter on a cache line in every type

class TableBuilder {
 public:
  explicit TableBuilder(const ModelConfig& config) : c_(config) {}

  ParamTable build() {
    const int64_t vocab = c_.vocab_size, width = c_.hidden_size;
    ModelParams& m = table_.model;
    m.embedding = add("embedding", ParamKind::matrix, {vocab, width}, {{"model.embed_tokens.weight", {vocab, width}}});
    for (int i = 0; i < c_.num_hidden_layers; ++i) m.blocks.push_back(block(i));
    m.final_norm = norm("final_norm", "model.norm.weight", width);
    m.head = c_.tie_word_embeddings
                 ? m.embedding
                 : add("head", ParamKind::matrix, {vocab, width}, {{"lm_head.weight", {vocab, width}}});
    for (int i = 0; i < c_.num_nextn_predict_layers; ++i) m.mtp.push_back(mtp(c_.num_hidden_layers + i));
    return std::move(table_);
  }

 private:
  ParamId add(std::string name, ParamKind kind, std::vector<int64_t> shape, std::vector<HubTensor> hub) {
    int64_t offset = 0;
    for (HubTensor& t : hub) {
      t.offset = offset;
      offset += t.size();
    }
    CHECK(offset == product(shape));
    table_.list.push_back({std::move(name), kind, std::move(shape), std::move(hub)});
    return static_cast<ParamId>(table_.list.size()) - 1;
  }

  ParamId norm(const std::string& name, const std::string& hub, int64_t width) {
    const ParamId id = add(name, ParamKind::vector, {width}, {{hub, {width}}});
    table_.list[id].ones = true;
    return id;
  }

  AttentionParams attention(const std::string& name, const std::string& hub) {
    const int64_t width = c_.hidden_size, heads = c_.num_attention_heads, r = c_.kv_lora_rank, dr = c_.qk_rope_head_dim;
    const int64_t q_width = heads * c_.qk_head_dim(), kv_width = heads * (c_.qk_nope_head_dim + c_.v_head_dim);
    AttentionParams p;
    const int64_t first = c_.q_lora_rank ? *c_.q_lora_rank : q_width;
    p.down = add(name + "down", ParamKind::matrix, {first + r + dr, width},
                 {{hub + (c_.q_lora_rank ? "q_a_proj.weight" : "q_proj.weight"), {first, width}},
                  {hub + "kv_a_proj_with_mqa.weight", {r + dr, width}}});
    if (c_.q_lora_rank) {
      p.q_norm = norm(name + "q_norm", hub + "q_a_layernorm.weight", first);
      p.q_up = add(name + "q_up", ParamKind::matrix, {q_width, first}, {{hub + "q_b_proj.weight", {q_width, first}}});
    }
    p.kv_norm = norm(name + "kv_norm", hub + "kv_a_layernorm.weight", r);
    p.kv_up = add(name + "kv_up", ParamKind::matrix, {kv_width, r}, {{hub + "kv_b_proj.weight", {kv_width, r}}});
    const int64_t o_width = heads * c_.v_head_dim;
    p.out = add(name + "out", ParamKind::matrix, {width, o_width}, {{hub + "o_proj.weight", {width, o_width}}});
    if (!c_.attention_bias) return p;
    std::vector<HubTensor> down = {{hub + "kv_a_proj_with_mqa.bias", {r + dr}}};
    if (c_.q_lora_rank) down.insert(down.begin(), {hub + "q_a_proj.bias", {first}});
    p.down_bias = add(name + "down_bias", ParamKind::vector, {(c_.q_lora_rank ? first : 0) + r + dr}, down);
    p.out_bias = add(name + "out_bias", ParamKind::vector, {width}, {{hub + "o_proj.bias", {width}}});
    return p;
  }

  FeedForwardParams feed_forward(const std::string& name, const std::string& hub, int64_t inner) {
    const int64_t width = c_.hidden_size;
    return {add(name + "gate_up", ParamKind::matrix, {2 * inner, width},
                {{hub + "gate_proj.weight", {inner, width}}, {hub + "up_proj.weight", {inner, width}}}),
            add(name + "down", ParamKind::matrix, {width, inner}, {{hub + "down_proj.weight", {width, inner}}})};
  }

  MoeParams moe(const std::string& name, const std::string& hub) {
    const int64_t width = c_.hidden_size, experts = c_.n_routed_experts, inner = c_.moe_intermediate_size;
    MoeParams p;
    p.gate = add(name + "gate", ParamKind::gate, {experts, width}, {{hub + "gate.weight", {experts, width}}});
    if (c_.topk_method == "noaux_tc")
      p.bias = add(name + "bias", ParamKind::buffer, {experts}, {{hub + "gate.e_score_correction_bias", {experts}}});
    std::vector<HubTensor> gate_up, down;
    for (int64_t e = 0; e < experts; ++e) {
      const std::string expert = hub + "experts." + std::to_string(e) + ".";
      gate_up.push_back({expert + "gate_proj.weight", {inner, width}});
      gate_up.push_back({expert + "up_proj.weight", {inner, width}});
      down.push_back({expert + "down_proj.weight", {width, inner}});
    }
    p.experts_gate_up = add(name + "experts_gate_up", ParamKind::matrix, {experts, 2 * inner, width}, gate_up);
    p.experts_down = add(name + "experts_down", ParamKind::matrix, {experts, width, inner}, down);
    if (c_.n_shared_experts > 0)
      p.shared = feed_forward(name + "shared_", hub + "shared_experts.", c_.n_shared_experts * inner);
    return p;
  }

  BlockParams block(int index) {
    const std::string name = "layer" + std::to_string(index) + ".";
    const std::string hub = "model.layers." + std::to_string(index) + ".";
    BlockParams p;
    p.input_norm = norm(name + "input_norm", hub + "input_layernorm.weight", c_.hidden_size);
    p.attention = attention(name + "attention_", hub + "self_attn.");
    p.post_norm = norm(name + "post_norm", hub + "post_attention_layernorm.weight", c_.hidden_size);
    p.is_moe = c_.is_moe_layer(index);
    if (p.is_moe) p.moe = moe(name + "moe_", hub + "mlp.");
    else p.dense = feed_forward(name + "dense_", hub + "mlp.", c_.intermediate_size);
    return p;
  }

  MtpParams mtp(int index) {
    const int64_t width = c_.hidden_size;
    const std::string name = "mtp" + std::to_string(index) + ".";
    const std::string hub = "model.layers." + std::to_string(index) + ".";
    MtpParams p;
    p.enorm = norm(name + "enorm", hub + "enorm.weight", width);
    p.hnorm = norm(name + "hnorm", hub + "hnorm.weight", width);
    p.projection = add(name + "projection", ParamKind::matrix, {width, 2 * width},
                       {{hub + "eh_proj.weight", {width, 2 * width}}});
    p.block = block(index);
    p.head_norm = norm(name + "head_norm", hub + "shared_head.norm.weight", width);
    return p;
  }

  const ModelConfig& c_;
  ParamTable table_;
};

// Splits a parameter's name into a random stream of its own (FNV-1a).
uint64_t stream_of(const std::string& name) {
  uint64_t h = 0xcbf29ce484222325;
  for (const char c : name) h = (h ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  return h;
}

}  // namespace

int64_t HubTensor::size() const { return product(shape); }
int64_t Param::size() const { return product(shape); }
int64_t ParamTable::total() const {
  int64_t n = 0;
  for (const Param& p : list) n += p.size();
  return n;
}

ParamTable make_param_table(const ModelConfig& config) {
  if (config.num_nextn_predict_layers > 1)
    fail(ErrorKind::unsupported, "model.num_nextn_predict_layers", "one MTP layer at most, not {}",
         config.num_nextn_predict_layers);
  return TableBuilder(config).build();
}

ParamStore::ParamStore(Device& device, const ParamTable& table, Options options)
    : device_(device), table_(table), options_(std::move(options)), offset_(table.list.size()) {
  CHECK(options_.mapped.empty() || !options_.training);
  for (const ParamId id : options_.mapped) {
    const Param& p = table_.list[id];
    CHECK(p.shape.size() == 3 && static_cast<int64_t>(p.hub.size()) % p.shape[0] == 0);
    mapped_[id] = {.experts = p.shape[0], .rows = p.shape[1], .cols = p.shape[2],
                   .parts = static_cast<int64_t>(p.hub.size()) / p.shape[0]};
  }
  for (int kind = 0; kind < 4; ++kind) {
    run_begin_[kind] = flat_size_;
    for (size_t id = 0; id < table_.list.size(); ++id) {
      if (static_cast<int>(table_.list[id].kind) != kind) continue;
      offset_[id] = flat_size_;
      if (mapped_.contains(static_cast<ParamId>(id))) continue;
      flat_size_ += (table_.list[id].size() + kAlign - 1) / kAlign * kAlign;
    }
  }
  run_begin_[4] = flat_size_;
  const size_t element = size_of(full());
  const bool copies = options_.storage == DType::bf16;  // matrices live apart from their masters
  const int64_t matrices = run_begin_[1];
  // Serving in bf16 needs no masters of the matrices: the arrays then begin after them.
  const auto take = [&](Buffer& buffer, size_t bytes) {
    buffer = Buffer(device_, device_.planning ? 1 : std::max<size_t>(1, bytes));
    return bytes;
  };
  sizes_.master = take(master_, static_cast<size_t>(flat_size_ - (copies && !options_.training ? matrices : 0)) * element);
  if (copies) sizes_.weights = take(weight_, static_cast<size_t>(matrices) * size_of(DType::bf16));
  if (options_.training) {
    sizes_.gradients = take(grad_, static_cast<size_t>(run_begin_[3]) * element);
    for (Buffer* b : {&m_, &v_}) sizes_.moments += take(*b, static_cast<size_t>(run_begin_[3]) * element);
  }
  touched_.assign(table_.list.size(), false);
}

Tensor ParamStore::slice(const Buffer& buffer, DType dtype, ParamId id, int64_t origin) const {
  const Param& p = table_.list[id];
  CHECK(buffer.data());
  char* at = static_cast<char*>(buffer.data()) + (offset_[id] - origin) * static_cast<int64_t>(size_of(dtype));
  const auto& s = p.shape;
  if (s.size() == 1) return Tensor(at, dtype, {s[0]});
  if (s.size() == 2) return Tensor(at, dtype, {s[0], s[1]});
  return Tensor(at, dtype, {s[0], s[1], s[2]});
}

ops::MappedExperts* ParamStore::mapped(ParamId id) {
  const auto found = mapped_.find(id);
  return found == mapped_.end() ? nullptr : &found->second;
}

Tensor ParamStore::weight(ParamId id) const {
  if (mapped_.contains(id)) return {};
  const bool matrix = table_.list[id].kind == ParamKind::matrix;
  if (matrix && options_.storage == DType::bf16) return slice(weight_, DType::bf16, id, 0);
  return master(id);
}

Tensor ParamStore::master(ParamId id) const {
  const bool serving_bf16 = options_.storage == DType::bf16 && !options_.training;
  CHECK(!(serving_bf16 && table_.list[id].kind == ParamKind::matrix));
  return slice(master_, full(), id, serving_bf16 ? run_begin_[1] : 0);
}

Tensor ParamStore::stored(ParamId id) const {
  CHECK(!mapped_.contains(id));
  return options_.storage == DType::bf16 && !options_.training ? weight(id) : master(id);
}

Tensor ParamStore::grad(ParamId id) const { return slice(grad_, full(), id, 0); }

std::vector<ParamStore::Run> ParamStore::optimizer_runs() const {
  std::vector<Run> runs;
  for (const ParamKind kind : {ParamKind::matrix, ParamKind::gate, ParamKind::vector}) {
    const int64_t begin = run_begin_[static_cast<int>(kind)], end = run_begin_[static_cast<int>(kind) + 1];
    if (begin == end) continue;
    const auto part = [&](const Buffer& b) { return Tensor(b.data(), full(), {flat_size_}).rows(begin, end); };
    Tensor param;
    if (kind == ParamKind::matrix && options_.storage == DType::bf16) param = Tensor(weight_.data(), DType::bf16, {end});
    runs.push_back({kind, part(master_), part(m_), part(v_), part(grad_), param});
  }
  return runs;
}

bool ParamStore::accumulate(ParamId id) {
  const bool before = touched_[id];
  touched_[id] = true;
  return before;
}

void ParamStore::finish_gradients() {
  for (size_t id = 0; id < table_.list.size(); ++id)
    if (!touched_[id] && table_.list[id].kind != ParamKind::buffer) {
      const Tensor g = grad(static_cast<ParamId>(id));
      device_.zero(g.data, static_cast<size_t>(g.bytes()));
    }
}

void ParamStore::initialize(uint64_t seed, double range) {
  std::vector<double> values;
  for (size_t id = 0; id < table_.list.size(); ++id) {
    const Param& p = table_.list[id];
    values.assign(static_cast<size_t>(p.size()), p.ones ? 1.0 : 0.0);
    Rng rng(seed, stream_of(p.name));
    if (p.kind == ParamKind::matrix || p.kind == ParamKind::gate)
      for (double& v : values) v = range * rng.normal();
    write(static_cast<ParamId>(id), 0, values.data(), p.size());
  }
  refresh();
}

namespace {

// Elements of one type as doubles and back, through host memory.
template <class T>
void put(Device& device, const Tensor& t, int64_t offset, const double* values, int64_t n) {
  std::vector<T> host(static_cast<size_t>(n));
  for (int64_t i = 0; i < n; ++i) {
    if constexpr (std::is_same_v<T, bf16>) host[i] = bf16(static_cast<float>(values[i]));
    else host[i] = T(values[i]);
  }
  device.upload(static_cast<T*>(t.data) + offset, host.data(), host.size() * sizeof(T));
  device.synchronize();
}

template <class T>
void get(Device& device, const Tensor& t, int64_t offset, double* values, int64_t n) {
  std::vector<T> host(static_cast<size_t>(n));
  device.download(host.data(), static_cast<const T*>(t.data) + offset, host.size() * sizeof(T));
  for (int64_t i = 0; i < n; ++i) {
    if constexpr (std::is_same_v<T, std::complex<double>>) values[i] = host[i].real();
    else values[i] = static_cast<double>(static_cast<std::conditional_t<std::is_same_v<T, bf16>, float, T>>(host[i]));
  }
}

}  // namespace

void ParamStore::write(ParamId id, int64_t offset, const double* values, int64_t n) {
  CHECK(offset >= 0 && offset + n <= table_.list[id].size());
  const Tensor t = stored(id);
  switch (t.dtype) {
    case DType::f32: return put<float>(device_, t, offset, values, n);
    case DType::bf16: return put<bf16>(device_, t, offset, values, n);
    case DType::f64: return put<double>(device_, t, offset, values, n);
    case DType::c128: return put<std::complex<double>>(device_, t, offset, values, n);
    default: CHECK(false);
  }
}

void ParamStore::read(ParamId id, int64_t offset, double* values, int64_t n) const {
  CHECK(offset >= 0 && offset + n <= table_.list[id].size());
  const Tensor t = stored(id);
  switch (t.dtype) {
    case DType::f32: return get<float>(device_, t, offset, values, n);
    case DType::bf16: return get<bf16>(device_, t, offset, values, n);
    case DType::f64: return get<double>(device_, t, offset, values, n);
    case DType::c128: return get<std::complex<double>>(device_, t, offset, values, n);
    default: CHECK(false);
  }
}

void ParamStore::refresh() {
  if (options_.storage != DType::bf16 || !options_.training) return;
  std::vector<double> values;
  for (size_t id = 0; id < table_.list.size(); ++id) {
    const Param& p = table_.list[id];
    if (p.kind != ParamKind::matrix) continue;
    values.resize(static_cast<size_t>(p.size()));
    read(static_cast<ParamId>(id), 0, values.data(), p.size());
    put<bf16>(device_, weight(static_cast<ParamId>(id)), 0, values.data(), p.size());
  }
}

Tensor ParamStore::flat(const char* name) const {
  const std::string_view n = name;
  if (n == "master") return Tensor(master_.data(), full(), {flat_size_});
  const Buffer& b = n == "m" ? m_ : n == "v" ? v_ : grad_;
  return Tensor(b.data(), full(), {run_begin_[3]});
}

}  // namespace ballast
