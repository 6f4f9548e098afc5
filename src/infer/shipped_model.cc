#include "infer/shipped_model.h"

#include "base/error.h"

namespace ballast {
namespace fs = std::filesystem;

std::optional<fs::path> find_shipped_model(const fs::path& program) {
  const auto is_model = [](const fs::path& folder) {
    std::error_code none;
    return fs::is_regular_file(folder / "config.json", none);
  };
  const fs::path name = fs::path("models") / kShippedModel;
  if (const fs::path installed = program.parent_path().parent_path() / "share/ballast" / name; is_model(installed))
    return installed;
  for (fs::path folder = program.parent_path(); folder != folder.parent_path(); folder = folder.parent_path()) {
    if (is_model(folder / name)) return folder / name;
  }
  return std::nullopt;
}

std::optional<fs::path> find_shipped_model() {
  std::error_code error;
  const fs::path program = fs::read_symlink("/proc/self/exe", error);
  return error ? std::nullopt : find_shipped_model(program);
}

fs::path model_or_shipped(const fs::path& given) {
  if (!given.empty()) return given;
  if (const auto shipped = find_shipped_model()) return *shipped;
  fail(ErrorKind::usage, "-m",
       "needs a model, -m DIR: {}, which is used where none is given, is neither in share/ballast/models beside this "
       "program nor in a models folder above it",
       kShippedModel);
}

}  // namespace ballast
