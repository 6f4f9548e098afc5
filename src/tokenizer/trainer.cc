#include "tokenizer/trainer.h"

#include <algorithm>
#include <array>
#include <queue>
#include <utility>

#include "base/error.h"
#include "base/utf8.h"
#include "tokenizer/byte_level.h"

namespace ballast {
namespace {

using Pair = std::pair<int32_t, int32_t>;

uint64_t key_of(Pair p) { return uint64_t{static_cast<uint32_t>(p.first)} << 32 | static_cast<uint32_t>(p.second); }

struct Word {
  std::vector<int32_t> ids;
  int64_t count;
};

// A pair to merge, how often it was when this was queued, and the words (ascending) that it was then known in.
struct Candidate {
  Pair pair;
  int64_t count;
  std::vector<int32_t> words;
  bool operator<(const Candidate& other) const {  // the queue's top is the largest
    return count != other.count ? count < other.count : pair > other.pair;
  }
};

// The state of one training run.
class Merger {
 public:
  Merger(TokenizerSpec& spec, std::vector<Word> words) : spec_(spec), words_(std::move(words)) {
    for (size_t id = 0; id < spec_.symbols.size(); ++id) ids_.emplace(spec_.symbols[id], static_cast<int32_t>(id));
    for (size_t w = 0; w < words_.size(); ++w)
      for (size_t i = 0; i + 1 < words_[w].ids.size(); ++i)
        change({words_[w].ids[i], words_[w].ids[i + 1]}, words_[w].count, static_cast<int32_t>(w));
    queue_changed();
  }

  void run(size_t vocab_size, const std::function<void(int64_t, int64_t)>& progress) {
    const auto first = static_cast<int64_t>(spec_.symbols.size());
    while (spec_.symbols.size() < vocab_size && !queue_.empty()) {
      Candidate best = queue_.top();
      queue_.pop();
      const int64_t count = counts_[key_of(best.pair)];
      if (count != best.count) {
        best.count = count;
        queue_.push(std::move(best));
        continue;
      }
      if (count < 1) break;
      merge(best);
      const auto done = static_cast<int64_t>(spec_.symbols.size()) - first;
      if (progress && done % 256 == 0) progress(done, static_cast<int64_t>(vocab_size) - first);
    }
  }

 private:
  void change(Pair pair, int64_t by, int32_t word) {
    counts_[key_of(pair)] += by;
    if (by < 0) return;
    std::vector<int32_t>& words = changed_[key_of(pair)];
    if (words.empty() || words.back() != word) words.push_back(word);
  }

  void queue_changed() {
    for (auto& [key, words] : changed_) {
      const int64_t count = counts_[key];
      if (count > 0)
        queue_.push({{static_cast<int32_t>(key >> 32), static_cast<int32_t>(key)}, count, std::move(words)});
    }
    changed_.clear();
  }

  void merge(const Candidate& best) {
    std::string symbol = spec_.symbols[best.pair.first] + spec_.symbols[best.pair.second];
    const auto [entry, fresh] = ids_.emplace(symbol, static_cast<int32_t>(spec_.symbols.size()));
    if (fresh) spec_.symbols.push_back(std::move(symbol));
    spec_.merges.push_back(best.pair);
    for (const int32_t word : best.words) merge_in_word(best.pair, entry->second, word);
    queue_changed();
  }

  // Joins every occurrence of the pair in one word and counts the neighbours anew. As in Hugging Face's trainer, the
  // count of the pair itself is left as it is.
  void merge_in_word(Pair pair, int32_t joined, int32_t w) {
    std::vector<int32_t>& ids = words_[w].ids;
    const int64_t count = words_[w].count;
    size_t to = 0;
    for (size_t from = 0; from < ids.size();) {
      const bool here = ids[from] == pair.first && from + 1 < ids.size() && ids[from + 1] == pair.second;
      if (!here) {
        ids[to++] = ids[from++];
        continue;
      }
      if (to > 0) {
        change({ids[to - 1], pair.first}, -count, w);
        change({ids[to - 1], joined}, count, w);
      }
      if (from + 2 < ids.size()) {
        change({pair.second, ids[from + 2]}, -count, w);
        change({joined, ids[from + 2]}, count, w);
      }
      ids[to++] = joined;
      from += 2;
    }
    ids.resize(to);
  }

  TokenizerSpec& spec_;
  std::vector<Word> words_;
  std::unordered_map<std::string, int32_t> ids_;
  std::unordered_map<uint64_t, int64_t> counts_;
  std::unordered_map<uint64_t, std::vector<int32_t>> changed_;  // pairs that a merge made, and in which words
  std::priority_queue<Candidate> queue_;
};

// Special tokens, then the 256 bytes.
TokenizerSpec first_tokens(const TrainerOptions& options) {
  TokenizerSpec spec;
  for (const std::string& text : options.special_tokens) {
    spec.added.push_back({static_cast<int32_t>(spec.symbols.size()), text, true, false, false});
    spec.symbols.push_back(text);
  }
  for (const uint8_t byte : alphabet_order()) spec.symbols.emplace_back(byte_symbol(byte));
  spec.pre_tokenizer = options.pre_tokenizer;
  spec.decoder =
      Json::Object{{"type", "ByteLevel"}, {"add_prefix_space", true}, {"trim_offsets", true}, {"use_regex", true}};
  return spec;
}

}  // namespace

BpeTrainer::BpeTrainer(TrainerOptions options)
    : options_(std::move(options)), split_(options_.pre_tokenizer, "pre_tokenizer") {}

void BpeTrainer::add(std::string_view text) {
  const std::string valid = valid_utf8(text);
  split_.split(valid, ends_, scratch_);
  uint32_t begin = 0;
  for (const uint32_t end : ends_) {
    const std::string_view piece = std::string_view(valid).substr(begin, end - begin);
    const auto known = pieces_.find(piece);
    if (known != pieces_.end()) {
      ++known->second;
    } else {
      pieces_.emplace(piece, 1);
    }
    begin = end;
  }
}

Tokenizer BpeTrainer::train(int32_t vocab_size) const {
  TokenizerSpec spec = first_tokens(options_);
  const size_t least = spec.symbols.size();
  if (vocab_size < static_cast<int64_t>(least))
    fail(ErrorKind::usage, "vocab_size", "{} is too small: 256 bytes and {} special tokens need {}", vocab_size,
         options_.special_tokens.size(), least);
  if (pieces_.empty()) fail(ErrorKind::usage, "tokenizer", "there is no text to train on");
  std::array<int32_t, 256> byte_ids;
  const std::array<uint8_t, 256> order = alphabet_order();
  for (size_t i = 0; i < 256; ++i) byte_ids[order[i]] = static_cast<int32_t>(least - 256 + i);
  std::vector<Word> words;
  words.reserve(pieces_.size());
  for (const auto& [piece, count] : pieces_) {
    Word& word = words.emplace_back(Word{{}, count});
    for (const char c : piece) word.ids.push_back(byte_ids[static_cast<uint8_t>(c)]);
  }
  Merger(spec, std::move(words)).run(static_cast<size_t>(vocab_size), options_.progress);
  assign_control(spec, "");
  return Tokenizer(std::move(spec));
}

Tokenizer train_bpe(std::span<const std::string_view> texts, int32_t vocab_size, const TrainerOptions& options) {
  BpeTrainer trainer(options);
  for (const std::string_view text : texts) trainer.add(text);
  return trainer.train(vocab_size);
}

}  // namespace ballast
