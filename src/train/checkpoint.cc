#include "train/checkpoint.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "base/checksums.h"
#include "base/file.h"
#include "formats/safetensors_writer.h"
#include "model/weights.h"

namespace ballast {
namespace fs = std::filesystem;
namespace {

constexpr int kFormat = 1;
constexpr std::string_view kPartial = ".partial-";
constexpr int64_t kChunk = 1 << 20;  // elements copied to the host at a time

void write_moments(const fs::path& file, const ParamStore& params) {
  const std::vector<const char*> names{"m", "v"};
  std::vector<TensorSpec> specs;
  for (const char* name : names) specs.push_back({name, FileDType::f32, {params.flat(name)[0]}});
  std::vector<float> chunk;
  write_safetensors(file, specs, [&](size_t index, const TensorSink& sink) {
    const Tensor t = params.flat(names[index]);
    CHECK(t.dtype == DType::f32);
    for (int64_t at = 0; at < t[0]; at += kChunk) {
      chunk.resize(static_cast<size_t>(std::min(kChunk, t[0] - at)));
      params.device().download(chunk.data(), t.as<float>() + at, chunk.size() * sizeof(float));
      sink(std::as_bytes(std::span<const float>(chunk)));
    }
  });
}

void read_moments(const fs::path& file, ParamStore& params) {
  const Checkpoint moments = Checkpoint::open(file);
  for (const char* name : {"m", "v"}) {
    const Tensor t = params.flat(name);
    std::vector<float> values(static_cast<size_t>(t[0]));
    const int64_t shape[] = {t[0]};
    moments.read(name, shape, std::span<float>(values));
    params.device().upload(t.data, values.data(), values.size() * sizeof(float));
    params.device().synchronize();
  }
}

std::vector<fs::path> complete(const fs::path& checkpoints) {
  std::vector<fs::path> list;
  if (!fs::is_directory(checkpoints)) return list;
  for (const auto& entry : fs::directory_iterator(checkpoints))
    if (entry.is_directory() && entry.path().filename().string().starts_with("step-")) list.push_back(entry.path());
  const auto key = [](const fs::path& p) { return std::pair(p.native().size(), p.native()); };  // a million has 7 digits
  std::sort(list.begin(), list.end(), [&](const fs::path& a, const fs::path& b) { return key(a) < key(b); });
  return list;
}

}  // namespace

std::string checkpoint_name(int64_t step) { return fmt::format("step-{:06}", step); }

void save_checkpoint(const fs::path& checkpoints, const std::string& name, const ParamStore& params,
                     const ModelConfig& config, const std::string& tokenizer, const Json& state,
                     const std::function<void(const fs::path& trainer)>& more) {
  const fs::path partial = checkpoints / (std::string(kPartial) + name), final = checkpoints / name;
  fs::remove_all(partial);
  fs::create_directories(partial / "trainer");
  try {
    save_weights(params, config, partial, {.dtype = DType::f32});
    if (!tokenizer.empty()) write_file_atomic(partial / "tokenizer.json", tokenizer);
    write_moments(partial / "trainer" / "moments.safetensors", params);
    more(partial / "trainer");
    Json whole = state;
    whole["format"] = kFormat;
    write_file_atomic(partial / "trainer" / "state.json", whole.dump(1) + "\n");
    write_checksums(partial);
    discard_folder(final);
    fs::rename(partial, final);
  } catch (...) {
    std::error_code ignored;
    fs::remove_all(partial, ignored);
    throw;
  }
  sync_folder(checkpoints);
}

Json read_checkpoint_state(const fs::path& checkpoint) {
  const fs::path file = checkpoint / "trainer" / "state.json";
  if (!fs::exists(file)) fail(ErrorKind::file, checkpoint.string(), "has no trainer/state.json: weights to start from, not a run to resume (use --init-from)");
  verify_checksums(checkpoint);
  Json state = Json::read(file);
  const int64_t format = state.at("format", file.string()).as_int(file.string());
  if (format > kFormat)
    fail(ErrorKind::unsupported, file.string(), "format {} is newer than this program's {}", format, kFormat);
  return state;
}

void load_checkpoint(const fs::path& checkpoint, ParamStore& params) {
  load_weights(params, Checkpoint::open(checkpoint));
  read_moments(checkpoint / "trainer" / "moments.safetensors", params);
}

std::optional<fs::path> latest_checkpoint(const fs::path& checkpoints) {
  const auto list = complete(checkpoints);
  if (list.empty()) return {};
  return list.back();
}

void remove_leftovers(const fs::path& checkpoints) {
  if (!fs::is_directory(checkpoints)) return;
  std::vector<fs::path> left;
  for (const auto& entry : fs::directory_iterator(checkpoints)) {
    const std::string name = entry.path().filename().string();
    // A folder that was being written, or a file: AtomicFile's name for it until it is whole.
    if (name.starts_with(kPartial) || name.find(".tmp-") != std::string::npos) left.push_back(entry.path());
  }
  for (const auto& p : left) fs::remove_all(p);
}

void prune_checkpoints(const fs::path& checkpoints, int64_t keep, const std::string& best) {
  const auto list = complete(checkpoints);
  for (size_t i = 0; i + static_cast<size_t>(keep) < list.size(); ++i)
    if (list[i].filename() != best) discard_folder(list[i]);
}

void discard_folder(const fs::path& folder) {
  if (!fs::exists(folder)) return;
  const fs::path doomed = folder.parent_path() / (std::string(kPartial) + "old-" + folder.filename().string());
  fs::remove_all(doomed);
  fs::rename(folder, doomed);
  fs::remove_all(doomed);
}

void mark_best(const fs::path& checkpoints, const std::string& name, double val_loss) {
  Json best = Json::object();
  best["format"] = kFormat;
  best["name"] = name;
  best["val_loss"] = val_loss;
  write_file_atomic(checkpoints / "best.json", best.dump(1) + "\n");
}

}  // namespace ballast
