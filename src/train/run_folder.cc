#include "train/run_folder.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <chrono>

#include "base/error.h"

namespace ballast {
namespace fs = std::filesystem;
namespace {

constexpr const char* kEvents = "events.out.tfevents.ballast";

double wall_time() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

}  // namespace

RunFolder::RunFolder(fs::path path, int64_t moe_layers, int64_t experts, std::optional<RunPosition> resume_at)
    : path_(std::move(path)) {
  std::error_code error;
  fs::create_directories(checkpoints(), error);
  if (error) fail(ErrorKind::file, path_.string(), "cannot create the run folder: {}", error.message());
  const fs::path lock = path_ / ".lock";
  lock_ = ::open(lock.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (lock_ < 0 || ::flock(lock_, LOCK_EX | LOCK_NB) != 0)
    fail(ErrorKind::file, path_.string(), "another process is writing to this run folder");
  if (resume_at) {
    metrics_ = std::make_unique<JsonlWriter>(path_ / "metrics.jsonl", resume_at->metrics);
    events_ = std::make_unique<EventWriter>(path_ / kEvents, resume_at->events);
  } else {
    for (const char* stale : {"metrics.jsonl", kEvents, "loads.npy"}) fs::remove(path_ / stale);
    metrics_ = std::make_unique<JsonlWriter>(path_ / "metrics.jsonl");
    events_ = std::make_unique<EventWriter>(path_ / kEvents, wall_time());
  }
  loads_ = std::make_unique<NpyAppender>(path_ / "loads.npy", std::vector<int64_t>{moe_layers, experts});
  if (resume_at) loads_->truncate(resume_at->loads);
}

RunFolder::~RunFolder() {
  if (lock_ >= 0) ::close(lock_);
}

void RunFolder::record(int64_t step, const Json& metrics) {
  metrics_->write(metrics);
  std::vector<EventScalar> scalars;
  for (const auto& [key, value] : metrics.as_object())
    if (value.is_number() && key != "step" && key != "time") scalars.push_back({key, static_cast<float>(value.as_double())});
  events_->add(step, wall_time(), scalars);
}

void RunFolder::record_loads(const Loads& loads) {
  std::vector<int64_t> row;
  for (const auto& layer : loads) row.insert(row.end(), layer.begin(), layer.end());
  loads_->append(row);
}

RunPosition RunFolder::flush() {
  metrics_->sync();
  events_->flush();
  loads_->flush();
  return {metrics_->offset(), events_->offset(), loads_->rows()};
}

}  // namespace ballast
