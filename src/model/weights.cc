#include "model/weights.h"

#include <algorithm>
#include <array>

#include "base/file.h"
#include "base/json.h"
#include "formats/fp8_blocks.h"
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

ModelConfig read_model_config(const fs::path& folder, const Checkpoint& files) {
  ModelConfig config = read_model_config(folder);
  const auto is_there = [&](int layer) {
    const std::string prefix = "model.layers." + std::to_string(layer) + ".";
    const auto first = std::ranges::lower_bound(files.names(), prefix);
    return first != files.names().end() && first->starts_with(prefix);
  };
  while (config.num_nextn_predict_layers > 0 && !is_there(config.total_layers() - 1)) --config.num_nextn_predict_layers;
  return config;
}

std::string scale_name(const std::string& name) { return name + "_scale_inv"; }

namespace {

std::string place_of(const Checkpoint& checkpoint, const std::string& name) {
  return checkpoint.file_of(name).string() + ": tensor '" + name + "'";
}

void expect_shape(const Checkpoint& checkpoint, const std::string& name, std::span<const int64_t> shape) {
  const FileTensor& tensor = checkpoint.at(name);
  if (!std::equal(shape.begin(), shape.end(), tensor.shape.begin(), tensor.shape.end()))
    fail(ErrorKind::shape, place_of(checkpoint, name), "expected shape {}, found {}", shape_text(shape),
         shape_text(tensor.shape));
}

// Of a tensor in FP8.
std::vector<float> read_scales(const Checkpoint& checkpoint, const std::string& name, std::span<const int64_t> shape) {
  if (shape.size() != 2)
    fail(ErrorKind::shape, place_of(checkpoint, name), "is F8_E4M3 with {} axes; only matrices can be", shape.size());
  if (!checkpoint.contains(scale_name(name)))
    fail(ErrorKind::format, place_of(checkpoint, name), "is F8_E4M3, but its scales '{}' are not there",
         scale_name(name));
  const Fp8Shape matrix{shape[0], shape[1]};
  std::vector<float> scales(static_cast<size_t>(matrix.blocks()));
  checkpoint.read(scale_name(name), std::array{matrix.block_rows(), matrix.block_cols()}, std::span<float>(scales));
  return scales;
}

}  // namespace

template <class T>
void read_weight(const Checkpoint& checkpoint, const std::string& name, std::span<const int64_t> shape,
                 std::span<T> out) {
  const FileTensor& tensor = checkpoint.at(name);
  if (tensor.dtype != FileDType::f8_e4m3) return checkpoint.read(name, shape, out);
  expect_shape(checkpoint, name, shape);
  const std::vector<float> scales = read_scales(checkpoint, name, shape);
  dequantize_fp8<T>({shape[0], shape[1]}, tensor.bytes, scales, 0, shape[0], out);
}
template void read_weight(const Checkpoint&, const std::string&, std::span<const int64_t>, std::span<float>);
template void read_weight(const Checkpoint&, const std::string&, std::span<const int64_t>, std::span<double>);
template void read_weight(const Checkpoint&, const std::string&, std::span<const int64_t>, std::span<bf16>);

namespace {

// To where the layers read it, or, on a device whose memory is not the host's and in types that no file has, through a
// copy.
void load_tensor(ParamStore& params, ParamId id, const HubTensor& t, const Checkpoint& checkpoint) {
  const Tensor to = params.stored(id);
  const auto size = static_cast<size_t>(t.size());
  const auto direct = [&]<class T>() {
    read_weight(checkpoint, t.name, t.shape, std::span<T>(to.as<T>() + t.offset, size));
  };
  if (params.device().kind != DeviceKind::cuda) {
    if (to.dtype == DType::f32) return direct.operator()<float>();
    if (to.dtype == DType::bf16) return direct.operator()<bf16>();
    if (to.dtype == DType::f64) return direct.operator()<double>();
  }
  std::vector<double> values(size);
  read_weight(checkpoint, t.name, t.shape, std::span<double>(values));
  params.write(id, t.offset, values.data(), t.size());
}

// Nothing is read but the scales.
void map_experts(ops::MappedExperts& experts, const Param& param, const Checkpoint& checkpoint) {
  experts.matrices.clear();
  for (const HubTensor& t : param.hub) {
    const FileTensor& tensor = checkpoint.at(t.name);
    expect_shape(checkpoint, t.name, t.shape);
    ops::MappedMatrix matrix{.data = tensor.bytes.data()};
    if (tensor.dtype == FileDType::f8_e4m3) matrix.scales = read_scales(checkpoint, t.name, t.shape);
    experts.matrices.push_back(std::move(matrix));
  }
}

bool mappable(const Param& param, const Checkpoint& checkpoint) {
  return param.shape.size() == 3 && std::ranges::all_of(param.hub, [&](const HubTensor& t) {
    const FileTensor* tensor = checkpoint.find(t.name);
    if (!tensor) return true;  // what is missing is said when it is loaded
    if (tensor->dtype == FileDType::f8_e4m3) return true;
    return tensor->dtype == FileDType::bf16 && reinterpret_cast<uintptr_t>(tensor->bytes.data()) % alignof(bf16) == 0;
  });
}

}  // namespace

std::vector<ParamId> mappable_experts(const ParamTable& table, const Checkpoint& checkpoint) {
  std::vector<ParamId> ids;
  for (size_t id = 0; id < table.list.size(); ++id)
    if (mappable(table.list[id], checkpoint)) ids.push_back(static_cast<ParamId>(id));
  return ids;
}

void load_weights(ParamStore& params, const Checkpoint& checkpoint) {
  const auto& list = params.table().list;
  for (size_t i = 0; i < list.size(); ++i) {
    const auto id = static_cast<ParamId>(i);
    if (ops::MappedExperts* experts = params.mapped(id)) {
      map_experts(*experts, list[i], checkpoint);
      continue;
    }
    for (const HubTensor& t : list[i].hub) load_tensor(params, id, t, checkpoint);
  }
  params.refresh();
  params.set_origin(checkpoint.path());
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
