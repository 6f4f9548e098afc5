#include "infer/memory_plan.h"

#include <gtest/gtest.h>

#include "base/log.h"
#include "infer/golden_test.h"

namespace ballast {
namespace {

struct Lines : LogSink {
  void line(LogLevel level, std::string_view text) override {
    (level == LogLevel::warning ? warnings : infos) += std::string(text) + "\n";
  }
  std::string infos, warnings;
};

TEST(MemoryPlan, EqualsWhatIsAllocated) {
  for (const DType storage : {DType::f32, DType::bf16}) {
    const auto device = Device::make(DeviceKind::cpu, 2);
    const EngineOptions options{.slots = 2, .context = 96, .prefill_chunk = 32};
    const MemoryPlan plan = plan_memory(open_model(Golden::folder()), *device, storage, options);
    EXPECT_FALSE(device->planning);
    LoadedModel loaded = load_model(Golden::folder(), *device, storage);
    const Engine engine(*loaded.model, options);
    EXPECT_EQ(plan.weights, static_cast<int64_t>(loaded.params->sizes().weights + loaded.params->sizes().master));
    EXPECT_EQ(plan.cache, static_cast<int64_t>(engine.sizes().cache));
    EXPECT_EQ(plan.cache, 2 * 96 * 2 * (10 + 8) * static_cast<int64_t>(size_of(storage)));
    EXPECT_GE(plan.buffers, static_cast<int64_t>(engine.sizes().inputs + engine.sizes().scratch));
    EXPECT_EQ(plan.mapped, 0) << "the reference's experts are f32";
  }
}

TEST(MemoryPlan, RefusesWithBothFigures) {
  constexpr int64_t kGib = int64_t{1} << 30;
  const MemoryPlan plan{.weights = 3 * kGib, .cache = kGib, .buffers = 2 * kGib, .mapped = 20 * kGib};
  Lines lines;
  const ScopedLogSink scope(lines);
  const auto expect_refused = [&](const AvailableMemory& available, const char* limit) {
    try {
      admit(plan, available, "some/model");
      ADD_FAILURE() << "admitted";
    } catch (const Error& e) {
      const std::string text = e.what();
      for (const char* part : {"some/model", "6.00 GiB", "5.00 GiB are available", limit})
        EXPECT_NE(text.find(part), std::string::npos) << text;
    }
  };
  expect_refused({.resident = 5 * kGib}, "(the machine)");
  expect_refused({.resident = 5 * kGib, .of_control_group = true}, "(the control group's limit)");
  expect_refused({.resident = 50 * kGib, .address_space = 5 * kGib}, "(ulimit -v)");
  admit(plan, {.resident = 10 * kGib}, "some/model");
  EXPECT_NE(lines.infos.find("20.0 GiB of experts stay in the files"), std::string::npos) << lines.infos;
  EXPECT_NE(lines.warnings.find("16.0 GiB are missing"), std::string::npos) << lines.warnings;
  lines.warnings.clear();
  admit(plan, {.resident = 26 * kGib, .address_space = 7 * kGib}, "some/model");  // mapped files are in the 7 no more
  EXPECT_EQ(lines.warnings, "");
}

}  // namespace
}  // namespace ballast
