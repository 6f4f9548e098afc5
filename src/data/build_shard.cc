#include "data/build_shard.h"

#include <algorithm>
#include <exception>

#include "base/error.h"
#include "base/thread_pool.h"

namespace ballast {

void require_fim_rate(const FimOptions& fim, const TextEncoder& encoder) {
  if (!(fim.rate >= 0 && fim.rate <= 1)) fail(ErrorKind::usage, "fim.rate", "{} is not between 0 and 1", fim.rate);
  if (fim.rate > 0) require_fim_tokens(encoder);
}

namespace {

constexpr size_t kBlock = 64;  // documents encoded at a time

struct Encoded {
  std::vector<int32_t> ids;
  size_t bytes = 0;
  bool fim = false;
  std::exception_ptr error;
};

}  // namespace

void build_shard(const std::filesystem::path& path, const CorpusIndex& corpus, Split split, const TextEncoder& encoder,
                 const FimOptions& fim, const std::function<void(int64_t)>& on_document, int threads) {
  if (split == Split::train) require_fim_rate(fim, encoder);
  const double rate = split == Split::train ? fim.rate : 0;
  const auto seed = static_cast<uint64_t>(fim.seed);
  ShardWriter writer(path, {.vocab_size = encoder.vocab_size,
                            .tokenizer_hash = encoder.hash,
                            .corpus_hash = corpus.hash(),
                            .split = split_name(split),
                            .fim_rate = rate,
                            .fim_seed = seed});
  const std::vector<uint32_t> files = corpus.files(split);
  ThreadPool pool(threads);
  std::vector<Encoded> block;
  for (size_t begin = 0; begin < files.size(); begin += kBlock) {
    block.assign(std::min(kBlock, files.size() - begin), {});
    pool.for_each(static_cast<int64_t>(block.size()), [&](int64_t task, int) {
      Encoded& out = block[static_cast<size_t>(task)];
      const size_t place = begin + static_cast<size_t>(task);
      try {
        const std::string text = corpus.read(files[place]);
        const auto cuts = fim_cuts(text, rate, seed, 0, place);
        out.ids = encode_document(encoder, text, cuts);
        out.bytes = text.size();
        out.fim = cuts.has_value();
      } catch (...) {
        out.error = std::current_exception();
      }
    });
    for (size_t i = 0; i < block.size(); ++i) {
      if (block[i].error) std::rethrow_exception(block[i].error);
      writer.add(block[i].ids, block[i].bytes, block[i].fim);
      if (on_document) on_document(static_cast<int64_t>(begin + i + 1));
    }
  }
  writer.commit();
}

}  // namespace ballast
