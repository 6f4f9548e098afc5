#include <fmt/format.h>

#include <optional>

#include "cli/commands.h"
#include "cli/golden.h"
#include "inspect/verify.h"

namespace ballast::cli {
namespace {

std::string every_quantity(const Verification& v) {
  std::string text;
  for (const Quantity& q : v.quantities)
    text += fmt::format("{:<60} {:.2e}  allowed {:.0e}  {}\n", q.name, q.error, q.limit, q.ok() ? "ok" : "FAILED");
  return text;
}

}  // namespace

void cmd_verify(CommandLine& line) {
  std::string folder, out;
  bool all = false, json = false;
  int threads = 0;
  line.positional(
      "DIR", folder,
      "a model with reference results (reference.safetensors); without it a small DeepSeek-V3 that is part of "
      "this program");
  line.flag("-v,--verbose", all, "every quantity, not the worst of each kind");
  line.flag("--json", json, "the result as JSON");
  line.out(out, "FILE", "write the result there instead of printing it");
  line.threads(threads);
  line.unused_seed();
  if (!line.parse()) return;

  std::optional<EmbeddedGolden> golden;
  if (folder.empty()) folder = golden.emplace().folder().string();
  const auto device = Device::make(DeviceKind::cpu, threads);
  const Verification result = verify(folder, *device, DType::f32);
  if (json) {
    emit(result.to_json().dump(2) + "\n", out);
  } else {
    emit((all ? every_quantity(result) : result.worst_by_group()) +
             (result.okay() ? "okay\n" : "not equal to the reference\n"),
         out);
  }
  if (!result.okay()) throw Negative{};
}

}  // namespace ballast::cli
