#include "infer/memory_plan.h"

#include "base/human.h"
#include "base/log.h"
#include "model/weights.h"

namespace ballast {
namespace {

// A worker's: a tile of converted weights, the products' packed copies of their operands, a thread's stack and heap.
constexpr int64_t kWorkerBytes = int64_t{24} << 20;

int64_t file_bytes(const Param& param, const Checkpoint& files) {
  int64_t n = 0;
  for (const HubTensor& t : param.hub)
    for (const std::string& name : {t.name, scale_name(t.name)})
      if (const FileTensor* tensor = files.find(name)) n += static_cast<int64_t>(tensor->bytes.size());
  return n;
}

std::string gib(int64_t bytes) { return format_bytes(static_cast<double>(bytes)); }

}  // namespace

MemoryPlan plan_memory(const OpenedModel& opened, Device& device, DType storage, const EngineOptions& options) {
  const ParamStore::Options kept = serving_options(opened, device, storage);
  const ParamTable table = make_param_table(opened.config);
  MemoryPlan plan;
  for (const ParamId id : kept.mapped) plan.mapped += file_bytes(table.list[id], opened.files);
  device.planning = true;
  ParamStore params(device, table, kept);
  Model model(opened.config, params);
  const Engine engine(model, options);
  device.planning = false;
  plan.weights = static_cast<int64_t>(params.sizes().weights + params.sizes().master);
  plan.cache = static_cast<int64_t>(engine.sizes().cache);
  plan.buffers = static_cast<int64_t>(engine.sizes().inputs + engine.sizes().scratch) + device.pool().size() * kWorkerBytes;
  return plan;
}

std::string MemoryPlan::text(const AvailableMemory& available) const {
  std::string text = fmt::format("{} weights, {} cache and {} buffers of {} available", gib(weights), gib(cache),
                                 gib(buffers), gib(available.bytes()));
  if (mapped > 0) text += fmt::format("; {} of experts stay in the files", gib(mapped));
  return text;
}

Json MemoryPlan::to_json(const AvailableMemory& available) const {
  return Json(Json::Object{{"weights", weights},
                           {"cache", cache},
                           {"buffers", buffers},
                           {"needed", needed()},
                           {"mapped", mapped},
                           {"available", available.bytes()}});
}

void admit(const MemoryPlan& plan, const AvailableMemory& available, const std::filesystem::path& folder) {
  if (plan.needed() > available.bytes())
    fail(
        ErrorKind::device, folder.string(),
        "needs {} of memory ({} weights, {} cache, {} buffers), but {} are available ({}); a shorter context and fewer "
        "threads need less",
        gib(plan.needed()), gib(plan.weights), gib(plan.cache), gib(plan.buffers), gib(available.bytes()),
        available.limit());
  log_info("memory: {}", plan.text(available));
  // The files are mapped already: of the address space they take nothing more.
  if (plan.needed() + plan.mapped > available.resident)
    log_warning(
        "the experts' files do not fit beside it: {} are missing, and what is not in memory is read from the disk "
        "each time",
        gib(plan.needed() + plan.mapped - available.resident));
}

}  // namespace ballast
