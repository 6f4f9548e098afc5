#include "data/build_shard.h"

#include "base/error.h"

namespace ballast {

void require_fim_rate(const FimOptions& fim, const TextEncoder& encoder) {
  if (!(fim.rate >= 0 && fim.rate <= 1)) fail(ErrorKind::usage, "fim.rate", "{} is not between 0 and 1", fim.rate);
  if (fim.rate > 0) require_fim_tokens(encoder);
}

void build_shard(const std::filesystem::path& path, const Corpus& corpus, Split split, const TextEncoder& encoder,
                 const FimOptions& fim, const std::function<void(int64_t)>& on_document) {
  if (split == Split::train) require_fim_rate(fim, encoder);
  const double rate = split == Split::train ? fim.rate : 0;
  const auto seed = static_cast<uint64_t>(fim.seed);
  ShardWriter writer(path, {.vocab_size = encoder.vocab_size,
                            .tokenizer_hash = encoder.hash,
                            .corpus_hash = corpus.hash(),
                            .split = split_name(split),
                            .fim_rate = rate,
                            .fim_seed = seed});
  uint64_t place = 0;
  for (const Document* d : corpus.part(split)) {
    const auto cuts = fim_cuts(d->text, rate, seed, 0, place++);
    writer.add(encode_document(encoder, d->text, cuts), d->text.size(), cuts.has_value());
    if (on_document) on_document(static_cast<int64_t>(place));
  }
  writer.commit();
}

}  // namespace ballast
