#include "eval/heldout.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <numbers>
#include <numeric>

#include "base/error.h"
#include "base/interrupt.h"
#include "base/progress.h"
#include "base/rng.h"
#include "eval/metrics.h"

namespace ballast {
namespace {

struct Columns {
  std::vector<double> bits, bytes;
  std::vector<int64_t> cluster;
  explicit Columns(const HeldOutResult& r) : cluster(r.documents.size()) {
    for (const DocumentBits& d : r.documents) {
      bits.push_back(d.bits);
      bytes.push_back(static_cast<double>(d.bytes));
    }
    std::iota(cluster.begin(), cluster.end(), int64_t{0});
  }
  RatioOfSums ratio() const { return {bits, bytes}; }
};

// The windows of one document's ids (with bos, if any, in front). All but the first id are scored, each once.
void add_windows(const std::vector<int32_t>& ids, int64_t context, int64_t stride, size_t document,
                 std::vector<ScoreRequest>& requests, std::vector<size_t>& owners) {
  const auto n = static_cast<int64_t>(ids.size());
  for (int64_t begin = 0, done = 1; done < n; begin += stride) {
    const int64_t end = std::min(begin + context, n);
    if (end <= done) continue;
    requests.push_back({{ids.begin() + begin, ids.begin() + end}, end - done});
    owners.push_back(document);
    done = end;
  }
}

}  // namespace

double HeldOutResult::bpb() const {
  double bits = 0;
  for (const DocumentBits& d : documents) bits += d.bits;
  return bits / static_cast<double>(bytes());
}

int64_t HeldOutResult::bytes() const {
  int64_t n = 0;
  for (const DocumentBits& d : documents) n += d.bytes;
  return n;
}

double HeldOutResult::macro_bpb() const {
  std::map<std::string, std::pair<double, double>> packages;
  for (const DocumentBits& d : documents) {
    packages[d.package].first += d.bits;
    packages[d.package].second += static_cast<double>(d.bytes);
  }
  double sum = 0;
  for (const auto& [package, p] : packages) sum += p.first / p.second;
  return sum / static_cast<double>(packages.size());
}

double HeldOutResult::accuracy() const {
  int64_t tokens = 0, right = 0;
  for (const DocumentBits& d : documents) {
    tokens += d.tokens;
    right += d.right;
  }
  return tokens == 0 ? 0 : static_cast<double>(right) / static_cast<double>(tokens);
}

Interval HeldOutResult::interval(uint64_t seed) const {
  const Columns c(*this);
  return bootstrap_ratio(c.ratio(), c.cluster, seed);
}

Json HeldOutResult::to_json(uint64_t seed) const {
  Json json = Json::object(), records = Json::array();
  const Interval i = interval(seed);
  json["name"] = name;
  json["note"] = note;
  json["bpb"] = bpb();
  json["bpb_lo"] = i.lo;
  json["bpb_hi"] = i.hi;
  json["interval"] = "95 % bootstrap over files";
  json["macro_bpb"] = macro_bpb();
  json["bytes"] = bytes();
  if (!documents.empty() && documents[0].tokens > 0) json["token_accuracy"] = accuracy();
  for (const DocumentBits& d : documents) {
    Json record = Json::object();
    record["path"] = d.path;
    record["package"] = d.package;
    record["bytes"] = d.bytes;
    record["bits"] = d.bits;
    if (d.tokens > 0) record["tokens"] = d.tokens;
    if (d.tokens > 0) record["right"] = d.right;
    records.push_back(std::move(record));
  }
  json["documents"] = std::move(records);
  return json;
}

bool beats(const HeldOutResult& model, const HeldOutResult& rival, uint64_t seed) {
  CHECK(model.documents.size() == rival.documents.size());
  for (size_t i = 0; i < model.documents.size(); ++i) {
    CHECK(model.documents[i].path == rival.documents[i].path && model.documents[i].bytes == rival.documents[i].bytes);
  }
  const Columns a(model), b(rival);
  return bootstrap_ratio_difference(a.ratio(), b.ratio(), a.cluster, seed).hi < 0;
}

Documents sample_documents(const Documents& documents, int64_t max_bytes, uint64_t seed) {
  if (max_bytes <= 0 || documents.empty()) return documents;
  Documents order = documents, taken;
  Rng rng(seed, 0x6865);
  for (size_t i = order.size(); i > 1; --i) std::swap(order[i - 1], order[rng.below(i)]);
  int64_t bytes = 0;
  for (const Document* d : order) {
    const auto n = static_cast<int64_t>(d->text.size());
    if (bytes + n > max_bytes) continue;
    bytes += n;
    taken.push_back(d);
  }
  if (taken.empty()) {
    taken.push_back(*std::min_element(order.begin(), order.end(), [](const Document* a, const Document* b) {
      return a->text.size() < b->text.size();
    }));
  }
  std::sort(taken.begin(), taken.end(), [](const Document* a, const Document* b) { return a->path < b->path; });
  return taken;
}

HeldOutResult score_held_out(Generator& model, const Documents& documents, const HeldOutOptions& options) {
  const int64_t context = model.context_length(), stride = options.stride == 0 ? context : options.stride;
  if (stride < 1 || stride > context || context < 2) {
    fail(ErrorKind::usage, "stride", "{} is not between 1 and the model's context of {} tokens", stride, context);
  }
  // Without overlap a window's first token would be scored by nobody, as it has nothing before it: windows share one.
  const int64_t step = std::min(stride, context - 1);
  const int32_t bos = model.control().bos;
  HeldOutResult result;
  result.name = "model";
  result.note = fmt::format("context {} tokens, reset per document; windows every {} tokens", context, step);
  std::vector<ScoreRequest> requests;
  std::vector<size_t> owners;
  for (const Document* d : documents) {
    DocumentBits record{d->path, d->package, static_cast<int64_t>(d->text.size()), 0, 0, 0};
    std::vector<int32_t> ids = model.encode(d->text);
    if (bos >= 0) ids.insert(ids.begin(), bos);
    if (bos < 0 && !ids.empty()) {
      record.bits = std::log2(static_cast<double>(model.vocab_size()));
      record.tokens = 1;
    }
    add_windows(ids, context, step, result.documents.size(), requests, owners);
    result.documents.push_back(std::move(record));
  }
  int64_t total = 0, done = 0;
  for (const ScoreRequest& r : requests) total += r.scored;
  Progress progress("held-out", total, "tokens");
  for (size_t at = 0; at < requests.size();) {
    const size_t count = std::min(requests.size() - at, static_cast<size_t>(options.requests_per_call));
    const std::vector<Score> scores = model.score(std::span(requests).subspan(at, count));
    CHECK(scores.size() == count);
    for (size_t i = 0; i < count; ++i, ++at) {
      CHECK(static_cast<int64_t>(scores[i].nll.size()) == requests[at].scored);
      DocumentBits& d = result.documents[owners[at]];
      for (const float nll : scores[i].nll) d.bits += static_cast<double>(nll) / std::numbers::ln2;
      for (const uint8_t right : scores[i].top1) d.right += right;
      d.tokens += requests[at].scored;
      done += requests[at].scored;
    }
    if (interrupted()) fail(ErrorKind::interrupted, "eval", "stopped before it was done");
    progress.update(done);
  }
  progress.finish();
  return result;
}

}  // namespace ballast
