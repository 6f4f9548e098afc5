// Encode, decode and training speed of the tokenizers on Python source, one thread.
//   tokenizer_bench [TOKENIZER.JSON ...]     environment: BALLAST_BENCH_TEXT=DIR (default /usr/lib/python3.11)
// Without arguments: one of the project's own, trained on the text (vocabulary 8192). A "document" is one file.
#include <benchmark/benchmark.h>
#include <fmt/core.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/file.h"
#include "tokenizer/trainer.h"

namespace ballast {
namespace {

constexpr size_t kMostBytes = 16 << 20;

std::vector<std::string> read_documents() {
  const char* set = std::getenv("BALLAST_BENCH_TEXT");
  const std::filesystem::path dir = set ? set : "/usr/lib/python3.11";
  std::vector<std::filesystem::path> files;
  if (std::filesystem::is_directory(dir))
    for (const auto& entry : std::filesystem::recursive_directory_iterator(dir))
      if (entry.is_regular_file() && entry.path().extension() == ".py") files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  std::vector<std::string> documents;
  size_t bytes = 0;
  for (const auto& file : files) {
    if (bytes > kMostBytes) break;
    documents.push_back(read_file(file));
    bytes += documents.back().size();
  }
  if (documents.empty())
    fail(ErrorKind::usage, dir.string(), "no .py files; set BALLAST_BENCH_TEXT to a folder with some");
  return documents;
}

size_t total_bytes(const std::vector<std::string>& documents) {
  size_t bytes = 0;
  for (const std::string& document : documents) bytes += document.size();
  return bytes;
}

void report(benchmark::State& state, size_t bytes) {
  state.counters["MB"] =
      benchmark::Counter(1e-6 * static_cast<double>(bytes), benchmark::Counter::kIsIterationInvariantRate);
}

void encode(benchmark::State& state, const Tokenizer& tokenizer, const std::vector<std::string>& documents) {
  std::vector<int32_t> ids;
  for (auto _ : state) {
    for (const std::string& document : documents) {
      ids.clear();
      tokenizer.encode(document, ids);
      benchmark::DoNotOptimize(ids.data());
    }
  }
  report(state, total_bytes(documents));
}

void decode(benchmark::State& state, const Tokenizer& tokenizer, const std::vector<std::string>& documents) {
  std::vector<std::vector<int32_t>> ids;
  for (const std::string& document : documents) ids.push_back(tokenizer.encode(document));
  for (auto _ : state)
    for (const auto& list : ids) benchmark::DoNotOptimize(tokenizer.decode(list).data());
  report(state, total_bytes(documents));
}

Tokenizer train(const std::vector<std::string>& documents) {
  BpeTrainer trainer;
  for (const std::string& document : documents) trainer.add(document);
  return trainer.train(8192);
}

int run(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  const std::vector<std::string> documents = read_documents();
  fmt::print("{} documents, {:.1f} MB\n", documents.size(), 1e-6 * static_cast<double>(total_bytes(documents)));
  std::vector<std::pair<std::string, Tokenizer>> tokenizers = {{"own-8192", train(documents)}};
  for (int i = 1; i < argc; ++i) tokenizers.emplace_back(argv[i], Tokenizer::load(argv[i]));
  for (const auto& [name, tokenizer] : tokenizers) {
    benchmark::RegisterBenchmark(("encode/" + name).c_str(), encode, tokenizer, documents)
        ->Unit(benchmark::kMillisecond);
    benchmark::RegisterBenchmark(("decode/" + name).c_str(), decode, tokenizer, documents)
        ->Unit(benchmark::kMillisecond);
  }
  benchmark::RegisterBenchmark("train/own-8192", [&](benchmark::State& state) {
    for (auto _ : state) benchmark::DoNotOptimize(train(documents).vocab_size());
    report(state, total_bytes(documents));
  })->Unit(benchmark::kMillisecond);
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}

}  // namespace
}  // namespace ballast

int main(int argc, char** argv) {
  try {
    return ballast::run(argc, argv);
  } catch (const ballast::Error& e) {
    fmt::print(stderr, "tokenizer_bench: {}\n", e.what());
    return 2;
  }
}
