#include "train/run_folder.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>

#include "base/error.h"
#include "train/checkpoint.h"

namespace ballast {
namespace fs = std::filesystem;
namespace {

constexpr const char* kEvents = "events.out.tfevents.ballast";

// A run's file must hold what its checkpoint was saved with; looked at before any of them is cut back.
void require_bytes(const fs::path& file, uint64_t bytes) {
  std::error_code error;
  const uint64_t size = fs::file_size(file, error);
  if (error) fail(ErrorKind::file, file.string(), "cannot resume: {}", error.message());
  if (size < bytes)
    fail(ErrorKind::file, file.string(), "cannot resume: it holds {} bytes, the checkpoint was saved at {}", size,
         bytes);
}

double wall_time() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

}  // namespace

RunLock::RunLock(fs::path run) : run_(std::move(run)) { lock(0); }

RunLock::~RunLock() {
  if (fd_ >= 0) ::close(fd_);
}

void RunLock::claim() {
  if (fd_ >= 0) return;
  std::error_code error;
  fs::create_directories(run_, error);
  if (error) fail(ErrorKind::file, run_.string(), "cannot create the run folder: {}", error.message());
  lock(O_CREAT);
  if (fd_ < 0) fail(ErrorKind::file, (run_ / ".lock").string(), "cannot create: {}", std::strerror(errno));
}

// Without O_CREAT a folder that no run has used stays as it is.
void RunLock::lock(int flags) {
  fd_ = ::open((run_ / ".lock").c_str(), O_RDWR | O_CLOEXEC | flags, 0644);
  if (fd_ < 0 || ::flock(fd_, LOCK_EX | LOCK_NB) == 0) return;
  ::close(fd_);
  fail(ErrorKind::file, run_.string(),
       "another process is writing to this run folder; wait for it, or give another --out");
}

RunFolder::RunFolder(fs::path path, int64_t moe_layers, int64_t experts, std::optional<RunPosition> resume_at)
    : path_(std::move(path)) {
  const fs::path metrics = path_ / "metrics.jsonl", events = path_ / kEvents, loads = path_ / "loads.npy";
  if (resume_at) {
    require_bytes(metrics, resume_at->metrics);
    require_bytes(events, resume_at->events);
    if (moe_layers > 0) require_bytes(loads, NpyAppender::file_bytes(resume_at->loads, moe_layers * experts));
    metrics_ = std::make_unique<JsonlWriter>(metrics, resume_at->metrics);
    events_ = std::make_unique<EventWriter>(events, resume_at->events);
  } else {
    discard_folder(checkpoints());  // first: what --resume would find must belong to the files beside it
    for (const fs::path& old : {metrics, events, loads}) fs::remove(old);
    metrics_ = std::make_unique<JsonlWriter>(metrics);
    events_ = std::make_unique<EventWriter>(events, wall_time());
  }
  fs::create_directories(checkpoints());
  if (moe_layers == 0) return;
  loads_ = std::make_unique<NpyAppender>(loads, std::vector<int64_t>{moe_layers, experts});
  if (resume_at) loads_->truncate(resume_at->loads);
}

void RunFolder::record(int64_t step, const Json& metrics) {
  metrics_->write(metrics);
  std::vector<EventScalar> scalars;
  for (const auto& [key, value] : metrics.as_object())
    if (value.is_number() && key != "step" && key != "time")
      scalars.push_back({key, static_cast<float>(value.as_double())});
  events_->add(step, wall_time(), scalars);
}

void RunFolder::record_loads(const Loads& loads) {
  if (!loads_) return;
  std::vector<int64_t> row;
  for (const auto& layer : loads) row.insert(row.end(), layer.begin(), layer.end());
  loads_->append(row);
}

RunPosition RunFolder::flush() {
  metrics_->sync();
  events_->flush();
  if (loads_) loads_->flush();
  return {metrics_->offset(), events_->offset(), loads_ ? loads_->rows() : 0};
}

}  // namespace ballast
