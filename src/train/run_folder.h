// A run's folder: run/<name>/{config.toml, metrics.jsonl, loads.npy, events.out.tfevents.*, checkpoints/, report.html}.
// Every growing file can be cut back to what a checkpoint recorded, so that a resumed run's files equal an
// uninterrupted run's but for the time fields.
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

// One process at a time writes to a run folder.
class RunLock {
 public:
  // Locks the folder where a run is already; elsewhere creates nothing. Error{file} where another process writes there.
  explicit RunLock(std::filesystem::path run);
  ~RunLock();
  RunLock(const RunLock&) = delete;
  RunLock& operator=(const RunLock&) = delete;
  void claim();  // creates the folder, where it is new, and locks it

 private:
  void lock(int flags);

  std::filesystem::path run_;
  int fd_ = -1;
};

class RunFolder {
 public:
  // Of a folder that the caller has locked: begins a run in place of what was there, or goes on with one, cut back to
  // `resume_at`.
  RunFolder(std::filesystem::path path, int64_t moe_layers, int64_t experts, std::optional<RunPosition> resume_at);

  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path checkpoints() const { return path_ / "checkpoints"; }

  // One line of metrics.jsonl, and its numbers as TensorBoard scalars.
  void record(int64_t step, const Json& metrics);
  void record_loads(const Loads& loads);
  RunPosition flush();

 private:
  std::filesystem::path path_;
  std::unique_ptr<JsonlWriter> metrics_;
  std::unique_ptr<EventWriter> events_;
  std::unique_ptr<NpyAppender> loads_;  // none without MoE layers
};

}  // namespace ballast
