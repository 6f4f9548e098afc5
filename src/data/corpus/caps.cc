#include "data/corpus/caps.h"

#include <algorithm>
#include <functional>
#include <limits>
#include <set>

namespace ballast {
namespace {

using Order = std::vector<uint32_t>;

// Keeps files in their order while they fit below `limit` bytes; drops the others.
template <class F>
void fill(const std::vector<CappedFile>& files, const Order& order, std::vector<CapVerdict>& verdict, CapVerdict why,
          std::vector<double> room, F&& bin_of) {
  for (const uint32_t i : order) {
    const size_t bin = bin_of(files[i]);
    if (verdict[i] != CapVerdict::kept || bin >= room.size()) continue;
    if (static_cast<double>(files[i].bytes) <= room[bin]) {
      room[bin] -= static_cast<double>(files[i].bytes);
    } else {
      verdict[i] = why;
    }
  }
}

// The largest L with L <= share * sum of min(b, L), for bytes `b` in falling order.
double package_limit(std::vector<double> b, double share) {
  std::sort(b.begin(), b.end(), std::greater<>());
  double rest = 0;
  for (const double v : b) rest += v;
  for (size_t capped = 0; capped < b.size(); ++capped) {
    const double free = 1 - static_cast<double>(capped) * share;
    if (free <= 1e-12) break;
    const double limit = share * rest / free;  // where the `capped` largest are at the limit
    if (b[capped] <= limit) return limit;
    rest -= b[capped];
  }
  return b.empty() ? 0 : b.back();  // as many packages as the share allows at least: all alike
}

}  // namespace

std::vector<uint32_t> UniqueLines::sample(std::span<const uint64_t> line_hashes) {
  std::vector<uint32_t> out;
  for (const uint64_t hash : line_hashes) {
    if ((hash >> 32) % kLinesPerSample == 0) out.push_back(static_cast<uint32_t>(hash));
  }
  return out;
}

void UniqueLines::add(std::span<const uint32_t> sample) { lines_.insert(lines_.end(), sample.begin(), sample.end()); }

double UniqueLines::fraction() const {
  if (lines_.size() < kFewestSamples) return 1;
  const std::set<uint32_t> distinct(lines_.begin(), lines_.end());
  return static_cast<double>(distinct.size()) / static_cast<double>(lines_.size());
}

CapResult apply_caps(const std::vector<CappedFile>& files, double package_share, double test_share,
                     const std::vector<double>& unique) {
  CapResult result;
  result.verdict.assign(files.size(), CapVerdict::kept);
  Order order(files.size());
  for (uint32_t i = 0; i < order.size(); ++i) order[i] = i;
  std::sort(order.begin(), order.end(), [&](uint32_t a, uint32_t b) { return files[a].order < files[b].order; });
  uint32_t packages = 0;
  for (const CappedFile& f : files) packages = std::max(packages, f.package + 1);
  std::vector<char> seen(packages, 0);
  for (const CappedFile& f : files) seen[f.package] |= f.bytes > 0;
  const auto present = static_cast<double>(std::count(seen.begin(), seen.end(), 1));
  result.packages_capped = package_share >= 1 || present * package_share > 1;

  const auto repetitive = [&](uint32_t package) { return package < unique.size() && unique[package] < kRepetitive; };
  double ordinary = 0;
  for (const CappedFile& f : files) ordinary += repetitive(f.package) ? 0 : static_cast<double>(f.bytes);
  if (package_share < 1 && ordinary > 0) {
    std::vector<double> room(packages, std::numeric_limits<double>::infinity());
    for (uint32_t p = 0; p < packages; ++p) {
      if (repetitive(p)) room[p] = package_share * unique[p] * ordinary;
    }
    fill(files, order, result.verdict, CapVerdict::repetition, std::move(room),
         [](const CappedFile& f) -> size_t { return f.package; });
  }

  // Each rule makes the other's whole smaller. Whole files never add up to a limit, so there is always one more to
  // drop: after a few rounds shares are within a file of what they should be.
  for (int round = 0; round < 3; ++round) {
    double other = 0;
    std::vector<double> bytes(packages, 0);
    for (size_t i = 0; i < files.size(); ++i) {
      if (result.verdict[i] == CapVerdict::kept && !files[i].test) other += static_cast<double>(files[i].bytes);
    }
    if (test_share < 1) {
      fill(files, order, result.verdict, CapVerdict::test_share, {test_share / (1 - test_share) * other},
           [](const CappedFile& f) -> size_t { return f.test ? 0 : 1; });
    }
    if (package_share < 1 && result.packages_capped) {
      for (size_t i = 0; i < files.size(); ++i) {
        if (result.verdict[i] == CapVerdict::kept) bytes[files[i].package] += static_cast<double>(files[i].bytes);
      }
      std::erase(bytes, 0.0);
      fill(files, order, result.verdict, CapVerdict::package_share,
           std::vector<double>(packages, package_limit(std::move(bytes), package_share)),
           [](const CappedFile& f) -> size_t { return f.package; });
    }
  }
  return result;
}

}  // namespace ballast
