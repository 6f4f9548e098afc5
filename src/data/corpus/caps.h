// No part of the corpus may outgrow the others: tests at most a share of it, and every package.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace ballast {

struct CappedFile {
  uint32_t package = 0;
  int64_t bytes = 0;
  bool test = false;
  std::string order;  // files of a package stay in this order until its share is full: their sha256, as good as random
};

enum class CapVerdict : uint8_t { kept, package_share, test_share, repetition };

struct CapResult {
  std::vector<CapVerdict> verdict;  // per file
  bool packages_capped = true;      // false: no more than 1 / package_share packages, so no such corpus exists
};

// Drops files until tests have at most `test_share` of the bytes that stay and every package at most `package_share`,
// each to within a file. Packages with a unique-line fraction below kRepetitive come before that, as generated SDKs
// have it: such a one gets that fraction of a package's share of the others' bytes. The package limit L solves L =
// share * sum of min(bytes, L), so that what a large package loses does not make the next one too large. A share of 1
// or more drops nothing. The same files give the same result in any order. `unique`: the fraction of each package;
// empty, or 1 where it is not known.
CapResult apply_caps(const std::vector<CappedFile>& files, double package_share, double test_share,
                     const std::vector<double>& unique = {});

// Of 120 Debian packages the two generated ones of some size have 0.33 (plotly) and 0.35 (kubernetes), every other one
// 0.71 or more.
inline constexpr double kRepetitive = 0.5;

// Of the lines of a package's files, each counted once per file, the share that is left when each counts once in the
// package. Estimated from one line in kLinesPerSample, chosen by its hash, so that all copies of a line are in the
// sample or none.
class UniqueLines {
 public:
  static constexpr uint64_t kLinesPerSample = 64;
  static std::vector<uint32_t> sample(std::span<const uint64_t> line_hashes);
  void add(std::span<const uint32_t> sample);  // of one file
  // 1 for a package of fewer lines than kFewestSamples x kLinesPerSample: too few to tell.
  double fraction() const;

 private:
  static constexpr size_t kFewestSamples = 64;
  std::vector<uint32_t> lines_;
};

}  // namespace ballast
