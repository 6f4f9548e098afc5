// scan_corpus: every file is read once, in blocks, on all threads; what is remembered of it is its manifest entry, a
// hash of its normalized text and its MinHash. The decisions that compare files follow, one after the other in the
// order of the paths, so that they depend on nothing else.
#include <fmt/ranges.h>

#include <algorithm>
#include <exception>
#include <map>
#include <set>
#include <unordered_map>

#include "base/error.h"
#include "base/hash.h"
#include "base/interrupt.h"
#include "base/log.h"
#include "base/progress.h"
#include "base/thread_pool.h"
#include "data/corpus.h"
#include "data/corpus/benchmarks.h"
#include "data/corpus/caps.h"
#include "data/corpus/document_source.h"
#include "data/corpus/head_comments.h"
#include "data/corpus/licenses.h"
#include "data/corpus/near_duplicates.h"

namespace ballast {
namespace {

constexpr int64_t kBlock = 256;           // files between two looks at the clock
constexpr size_t kMostCandidates = 16;    // exact comparisons per file
constexpr double kEstimateSlack = 0.15;   // 3.5 standard errors of the estimate
constexpr size_t kNamedPackages = 12;     // in a message
constexpr size_t kCachedLines = 4 << 20;  // lines of files just compared, 8 bytes each

using TextKey = std::array<uint64_t, 2>;  // half a sha256
struct TextKeyHash {
  size_t operator()(const TextKey& key) const { return key[0]; }
};

TextKey text_key(std::string_view text) {
  const std::string hex = sha256_hex(normalized_text(text));
  return {std::stoull(hex.substr(0, 16), nullptr, 16), std::stoull(hex.substr(16, 16), nullptr, 16)};
}

class Scan {
 public:
  Scan(const CorpusOptions& options, const DocumentSource& source, CorpusIndex& index)
      : o_(options), source_(source), index_(index), files_(index.manifest) {}

  void run(int threads) {
    for (const std::string& file : o_.exclude_benchmarks) benchmarks_.add_file(file);
    keys_.resize(files_.size());
    hashes_.resize(files_.size());
    samples_.resize(files_.size());
    read_all(threads);
    split_packages();
    drop_copies();
    drop_shares();
  }

 private:
  void read_all(int threads);
  void look_at(size_t i);
  bool license_accepted_for(size_t i) const;
  void split_packages();
  void require_found(const std::map<std::string, int64_t>& packages) const;
  void hold_out_share(const std::map<std::string, int64_t>& bytes, int64_t total,
                      std::set<std::string>& held_out) const;
  void drop_copies();
  std::string copy_of(uint32_t i, const NearDuplicateIndex& index, uint32_t& original);
  const std::vector<uint64_t>& lines_of(uint32_t i);
  void drop_shares();

  const CorpusOptions& o_;
  const DocumentSource& source_;
  CorpusIndex& index_;
  std::vector<ManifestEntry>& files_;
  BenchmarkTexts benchmarks_;
  std::vector<TextKey> keys_;
  std::vector<MinHash> hashes_;
  std::vector<std::vector<uint32_t>> samples_;  // of the lines, for UniqueLines
  std::unordered_map<TextKey, uint32_t, TextKeyHash> by_text_;
  std::unordered_map<uint32_t, std::vector<uint64_t>> lines_;
  size_t lines_cached_ = 0;
};

void Scan::read_all(int threads) {
  ThreadPool pool(threads);
  const auto files = static_cast<int64_t>(files_.size());
  Progress progress("corpus", files, "files");
  for (int64_t begin = 0; begin < files; begin += kBlock) {
    const int64_t n = std::min(kBlock, files - begin);
    std::vector<std::exception_ptr> errors(static_cast<size_t>(n));
    pool.for_each(n, [&](int64_t task, int) {
      try {
        look_at(static_cast<size_t>(begin + task));
      } catch (...) {
        errors[static_cast<size_t>(task)] = std::current_exception();
      }
    });
    for (const std::exception_ptr& error : errors) {
      if (error) std::rethrow_exception(error);
    }
    if (interrupted()) fail(ErrorKind::interrupted, "corpus", "interrupted; nothing of it was written");
    progress.update(begin + n);
  }
  progress.finish();
}

bool Scan::license_accepted_for(size_t i) const {
  if (!source_.licensed(i) && std::find(o_.license.begin(), o_.license.end(), "own") != o_.license.end()) return true;
  return license_accepted(files_[i].license, o_.license);
}

// What the file says itself, else what is said of it. A notice of the GNU family or the MPL counts where the package is
// not known to be under it: then somebody has looked at the terms, which may be "GPL or MIT".
std::string license_of_file(std::string_view text, std::string said) {
  if (std::string tag = spdx_tag(text); !tag.empty()) return tag;
  if (said.find("GPL-") != std::string::npos || said.find("MPL-") != std::string::npos) return said;
  std::string notice = copyleft_notice(text);
  return notice.empty() ? said : notice;
}

void Scan::look_at(size_t i) {
  ManifestEntry& e = files_[i];
  DocumentSource::Text text = source_.read(i, e.path);
  e.bytes = text.bytes;
  e.sha256 = std::move(text.sha256);
  if (source_.licensed(i)) e.license = license_of_file(text.text, std::move(e.license));
  if (!license_accepted_for(i)) {
    e.reason = "license " + e.license;
    return;
  }
  if (const std::string name = benchmark_in_path(e.path); !name.empty()) e.reason = "benchmark by name: " + name;
  if (e.reason.empty()) e.reason = text.too_large ? kTooLarge : reason_to_drop(text.text);
  if (e.reason.empty() && !benchmarks_.empty()) e.reason = benchmarks_.reason(text.text);
  if (!e.reason.empty()) return;
  keys_[i] = text_key(text.text);
  if (o_.near_duplicate >= 1 && o_.package_share >= 1) return;
  const std::vector<uint64_t> lines = line_set(text.text);
  hashes_[i] = min_hash(lines);
  samples_[i] = UniqueLines::sample(lines);
}

// Marks the held-out packages. Names that somebody gave must be there: else what was to be held out would be trained
// on. Where the default list names none of those that are there, takes packages in the order of their names' sha256,
// which is as good as random and the same everywhere, until the share is reached.
void Scan::split_packages() {
  std::map<std::string, int64_t> bytes;  // of packages with something to keep
  int64_t total = 0;
  for (const ManifestEntry& e : files_) {
    if (!e.reason.empty()) continue;
    bytes[e.package] += e.bytes;
    total += e.bytes;
  }
  std::set<std::string> held_out;
  for (const std::string& name : o_.held_out) {
    const std::string wanted = name.ends_with(".py") ? name.substr(0, name.size() - 3) : name;
    bool found = false;
    for (const auto& [package, n] : bytes) {
      if (package != wanted && !package.ends_with("/" + wanted)) continue;  // with several sources, "source/package"
      held_out.insert(package);
      found = true;
    }
    if (!found) index_.held_out_not_found.push_back(name);
  }
  if (o_.held_out != CorpusOptions().held_out) require_found(bytes);
  if (held_out.empty()) hold_out_share(bytes, total, held_out);
  for (ManifestEntry& e : files_) e.split = held_out.count(e.package) > 0 ? Split::held_out : Split::train;
}

void Scan::require_found(const std::map<std::string, int64_t>& packages) const {
  if (index_.held_out_not_found.empty() || packages.empty()) return;
  std::string there;
  size_t named = 0;
  for (auto package = packages.begin(); package != packages.end() && named < kNamedPackages; ++package, ++named)
    there += (named > 0 ? ", " : "") + package->first;
  if (packages.size() > kNamedPackages) there += fmt::format(" and {} more", packages.size() - kNamedPackages);
  fail(ErrorKind::usage, "corpus.held_out", "no file that is kept is of a package named {}; there are {}",
       fmt::join(index_.held_out_not_found, ", "), there);
}

void Scan::hold_out_share(const std::map<std::string, int64_t>& bytes, int64_t total,
                          std::set<std::string>& held_out) const {
  std::vector<std::pair<std::string, std::string>> order;
  for (const auto& [package, n] : bytes) order.push_back({sha256_hex(std::string_view(package)), package});
  std::sort(order.begin(), order.end());
  int64_t taken = 0;
  for (size_t i = 0;
       i + 1 < order.size() && static_cast<double>(taken) < o_.held_out_share * static_cast<double>(total); ++i) {
    const int64_t n = bytes.at(order[i].second);
    if (n > total / 2) continue;  // one package may be nearly everything: that one is for training
    held_out.insert(order[i].second);
    taken += n;
  }
}

// Held-out files first, so that of a text in both parts the training copy goes. A file is compared with those that
// stayed before it and, across the border, with held-out copies that did not: what is like them is known to the test.
void Scan::drop_copies() {
  NearDuplicateIndex index(hashes_);
  std::set<uint32_t> copied;
  for (const Split split : {Split::held_out, Split::train}) {
    for (uint32_t i = 0; i < files_.size(); ++i) {
      ManifestEntry& e = files_[i];
      if (e.split != split || !e.reason.empty()) continue;
      uint32_t original = i;
      e.reason = copy_of(i, index, original);
      if (!e.reason.empty()) by_text_[keys_[i]] = original;  // copies of a dropped file are copies of the kept one
      if (split == Split::train && files_[original].split == Split::held_out) copied.insert(original);
      if (o_.near_duplicate < 1 && (e.reason.empty() || split == Split::held_out)) index.add(i);
      if (interrupted()) fail(ErrorKind::interrupted, "corpus", "interrupted; nothing of it was written");
    }
  }
  index_.held_out_copied = static_cast<int64_t>(copied.size());
}

std::string Scan::copy_of(uint32_t i, const NearDuplicateIndex& index, uint32_t& original) {
  const auto [same, fresh] = by_text_.emplace(keys_[i], i);
  if (!fresh) {
    original = same->second;
    return "copy of " + files_[original].path;
  }
  if (o_.near_duplicate >= 1) return {};
  for (const uint32_t other : index.candidates(hashes_[i], o_.near_duplicate - kEstimateSlack, kMostCandidates)) {
    const std::vector<uint64_t> own = lines_of(i);  // a copy: the cache may be emptied
    if (jaccard(own, lines_of(other)) <= o_.near_duplicate) continue;
    original = other;
    return "near-duplicate of " + files_[other].path;
  }
  return {};
}

const std::vector<uint64_t>& Scan::lines_of(uint32_t i) {
  if (const auto it = lines_.find(i); it != lines_.end()) return it->second;
  if (lines_cached_ > kCachedLines) {
    lines_.clear();
    lines_cached_ = 0;
  }
  std::vector<uint64_t>& lines = lines_[i] = line_set(source_.read(i, files_[i].path).text);
  lines_cached_ += lines.size();
  return lines;
}

void Scan::drop_shares() {
  std::unordered_map<std::string, uint32_t> packages;
  std::vector<CappedFile> train;
  std::vector<uint32_t> place;
  for (uint32_t i = 0; i < files_.size(); ++i) {
    const ManifestEntry& e = files_[i];
    if (!e.reason.empty() || e.split != Split::train) continue;
    const uint32_t package = packages.emplace(e.package, static_cast<uint32_t>(packages.size())).first->second;
    train.push_back({package, e.bytes, is_test_path(e.path), e.sha256});
    place.push_back(i);
  }
  std::vector<UniqueLines> lines(packages.size());
  for (size_t i = 0; i < train.size(); ++i) lines[train[i].package].add(samples_[place[i]]);
  std::vector<double> unique;
  for (const UniqueLines& package : lines) unique.push_back(package.fraction());
  for (const auto& [name, package] : packages) {
    if (unique[package] < kRepetitive) index_.repetitive[name] = unique[package];
  }
  const CapResult capped = apply_caps(train, o_.package_share, o_.test_share, unique);
  index_.packages_capped = capped.packages_capped;
  for (size_t i = 0; i < train.size(); ++i) {
    std::string& reason = files_[place[i]].reason;
    if (capped.verdict[i] == CapVerdict::test_share) reason = "beyond the tests' share";
    if (capped.verdict[i] == CapVerdict::repetition) reason = "beyond the share of a package that repeats itself";
    if (capped.verdict[i] == CapVerdict::package_share) reason = "beyond the package's share";
  }
}

void require_share(const char* key, double value) {
  if (!(value > 0 && value <= 1))
    fail(ErrorKind::usage, std::string("corpus.") + key, "{} is not above 0 and up to 1", value);
}

// Refuses an index with nothing in one of its parts, and says which rule took most.
void require_parts(const CorpusIndex& index, const std::vector<std::string>& skipped) {
  std::map<std::string, int64_t> rules;
  int64_t kept = 0, licensed_away = 0;
  for (const ManifestEntry& e : index.manifest) {
    kept += e.reason.empty();
    licensed_away += e.reason.starts_with("license ");
    if (!e.reason.empty()) ++rules[e.reason.starts_with("license ") ? e.reason : rule_of_reason(e.reason)];
  }
  const auto files = static_cast<int64_t>(index.manifest.size());
  if (kept == 0) {
    const auto most =
        std::max_element(rules.begin(), rules.end(), [](auto& a, auto& b) { return a.second < b.second; });
    const std::string why = most == rules.end() ? "" : fmt::format(" ({} of them: {})", most->second, most->first);
    const std::string passed_over =
        skipped.empty()
            ? ""
            : fmt::format("; not entered: {}, since installed packages are a source of their own: --source {}",
                          fmt::join(skipped, ", "), skipped.front());
    fail(ErrorKind::usage, index.origin,
         "the corpus is empty: {} files looked at, none kept{}{}; name {} folders with --source DIR{}", files, why,
         passed_over, skipped.empty() ? "other" : "those or other",
         licensed_away > 0 ? ", or licenses to take with --license" : "");
  }
  if (licensed_away * 2 > files)
    log_warning("{} of {} files are left out for their licenses; --license names those to take", licensed_away, files);
  for (const Split split : {Split::train, Split::held_out}) {
    if (!index.files(split).empty()) continue;
    fail(ErrorKind::usage, index.origin,
         "the {} part is empty: packages are never split, so at least two are needed "
         "(first folder or file names under a source); change held_out or the sources",
         split_name(split));
  }
}

}  // namespace

CorpusIndex scan_corpus(const CorpusOptions& options, int threads) {
  require_share("near_duplicate", options.near_duplicate);
  require_share("package_share", options.package_share);
  require_share("test_share", options.test_share);
  CorpusIndex index;
  auto source = std::make_shared<const DocumentSource>(options, index.manifest);
  index.origin = source->origin();
  for (const std::string& folder : source->skipped())
    log_info("not entered: {}; --source {} takes what is installed there", folder, folder);
  Scan(options, *source, index).run(threads);
  require_parts(index, source->skipped());
  index.source_ = std::move(source);
  return index;
}

}  // namespace ballast
