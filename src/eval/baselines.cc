#include "eval/baselines.h"

#include "base/error.h"
#include "base/progress.h"
#include "eval/compressor.h"
#include "eval/ngram.h"

namespace ballast {
namespace {

template <class F>
HeldOutResult score_each(const char* name, const Documents& held_out, F&& bits) {
  HeldOutResult result;
  result.name = name;
  Progress progress(name, static_cast<int64_t>(held_out.size()), "files");
  for (const Document* d : held_out) {
    result.documents.push_back({d->path, d->package, static_cast<int64_t>(d->text.size()), bits(d->text), 0, 0});
    progress.update(static_cast<int64_t>(result.documents.size()));
  }
  progress.finish();
  return result;
}

}  // namespace

HeldOutResult score_uniform(const Documents& held_out) {
  HeldOutResult result;
  result.name = "uniform";
  result.note = "every byte equally probable";
  for (const Document* d : held_out) {
    const auto bytes = static_cast<int64_t>(d->text.size());
    result.documents.push_back({d->path, d->package, bytes, 8.0 * static_cast<double>(bytes), 0, 0});
  }
  return result;
}

HeldOutResult score_ngram5(const Documents& train, const Documents& held_out) {
  ByteNgram model(5);
  for (const Document* d : train) model.add(d->text);
  model.finish();
  HeldOutResult result = score_each("ngram5", held_out, [&](const std::string& text) { return model.bits(text); });
  result.note = "byte 5-gram, interpolated Kneser-Ney, trained on the training part; contexts reset per file";
  return result;
}

HeldOutResult score_xz_file(const Documents& held_out) {
  HeldOutResult result = score_each("xz_file", held_out, [](const std::string& text) { return 8.0 * xz_size(text); });
  result.note = "xz -9e of each file, with its container";
  return result;
}

HeldOutResult score_xz_primed(const Documents& train, const Documents& held_out) {
  std::string before;
  for (const Document* d : train) before += d->text;
  PrimedCompressor compressor(before);
  HeldOutResult result =
      score_each("xz_primed", held_out, [&](const std::string& text) { return 8.0 * compressor.size(text); });
  result.note = fmt::format(
      "LZMA2 at preset 9e after the last {} bytes of the training part, for each file alone, "
      "without a container",
      compressor.primed_bytes());
  return result;
}

}  // namespace ballast
