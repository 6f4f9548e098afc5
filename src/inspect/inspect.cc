#include "inspect/inspect.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <vector>

#include "base/error.h"
#include "base/human.h"
#include "data/shards.h"
#include "model/params.h"
#include "model/roofline.h"
#include "model/weights.h"

namespace ballast {
namespace fs = std::filesystem;
namespace {

constexpr size_t kMostNamed = 8;

// The MTP layer's copies of the embedding and head in the hub's files, and the scales of FP8 weights.
bool is_companion(const std::string& name) {
  return name.ends_with("_scale_inv") ||
         (name.starts_with("model.layers.") &&
          (name.ends_with(".embed_tokens.weight") || name.ends_with(".shared_head.head.weight")));
}

std::string names_text(const char* title, const std::vector<std::string>& names) {
  if (names.empty()) return {};
  std::string text = fmt::format("{} {}\n", names.size(), title);
  for (size_t i = 0; i < std::min(names.size(), kMostNamed); ++i) text += "  " + names[i] + "\n";
  if (names.size() > kMostNamed) text += fmt::format("  and {} more\n", names.size() - kMostNamed);
  return text;
}

std::string shape_lines(const ModelConfig& c) {
  const ModelCounts n = count_parameters(c);
  const auto layers = c.moe_layers();
  const auto count = [](int64_t v) { return format_si(static_cast<double>(v)); };
  std::string text = fmt::format(
      "shape       hidden {}, {} layers ({} MoE, the {} MTP included), {} heads, vocabulary {}\n"
      "attention   latent {}, query latent {}, head {} + {} rotary, value {}, context {}\n"
      "experts     {} routed, top {}, {} of {} groups, {} shared, width {}; {} router, {}\n",
      c.hidden_size, c.total_layers(), layers.size(), c.num_nextn_predict_layers, c.num_attention_heads, c.vocab_size,
      c.kv_lora_rank, c.q_lora_rank ? std::to_string(*c.q_lora_rank) : "none", c.qk_nope_head_dim, c.qk_rope_head_dim,
      c.v_head_dim, c.max_position_embeddings, c.n_routed_experts, c.num_experts_per_tok, c.topk_group, c.n_group,
      c.n_shared_experts, c.moe_intermediate_size, c.scoring_func, c.topk_method);
  text += fmt::format("parameters  {} ({}), active per token {} ({})\n", count(n.total()), n.total(), count(n.active),
                      n.active);
  text += fmt::format(
      "            embedding {}, head {}, attention {}, dense {}, shared experts {}, routed experts {}, router {}, MTP "
      "{}\n",
      count(n.embedding), count(n.head), count(n.attention), count(n.dense_ffn), count(n.shared_experts),
      count(n.routed_experts), count(n.router), count(n.mtp));
  return text;
}

std::string bytes_lines(const ModelConfig& c, double weight_bytes) {
  const ByteModel m = byte_model(c, weight_bytes);
  return fmt::format(
      "decoding    {} per token at {:g} bytes a weight, routed experts {:.0f} % of it; cache {} per token\n",
      format_bytes(m.step_bytes(m.experts_read(1, m.top_k))), weight_bytes, 100 * m.routed_share(1),
      format_bytes(m.cache_per_token));
}

struct Found {
  std::map<std::string, int64_t> dtypes;  // tensors by type
  double bytes = 0;
  int64_t elements = 0;
};

Found count_tensors(const Checkpoint& checkpoint) {
  Found found;
  for (const std::string& name : checkpoint.names()) {
    const FileTensor& t = checkpoint.at(name);
    ++found.dtypes[name_of(t.dtype)];
    found.bytes += static_cast<double>(t.bytes.size());
    found.elements += t.elements();
  }
  return found;
}

std::string file_lines(const Checkpoint& checkpoint) {
  const Found found = count_tensors(checkpoint);
  std::set<fs::path> files;
  for (const std::string& name : checkpoint.names()) files.insert(checkpoint.file_of(name));
  std::string types;
  for (const auto& [type, n] : found.dtypes) types += fmt::format("{}{} {}", types.empty() ? "" : ", ", n, type);
  return fmt::format("weights     {} tensors in {} file{}, {}: {}\n", checkpoint.names().size(), files.size(),
                     files.size() == 1 ? "" : "s", format_bytes(found.bytes), types);
}

std::string tensor_list(const Checkpoint& checkpoint) {
  std::string text;
  for (const std::string& name : checkpoint.names()) {
    const FileTensor& t = checkpoint.at(name);
    text += fmt::format("  {:<64} {:<8} {}\n", name, name_of(t.dtype), shape_text(t.shape));
  }
  return text;
}

std::string comparison(const Checkpoint& checkpoint, const ParamTable& table) {
  std::vector<std::string> missing, shapes, unexpected, companions;
  std::set<std::string> known;
  for (const Param& p : table.list) {
    for (const HubTensor& t : p.hub) {
      known.insert(t.name);
      const FileTensor* found = checkpoint.find(t.name);
      if (!found) {
        missing.push_back(t.name);
      } else if (found->shape != t.shape) {
        shapes.push_back(
            fmt::format("{} is {}, the shape needs {}", t.name, shape_text(found->shape), shape_text(t.shape)));
      }
    }
  }
  for (const std::string& name : checkpoint.names())
    if (!known.count(name)) (is_companion(name) ? companions : unexpected).push_back(name);
  std::string text = names_text("missing:", missing) + names_text("of another shape:", shapes) +
                     names_text("not used:", unexpected) +
                     names_text("copies of the embedding and head, or scales of FP8 weights:", companions);
  if (missing.empty() && shapes.empty()) text = "tensors     all that the shape needs are there\n" + text;
  return text;
}

std::string bias_lines(const Checkpoint& checkpoint, const ModelConfig& c) {
  std::string text;
  for (const int layer : c.moe_layers()) {
    const std::string name = fmt::format("model.layers.{}.mlp.gate.e_score_correction_bias", layer);
    const FileTensor* t = checkpoint.find(name);
    if (!t || t->elements() == 0) continue;
    std::vector<double> bias(static_cast<size_t>(t->elements()));
    checkpoint.read(name, t->shape, std::span<double>(bias));
    double mean = 0, square = 0;
    for (const double b : bias) mean += b / static_cast<double>(bias.size());
    for (const double b : bias) square += (b - mean) * (b - mean) / static_cast<double>(bias.size());
    const auto [low, high] = std::minmax_element(bias.begin(), bias.end());
    text += fmt::format("  layer {:>3}  mean {:>9.5f}  deviation {:.5f}  from {:>9.5f} to {:>9.5f}\n", layer, mean,
                        std::sqrt(square), *low, *high);
  }
  return text.empty() ? text : "router bias\n" + text;
}

double mean_weight_bytes(const Checkpoint& checkpoint) {
  const Found found = count_tensors(checkpoint);
  return found.elements ? found.bytes / static_cast<double>(found.elements) : 2;
}

bool has_weights(const fs::path& folder) {
  return fs::exists(folder / "model.safetensors") || fs::exists(folder / "model.safetensors.index.json");
}

std::string model_text(const fs::path& folder, bool all) {
  const ModelConfig config = read_model_config(folder);
  std::string text = folder.string() + "\n" + shape_lines(config);
  if (!has_weights(folder)) return text + bytes_lines(config, 2) + "weights     none in this folder\n";
  const Checkpoint checkpoint = Checkpoint::open(folder);
  text += bytes_lines(config, std::round(mean_weight_bytes(checkpoint) * 2) / 2);
  text += file_lines(checkpoint) + comparison(checkpoint, make_param_table(config)) + bias_lines(checkpoint, config);
  return all ? text + tensor_list(checkpoint) : text;
}

std::string shard_text(const fs::path& file) {
  const ShardReader shard(file);
  const ShardHeader& h = shard.header();
  return fmt::format(
      "{}\nshard       {} part, {} documents, {} tokens, {} of text, {:.3f} bytes per token\n"
      "vocabulary  {} tokens, tokenizer {}\ncorpus      {}\nmiddle      filled in at rate {:g}, seed {}\n"
      "checksums   good\n",
      file.string(), h.split, shard.documents(), shard.tokens(), format_bytes(static_cast<double>(shard.text_bytes())),
      shard.tokens() ? static_cast<double>(shard.text_bytes()) / static_cast<double>(shard.tokens()) : 0.0,
      h.vocab_size, h.tokenizer_hash, h.corpus_hash, h.fim_rate, h.fim_seed);
}

}  // namespace

std::string inspect_text(const fs::path& path, bool all) {
  std::error_code error;
  const fs::file_status status = fs::status(path, error);
  if (!fs::exists(status)) fail(ErrorKind::file, path.string(), "no such file or folder");
  if (fs::is_directory(status)) return model_text(path, all);
  if (path.extension() == ".safetensors") {
    const Checkpoint checkpoint = Checkpoint::open(path);
    return path.string() + "\n" + file_lines(checkpoint) + tensor_list(checkpoint);
  }
  if (path.extension() == ".json") {
    const ModelConfig config = read_model_config(path);
    return path.string() + "\n" + shape_lines(config) + bytes_lines(config, 2);
  }
  if (path.extension() == ".shard") return shard_text(path);
  fail(ErrorKind::usage, path.string(), "neither a folder nor a .safetensors, .json or .shard file");
}

}  // namespace ballast
