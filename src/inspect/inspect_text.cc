#include <fmt/format.h>

#include <algorithm>

#include "base/human.h"
#include "base/utf8.h"
#include "inspect/inspect.h"

namespace ballast {
namespace {

constexpr size_t kMostNamed = 8;

int64_t whole(const Json& json, const char* key) { return json.at(key).as_int(); }
double number(const Json& json, const char* key) { return json.at(key).as_double(); }
const std::string& text_of(const Json& json, const char* key) { return json.at(key).as_string(); }
std::string count(const Json& json, const char* key) { return format_si(number(json, key)); }
std::string bytes(const Json& json, const char* key) { return format_bytes(number(json, key)); }

std::string names_text(const char* title, const Json::Array& names) {
  if (names.empty()) return {};
  std::string text = fmt::format("{} {}\n", names.size(), title);
  for (size_t i = 0; i < std::min(names.size(), kMostNamed); ++i) text += "  " + printable(names[i].as_string()) + "\n";
  if (names.size() > kMostNamed) text += fmt::format("  and {} more (--json names all)\n", names.size() - kMostNamed);
  return text;
}

std::string shape_lines(const Json& s) {
  const Json& q = s.at("q_lora_rank");
  return fmt::format(
      "shape       {}: hidden {}, {} layers ({} MoE, the {} MTP included), {} heads, vocabulary {}\n"
      "attention   latent {}, query latent {}, head {} + {} rotary, value {}, context {}\n"
      "experts     {} routed, top {}, {} of {} groups, {} shared, width {}; {} router, {}\n",
      text_of(s, "family"), whole(s, "hidden_size"), whole(s, "layers"), whole(s, "moe_layers"),
      whole(s, "num_nextn_predict_layers"), whole(s, "num_attention_heads"), whole(s, "vocab_size"),
      whole(s, "kv_lora_rank"), q.is_null() ? "none" : std::to_string(q.as_int()), whole(s, "qk_nope_head_dim"),
      whole(s, "qk_rope_head_dim"), whole(s, "v_head_dim"), whole(s, "max_position_embeddings"),
      whole(s, "n_routed_experts"), whole(s, "num_experts_per_tok"), whole(s, "topk_group"), whole(s, "n_group"),
      whole(s, "n_shared_experts"), whole(s, "moe_intermediate_size"), text_of(s, "scoring_func"),
      text_of(s, "topk_method"));
}

std::string parameter_lines(const Json& n) {
  return fmt::format("parameters  {} ({}), active per token {} ({})\n", count(n, "total"), whole(n, "total"),
                     count(n, "active"), whole(n, "active")) +
         fmt::format(
             "            embedding {}, head {}, attention {}, dense {}, shared experts {}, routed experts {}, "
             "router {}, MTP {}\n",
             count(n, "embedding"), count(n, "head"), count(n, "attention"), count(n, "dense_ffn"),
             count(n, "shared_experts"), count(n, "routed_experts"), count(n, "router"), count(n, "mtp"));
}

std::string memory_lines(const Json& decoding, const Json& memory) {
  const Json &train = memory.at("train"), &serve = memory.at("serve");
  std::string text = fmt::format(
      "decoding    {} per token at {:g} bytes a weight, routed experts {:.0f} % of it; cache {} per token\n",
      bytes(decoding, "per_token"), number(decoding, "weight_bytes"), 100 * number(decoding, "routed_share"),
      bytes(decoding, "cache_per_token"));
  text += fmt::format("to serve    {} of weights in bf16, {} in f32", bytes(serve, "bf16"), bytes(serve, "f32"));
  if (serve.find("as_stored")) text += fmt::format(", {} as stored", bytes(serve, "as_stored"));
  text += fmt::format("; cache of a full context {}\n", bytes(memory, "cache_of_full_context"));
  for (const char* dtype : {"bf16", "f32"}) {
    const Json& t = train.at(dtype);
    text += fmt::format("{:<11} {} in {}: weights {}, masters {}, gradients {}, moments {}; activations come on top\n",
                        dtype == std::string_view("bf16") ? "to train" : "", bytes(t, "total"), dtype,
                        bytes(t, "weights"), bytes(t, "master"), bytes(t, "gradients"), bytes(t, "moments"));
  }
  return text;
}

std::string weight_line(const Json& w) {
  std::string types;
  for (const auto& [type, n] : w.at("dtypes").as_object())
    types += fmt::format("{}{} {}", types.empty() ? "" : ", ", n.as_int(), type);
  const int64_t files = whole(w, "files");
  return fmt::format("weights     {} tensors in {} file{}, {}: {}\n", whole(w, "tensors"), files, files == 1 ? "" : "s",
                     bytes(w, "bytes"), types);
}

std::string tensor_lines(const Json& t) {
  const auto& missing = t.at("missing").as_array();
  const auto& shapes = t.at("of_another_shape").as_array();
  std::string text;
  if (missing.empty() && shapes.empty()) text += "tensors     all that the shape needs are there\n";
  if (const int64_t n = whole(t, "mtp_layers_left_out"))
    text += fmt::format("MTP         {} layer{} that config.json names: not in the files, served without\n", n,
                        n == 1 ? "" : "s");
  return text + names_text("missing:", missing) + names_text("of another shape:", shapes) +
         names_text("unexpected, not used:", t.at("unexpected").as_array()) +
         names_text("copies of the embedding and head:", t.at("copies_of_embedding_and_head").as_array());
}

std::string fp8_lines(const Json& f) {
  return fmt::format("FP8         {} tensors, {} codes, {} scales from {:.3g} to {:.3g}, {} degenerate\n",
                     whole(f, "tensors"), count(f, "codes"), whole(f, "scales"), number(f, "smallest_scale"),
                     number(f, "largest_scale"), whole(f, "degenerate_scales")) +
         names_text("FP8 tensors that cannot be decoded well:", f.at("bad").as_array());
}

std::string router_lines(const Json::Array& routers) {
  if (routers.empty()) return {};
  std::string text = "routers     rows of the gate: 2-norm; bias\n";
  for (const Json& r : routers) {
    text += fmt::format("  layer {:>3} ", whole(r, "layer"));
    if (const Json* g = r.find("gate"); g && !g->find("row_norm_min"))
      text += fmt::format(" {} cannot be decoded", text_of(*g, "dtype"));
    else if (g)
      text += fmt::format(" {} {:.4g} to {:.4g}, mean {:.4g}", text_of(*g, "dtype"), number(*g, "row_norm_min"),
                          number(*g, "row_norm_max"), number(*g, "row_norm_mean"));
    else
      text += " no gate";
    if (const Json* b = r.find("bias"))
      text += fmt::format("; {} {:.5f} to {:.5f}, mean {:.5f}, deviation {:.5f}", text_of(*b, "dtype"),
                          number(*b, "min"), number(*b, "max"), number(*b, "mean"), number(*b, "deviation"));
    text += "\n";
  }
  return text;
}

std::string list_lines(const Json::Array& list) {
  std::string text;
  for (const Json& t : list) {
    std::string shape;
    for (const Json& n : t.at("shape").as_array()) shape += (shape.empty() ? "" : ", ") + std::to_string(n.as_int());
    text += fmt::format("  {:<64} {:<8} ({})\n", printable(text_of(t, "name")), text_of(t, "dtype"), shape);
  }
  return text;
}

std::string shard_lines(const Json& s) {
  const double tokens = number(s, "tokens");
  return fmt::format(
      "shard       {} part, {} documents{}, {} tokens, {} of text, {:.3f} bytes per token\n"
      "vocabulary  {} tokens, tokenizer {}\ncorpus      {}\nmiddle      filled in at rate {:g}, seed {}\n"
      "checksums   good\n",
      text_of(s, "split"), whole(s, "documents"), s.at("repo_context").as_bool() ? " of whole repositories" : "",
      whole(s, "tokens"), bytes(s, "text_bytes"), tokens > 0 ? number(s, "text_bytes") / tokens : 0.0,
      whole(s, "vocab_size"), text_of(s, "tokenizer_hash"), text_of(s, "corpus_hash"), number(s, "fim_rate"),
      whole(s, "fim_seed"));
}

}  // namespace

std::string inspect_text(const Json& found) {
  std::string text = printable(text_of(found, "path")) + "\n";
  if (const Json* shard = found.find("shard")) return text + shard_lines(*shard);
  if (const Json* shape = found.find("shape"))
    text += shape_lines(*shape) + parameter_lines(found.at("parameters")) +
            memory_lines(found.at("decoding"), found.at("memory"));
  if (const Json* weights = found.find("weights"))
    text += weight_line(*weights);
  else if (const Json* files = found.find("files_without_index"))
    text +=
        "weights     not to be opened: model.safetensors.index.json, which says what is in which file, is not here\n" +
        names_text("safetensors:", files->as_array());
  else if (found.find("shape"))
    text += "weights     none here\n";
  if (const Json* fp8 = found.find("fp8")) text += fp8_lines(*fp8);
  if (const Json* tensors = found.find("tensors")) text += tensor_lines(*tensors);
  if (const Json* routers = found.find("routers")) text += router_lines(routers->as_array());
  if (const Json* list = found.find("list")) text += list_lines(list->as_array());
  return text;
}

}  // namespace ballast
