#include "data/build_shard.h"

#include "base/error.h"

namespace ballast {

void build_shard(const std::filesystem::path& path, const Corpus& corpus, Split split, const TextEncoder& encoder,
                 const FimOptions& fim) {
  if (!(fim.rate >= 0 && fim.rate <= 1)) fail(ErrorKind::usage, "fim_rate", "{} is not between 0 and 1", fim.rate);
  const double rate = split == Split::train ? fim.rate : 0;
  if (rate > 0) require_fim_tokens(encoder);
  ShardWriter writer(path, {.vocab_size = encoder.vocab_size,
                            .tokenizer_hash = encoder.hash,
                            .corpus_hash = corpus.hash(),
                            .split = split_name(split),
                            .fim_rate = rate,
                            .fim_seed = fim.seed});
  uint64_t place = 0;
  for (const Document* d : corpus.part(split)) {
    const auto cuts = fim_cuts(d->text, rate, fim.seed, 0, place++);
    writer.add(encode_document(encoder, d->text, cuts), d->text.size(), cuts.has_value());
  }
  writer.commit();
}

}  // namespace ballast
