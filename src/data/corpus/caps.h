// No part of the corpus may outgrow the others: tests at most a share of it, and every package.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace ballast {

struct CappedFile {
  uint32_t package = 0;
  int64_t bytes = 0;
  bool test = false;
  std::string order;  // files of a package stay in this order until its share is full: their sha256, as good as random
};

enum class CapVerdict : uint8_t { kept, package_share, test_share };

struct CapResult {
  std::vector<CapVerdict> verdict;  // per file
  bool packages_capped = true;      // false: no more than 1 / package_share packages, so no such corpus exists
};

// Drops files until tests have at most `test_share` of the bytes that stay and every package at most `package_share`,
// each to within a file.
// The package limit L solves L = share * sum of min(bytes, L), so that what a large package loses does not make the
// next one too large. A share of 1 or more drops nothing. The same files give the same result in any order.
CapResult apply_caps(const std::vector<CappedFile>& files, double package_share, double test_share);

}  // namespace ballast
