#include "model/weights.h"

#include "base/file.h"
#include "base/json.h"
#include "formats/safetensors_writer.h"

namespace ballast {
namespace fs = std::filesystem;

ModelConfig read_model_config(const fs::path& folder_or_file) {
  std::error_code error;
  const fs::file_status status = fs::status(folder_or_file, error);
  if (!fs::exists(status)) fail(ErrorKind::file, folder_or_file.string(), "no such file or folder");
  const fs::path file = fs::is_directory(status) ? folder_or_file / "config.json" : folder_or_file;
  if (!fs::exists(file, error))
    fail(ErrorKind::file, folder_or_file.string(), "not a model folder: no config.json (a model folder also holds "
         "model.safetensors or model.safetensors.index.json, and tokenizer.json)");
  ModelConfig config = parse_hf_config(Json::read(file), file.string());
  validate(config, file.string());
  return config;
}

void load_weights(ParamStore& params, const Checkpoint& checkpoint) {
  std::vector<double> values;
  const auto& list = params.table().list;
  for (size_t id = 0; id < list.size(); ++id) {
    for (const HubTensor& t : list[id].hub) {
      values.resize(static_cast<size_t>(t.size()));
      checkpoint.read(t.name, t.shape, std::span<double>(values));
      params.write(static_cast<ParamId>(id), t.offset, values.data(), t.size());
    }
  }
  params.refresh();
}

void save_weights(const ParamStore& params, const ModelConfig& config, const fs::path& folder,
                  const SaveOptions& options) {
  fs::create_directories(folder);
  struct Place {
    ParamId id;
    const HubTensor* tensor;
    bool half;
  };
  std::vector<Place> places;
  std::vector<TensorSpec> specs;
  const auto& list = params.table().list;
  for (size_t id = 0; id < list.size(); ++id) {
    const bool half = options.dtype == DType::bf16 && list[id].kind == ParamKind::matrix;
    for (const HubTensor& t : list[id].hub) {
      places.push_back({static_cast<ParamId>(id), &t, half});
      specs.push_back({t.name, half ? FileDType::bf16 : FileDType::f32, t.shape});
    }
  }
  std::vector<double> wide;
  write_model_folder(
      folder, specs,
      [&](size_t index, const TensorSink& sink) {
        const Place& p = places[index];
        const int64_t n = p.tensor->size();
        wide.resize(static_cast<size_t>(n));
        params.read(p.id, p.tensor->offset, wide.data(), n);
        if (p.half) {
          std::vector<bf16> out(static_cast<size_t>(n));
          for (int64_t i = 0; i < n; ++i) out[i] = bf16(static_cast<float>(wide[i]));
          sink(std::as_bytes(std::span<const bf16>(out)));
        } else {
          const std::vector<float> out(wide.begin(), wide.end());
          sink(std::as_bytes(std::span<const float>(out)));
        }
      },
      options.max_shard_bytes);
  write_file_atomic(folder / "config.json",
                    to_hf_config(config, options.dtype == DType::bf16 ? "bfloat16" : "float32").dump(2) + "\n");
}

}  // namespace ballast
