#include "data/build_shard.h"

#include <algorithm>
#include <exception>

#include "base/error.h"
#include "base/thread_pool.h"
#include "data/corpus/repository_documents.h"

namespace ballast {

void require_fim_rate(const FimOptions& fim, const TextEncoder& encoder) {
  if (!(fim.rate >= 0 && fim.rate <= 1)) fail(ErrorKind::usage, "fim.rate", "{} is not between 0 and 1", fim.rate);
  if (fim.piece_bytes < 0) fail(ErrorKind::usage, "fim.piece_bytes", "{} is below 0", fim.piece_bytes);
  if (fim.rate > 0) require_fim_tokens(encoder);
}

namespace {

constexpr size_t kBlock = 64;  // documents encoded at a time, of a megabyte at most

struct Part {
  std::vector<int32_t> ids;
  size_t bytes = 0;
  bool fim = false;
};
struct Encoded {
  std::vector<Part> parts;  // of one document
  std::exception_ptr error;
};

// The text in pieces of whole lines, of at most `bytes` each where the lines allow it; 0: in one.
std::vector<std::string_view> pieces_of(std::string_view text, int64_t bytes) {
  std::vector<std::string_view> pieces;
  const auto most = static_cast<size_t>(bytes);
  while (bytes > 0 && text.size() > most) {
    size_t end = text.rfind('\n', most - 1);
    if (end == std::string_view::npos) end = text.find('\n', most);
    if (end == std::string_view::npos || end + 1 == text.size()) break;
    pieces.push_back(text.substr(0, end + 1));
    text.remove_prefix(end + 1);
  }
  pieces.push_back(text);
  return pieces;
}

// A document's ids. The draw that rearranges it is epoch 0 of its random numbers, its pieces' cuts are the epochs
// after.
std::vector<Part> encode_parts(const TextEncoder& encoder, std::string_view text, const FimOptions& fim, double rate,
                               uint64_t place) {
  const auto seed = static_cast<uint64_t>(fim.seed);
  const auto cuts = fim_cuts(text, rate, seed, 0, place);
  const auto pieces = pieces_of(text, cuts ? fim.piece_bytes : 0);
  std::vector<Part> parts;
  for (const std::string_view piece : pieces) {
    const auto own = pieces.size() == 1 ? cuts : fim_cuts(piece, 1, seed, parts.size() + 1, place);
    parts.push_back({encode_document(encoder, piece, own), piece.size(), own.has_value()});
  }
  return parts;
}

// A document's files, one after the other, and behind it those that are rearranged.
std::vector<Part> encode_repository(const CorpusIndex& corpus, const std::vector<uint32_t>& files,
                                    const RepositoryDocument& document, const TextEncoder& encoder,
                                    const FimOptions& fim) {
  std::string together;
  std::vector<Part> parts(1);
  for (size_t i = 0; i < document.files.size(); ++i) {
    const uint32_t place = document.files[i];
    const std::string text = corpus.read(files[place]);
    if (fim_cuts(text, fim.rate, static_cast<uint64_t>(fim.seed), 0, place)) {
      for (Part& part : encode_parts(encoder, text, fim, fim.rate, place)) parts.push_back(std::move(part));
    } else {
      append_file(together, document.paths[i], text);
    }
  }
  if (together.empty()) {
    parts.erase(parts.begin());
  } else {
    parts[0] = {encode_document(encoder, together, std::nullopt), together.size(), false};
  }
  return parts;
}

}  // namespace

void build_shard(const std::filesystem::path& path, const CorpusIndex& corpus, Split split, const TextEncoder& encoder,
                 const FimOptions& fim, const std::function<void(int64_t)>& on_files, int threads, bool repo_context) {
  if (split == Split::train) require_fim_rate(fim, encoder);
  const double rate = split == Split::train ? fim.rate : 0;
  repo_context = repo_context && split == Split::train;
  ShardWriter writer(path, {.vocab_size = encoder.vocab_size,
                            .tokenizer_hash = encoder.hash,
                            .corpus_hash = corpus.hash(),
                            .split = split_name(split),
                            .fim_rate = rate,
                            .fim_seed = static_cast<uint64_t>(fim.seed),
                            .repo_context = repo_context});
  const std::vector<uint32_t> files = corpus.files(split);
  std::vector<RepositoryDocument> repositories;
  if (repo_context) repositories = repository_documents(corpus, split, threads);
  const size_t documents = repo_context ? repositories.size() : files.size();
  ThreadPool pool(threads);
  std::vector<Encoded> block;
  int64_t done = 0;
  for (size_t begin = 0; begin < documents; begin += kBlock) {
    block.assign(std::min(kBlock, documents - begin), {});
    pool.for_each(static_cast<int64_t>(block.size()), [&](int64_t task, int) {
      Encoded& out = block[static_cast<size_t>(task)];
      const size_t place = begin + static_cast<size_t>(task);
      try {
        out.parts = repo_context ? encode_repository(corpus, files, repositories[place], encoder, fim)
                                 : encode_parts(encoder, corpus.read(files[place]), fim, rate, place);
      } catch (...) {
        out.error = std::current_exception();
      }
    });
    for (size_t i = 0; i < block.size(); ++i) {
      if (block[i].error) std::rethrow_exception(block[i].error);
      for (const Part& part : block[i].parts) writer.add(part.ids, part.bytes, part.fim);
      done += repo_context ? std::ssize(repositories[begin + i].files) : 1;
      if (on_files) on_files(done);
    }
  }
  writer.commit();
}

}  // namespace ballast
