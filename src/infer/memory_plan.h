// What serving a model will take, known before any of it is allocated.
#pragma once

#include "base/json.h"
#include "base/memory.h"
#include "infer/engine.h"
#include "infer/load.h"

namespace ballast {

struct MemoryPlan {
  int64_t weights = 0;  // loaded: all but the experts that stay in the files
  int64_t cache = 0;    // latents of every slot and position
  int64_t buffers = 0;  // inputs, logits, activations, and the workers' own
  int64_t mapped = 0;   // experts in the checkpoint's files: in the page cache as far as there is room, else on the disk

  int64_t needed() const { return weights + cache + buffers; }
  // "2.6 GiB weights, 31 MiB cache and 0.6 GiB buffers of 21.9 GiB available; 13.3 GiB of experts stay in the files".
  std::string text(const AvailableMemory& available) const;
  Json to_json(const AvailableMemory& available) const;
};

// By a dry run of the loader and the engine. Nothing is read but the files' headers.
MemoryPlan plan_memory(const OpenedModel& model, Device& device, DType storage, const EngineOptions& options);

// Says the plan in a log line, and warns where the experts' files will not stay in memory. Throws Error{device} with
// both figures where what is available is not enough for what is needed.
void admit(const MemoryPlan& plan, const AvailableMemory& available, const std::filesystem::path& folder);

}  // namespace ballast
