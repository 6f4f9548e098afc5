#include "cli/golden.h"

#include <stdlib.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <string>

#include "base/error.h"

// The bytes of the files, put here by the assembler: a generated array of 290 kB would cost seconds of compile time.
#define BALLAST_EMBED(symbol, file)                                             \
  asm(".section .rodata\n"                                                      \
      ".global ballast_" #symbol "\n.global ballast_" #symbol "_end\n"          \
      "ballast_" #symbol ":\n.incbin \"" BALLAST_GOLDEN_DIR "/" file "\"\n"     \
      "ballast_" #symbol "_end:\n.byte 0\n.previous\n");                        \
  extern "C" const char ballast_##symbol[], ballast_##symbol##_end[]

BALLAST_EMBED(golden_config, "config.json");
BALLAST_EMBED(golden_model, "model.safetensors");
BALLAST_EMBED(golden_reference, "reference.safetensors");

namespace ballast::cli {
namespace fs = std::filesystem;

EmbeddedGolden::EmbeddedGolden() {
  std::string name = (fs::temp_directory_path() / "ballast-verify-XXXXXX").string();
  if (!mkdtemp(name.data())) fail(ErrorKind::file, name, "cannot make a temporary folder: {}", std::strerror(errno));
  folder_ = name;
  const auto write = [&](const char* file, const char* begin, const char* end) {
    std::ofstream out(folder_ / file, std::ios::binary);  // not fsynced: it lives for a second
    out.write(begin, end - begin);
    if (!out.flush()) fail(ErrorKind::device, (folder_ / file).string(), "cannot write: {}", std::strerror(errno));
  };
  try {
    write("config.json", ballast_golden_config, ballast_golden_config_end);
    write("model.safetensors", ballast_golden_model, ballast_golden_model_end);
    write("reference.safetensors", ballast_golden_reference, ballast_golden_reference_end);
  } catch (const Error&) {
    remove();
    throw;
  }
}

EmbeddedGolden::~EmbeddedGolden() { remove(); }

void EmbeddedGolden::remove() {
  std::error_code ignored;
  fs::remove_all(folder_, ignored);
}

}  // namespace ballast::cli
