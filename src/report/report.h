// The report on one or more runs: one self-contained HTML file, the curves as CSV, the tables as Markdown.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace ballast {

struct ReportFiles {
  std::filesystem::path html, csv, markdown;
};

// One run, or a quickstart's folder whose sub-folders are its arms: writes <folder>/report.{html,csv,md}. Parts that
// the folder lacks are absent from the report. Throws Error{file} where the folder is missing, Error{format} naming
// file and line where one of its files does not parse.
ReportFiles write_report(const std::filesystem::path& run_folder);

// Overlays runs (arms of quickstarts as single curves) and writes `html_file` with .csv and .md beside it.
ReportFiles write_report(const std::vector<std::filesystem::path>& run_folders, const std::filesystem::path& html_file);

}  // namespace ballast
