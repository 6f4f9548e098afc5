#include "infer/load.h"

#include <algorithm>

#include "base/checksums.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/progress.h"
#include "infer/finite.h"
#include "model/weights.h"
#include "tokenizer/tokenizer_json.h"

namespace ballast {
namespace fs = std::filesystem;

const Tokenizer& OpenedModel::tokenizer() const {
  if (!optional_tokenizer) {
    find_tokenizer_json(folder);  // says so where the folder has a vocabulary of another kind
    fail(ErrorKind::file, folder.string(), "no tokenizer.json: text cannot be turned into tokens");
  }
  return *optional_tokenizer;
}

OpenedModel open_model(const fs::path& folder) {
  // The small files first, so that what is wrong with them is said before the weights are looked at.
  const ModelConfig config = read_model_config(folder);
  std::optional<Tokenizer> tokenizer;
  if (const fs::path file = folder / "tokenizer.json"; fs::exists(file)) {
    tokenizer = Tokenizer::load(file);
    if (tokenizer->vocab_size() > config.vocab_size)
      fail(ErrorKind::format, file.string(), "{} tokens, but the model's vocab_size is {}: they do not belong together",
           tokenizer->vocab_size(), config.vocab_size);
  }
  verify_checksums(folder);  // where it is a checkpoint of ours
  Checkpoint files = Checkpoint::open(folder);
  ModelConfig present = read_model_config(folder, files);
  if (const int left_out = config.num_nextn_predict_layers - present.num_nextn_predict_layers)
    log_info("{}: without {} of the {} MTP layers that config.json names: they are not in the files", folder.string(),
             left_out, config.num_nextn_predict_layers);
  return {folder, std::move(present), std::move(files), std::move(tokenizer)};
}

void check_positions(const ModelConfig& config, int64_t positions, const std::string& key, const std::string& what) {
  if (positions > config.max_position_embeddings)
    fail(ErrorKind::usage, key, "{} exceed the model's context of {} tokens (max_position_embeddings)", what,
         config.max_position_embeddings);
}

ParamStore::Options serving_options(const OpenedModel& model, const Device& device, DType storage) {
  ParamStore::Options options{.storage = storage};
  if (device.kind != DeviceKind::cuda) options.mapped = mappable_experts(make_param_table(model.config), model.files);
  return options;
}

namespace {

// Sooner or later every expert runs. Where all find room, their files are read once and in order: page by page and in the
// order of use it takes many times as long, and the first tokens' speed would be the disk's.
void read_experts_ahead(ParamStore& params) {
  std::vector<std::span<const std::byte>> matrices;
  int64_t total = 0, done = 0;
  for (size_t id = 0; id < params.table().list.size(); ++id)
    if (const ops::MappedExperts* experts = params.mapped(static_cast<ParamId>(id)))
      for (const ops::MappedMatrix& m : experts->matrices) {
        matrices.emplace_back(static_cast<const std::byte*>(m.data), static_cast<size_t>(experts->matrix_bytes(m)));
        total += std::ssize(matrices.back());
      }
  constexpr int64_t kWorthwhile = int64_t{256} << 20;
  if (total < kWorthwhile || total > available_memory().resident) return;
  std::ranges::sort(matrices, {}, [](const auto& m) { return m.data(); });
  Progress progress("experts", total >> 20, "MiB");
  for (const auto& m : matrices) {
    read_ahead(m);
    progress.update((done += std::ssize(m)) >> 20);
  }
  progress.finish();
}

}  // namespace

LoadedModel load_model(OpenedModel opened, Device& device, DType storage) {
  LoadedModel m{std::move(opened), nullptr, nullptr};
  m.params = std::make_unique<ParamStore>(device, make_param_table(m.config), serving_options(m, device, storage));
  load_weights(*m.params, m.files);
  check_router_biases(*m.params);
  read_experts_ahead(*m.params);
  m.model = std::make_unique<Model>(m.config, *m.params);
  return m;
}

LoadedModel load_model(const fs::path& folder, Device& device, DType storage) {
  return load_model(open_model(folder), device, storage);
}

}  // namespace ballast
