// How fast a corpus is made, and in how much memory: corpus_bench [--threads N] FOLDER...
// Prints, for growing parts of the folders' packages, files, bytes, seconds, MB/s and the process's peak memory; the
// memory may grow with the number of files and not with their bytes.
#include <fmt/format.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/human.h"
#include "data/corpus.h"

namespace {

namespace fs = std::filesystem;

double peak_megabytes() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_maxrss) * 1024 / 1e6;
}

// In a process of its own, so that the peak is that of this part.
void measure(const std::vector<std::string>& folders, int threads) {
  const pid_t child = fork();
  if (child == 0) {
    const double before = peak_megabytes(), start = ballast::steady_seconds();
    ballast::CorpusOptions options;
    options.source = folders;
    options.license = {"any"};
    const ballast::CorpusIndex corpus = ballast::scan_corpus(options, threads);
    corpus.write_manifest(fs::temp_directory_path() / "corpus_bench.jsonl");
    const double seconds = ballast::steady_seconds() - start, peak = peak_megabytes();
    double bytes = 0;
    for (const ballast::ManifestEntry& e : corpus.manifest) bytes += static_cast<double>(e.bytes);
    const auto files = static_cast<double>(corpus.manifest.size());
    fmt::print(
        "{:>7} files {:>7.1f} MB {:>6.2f} s {:>6.1f} MB/s  peak {:>6.1f} MB, {:>5.0f} bytes a file over the start\n",
        corpus.manifest.size(), bytes / 1e6, seconds, bytes / 1e6 / seconds, peak, (peak - before) * 1e6 / files);
    std::fflush(stdout);
    _exit(0);
  }
  int status = 0;
  waitpid(child, &status, 0);
}

}  // namespace

int main(int argc, char** argv) {
  int threads = 0;
  std::vector<std::string> folders;
  for (int i = 1; i < argc; ++i) {
    if (std::strcmp(argv[i], "--threads") == 0 && i + 1 < argc) {
      threads = std::atoi(argv[++i]);
    } else {
      folders.emplace_back(argv[i]);
    }
  }
  if (folders.empty()) folders = {"/usr/lib/python3", "/usr/lib/python3.11"};
  for (size_t part = 1; part < folders.size(); part *= 2)
    measure({folders.begin(), folders.begin() + static_cast<std::ptrdiff_t>(part)}, threads);
  measure(folders, threads);
}
