// A run's folder: run/<name>/{config.toml, metrics.jsonl, loads.npy, events.out.tfevents.*, checkpoints/, report.html}.
// Every growing file can be cut back to what a checkpoint recorded, so that a resumed run's files equal an uninterrupted
// run's but for the time fields.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/jsonl.h"
#include "formats/npy.h"
#include "formats/tfevents.h"
#include "train/load_statistics.h"

namespace ballast {

// How far the growing files had come.
struct RunPosition {
  uint64_t metrics = 0, events = 0;  // bytes
  int64_t loads = 0;                 // rows
};

class RunFolder {
 public:
  // Creates the folder, or reopens it cut back to `resume_at`. Holds a lock as long as it lives: Error{file} where another
  // process writes there.
  RunFolder(std::filesystem::path path, int64_t moe_layers, int64_t experts, std::optional<RunPosition> resume_at);
  ~RunFolder();

  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path checkpoints() const { return path_ / "checkpoints"; }

  // One line of metrics.jsonl, and its numbers as TensorBoard scalars.
  void record(int64_t step, const Json& metrics);
  void record_loads(const Loads& loads);
  RunPosition flush();

 private:
  std::filesystem::path path_;
  int lock_ = -1;
  std::unique_ptr<JsonlWriter> metrics_;
  std::unique_ptr<EventWriter> events_;
  std::unique_ptr<NpyAppender> loads_;
};

}  // namespace ballast
