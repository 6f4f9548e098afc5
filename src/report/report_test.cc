#include "report/report.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "base/error.h"
#include "base/file.h"
#include "report/synthetic_run.h"

namespace ballast::report {
namespace {

namespace fs = std::filesystem;

fs::path fresh_folder(const std::string& name) {
  const fs::path folder = fs::path(testing::TempDir()) / ("ballast_report_" + name);
  fs::remove_all(folder);
  fs::create_directories(folder);
  return folder;
}

TEST(Report, QuickstartHasEveryPart) {
  const fs::path folder = fresh_folder("quickstart");
  write_synthetic_run(folder);
  const std::string page = read_file(write_report(folder).html);
  for (const char* id : {"training", "balance", "heldout", "skipping", "speed", "commands", "definitions"})
    EXPECT_NE(page.find("<section id=\"" + std::string(id) + "\""), std::string::npos) << id;
}

}  // namespace
}  // namespace ballast::report
