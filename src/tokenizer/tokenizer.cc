#include "tokenizer/tokenizer.h"

#include <array>
#include <cstring>
#include <mutex>
#include <unordered_map>

#include "base/error.h"
#include "base/utf8.h"
#include "tokenizer/bpe.h"
#include "tokenizer/byte_level.h"
#include "tokenizer/pretokenizer.h"
#include "tokenizer/string_matcher.h"
#include "tokenizer/tokenizer_json.h"

namespace ballast {
namespace {

// The length of the longest beginning of `text` that is valid UTF-8.
size_t valid_length(std::string_view text) {
  size_t i = 0;
  while (i < text.size()) {
    uint64_t word;
    while (i + 8 <= text.size() && (std::memcpy(&word, text.data() + i, 8), (word & 0x8080808080808080) == 0)) i += 8;
    if (i == text.size()) break;
    const int length = utf8_length(text.substr(i));
    if (length == 0) break;
    i += length;
  }
  return i;
}

}  // namespace

struct Tokenizer::Tables {
  // What one call to encode needs. Kept from call to call, so that the piece cache stays warm.
  struct Worker {
    PreTokenizer::Scratch split;
    Bpe::Scratch merge;
    PieceCache cache;
    std::vector<uint32_t> ends;
  };

  Tables(TokenizerSpec spec_in, const std::string& where)
      : spec(std::move(spec_in)), split(spec.pre_tokenizer, where + ": pre_tokenizer") {
    read_tokens(where);
    build_bpe(where);
  }

  void read_tokens(const std::string& where);
  void build_bpe(const std::string& where);

  std::unique_ptr<Worker> borrow() const {
    const std::lock_guard lock(mutex);
    if (idle.empty()) return std::make_unique<Worker>();
    std::unique_ptr<Worker> worker = std::move(idle.back());
    idle.pop_back();
    return worker;
  }
  void give_back(std::unique_ptr<Worker> worker) const {
    const std::lock_guard lock(mutex);
    idle.push_back(std::move(worker));
  }

  // Each of these handles what the one before leaves over.
  void encode_control(std::string_view text, std::vector<int32_t>& out, Worker& worker) const;
  void encode_added(std::string_view text, size_t pass, std::vector<int32_t>& out, Worker& worker) const;
  void encode_text(std::string_view text, std::vector<int32_t>& out, Worker& worker) const;

  TokenizerSpec spec;
  PreTokenizer split;
  std::string bytes;              // of all tokens, one after the other
  std::vector<uint32_t> offsets;  // token id: bytes[offsets[id], offsets[id + 1])
  std::vector<bool> is_control;
  std::unordered_map<std::string_view, int32_t> ids;  // by bytes; views into `bytes`
  StringMatcher control;
  std::array<StringMatcher, 2> added;  // before and after normalization, which is none
  std::unique_ptr<const Bpe> bpe;
  mutable std::mutex mutex;
  mutable std::vector<std::unique_ptr<Worker>> idle;
};

void Tokenizer::Tables::read_tokens(const std::string& where) {
  size_t size = spec.symbols.size();
  for (const AddedToken& token : spec.added) size = std::max(size, static_cast<size_t>(token.id) + 1);
  std::vector<std::string> texts(size);
  for (size_t id = 0; id < spec.symbols.size(); ++id)
    texts[id] = from_symbols(spec.symbols[id]).value_or(spec.symbols[id]);
  is_control.assign(size, false);
  for (const AddedToken& token : spec.added) {
    texts[token.id] = token.content;
    is_control[token.id] = token.control;
    if (token.control) {
      control.add(token.content, token.id);
    } else {
      added[token.normalized].add(token.content, token.id);
    }
  }
  offsets.push_back(0);
  for (const std::string& text : texts) {
    bytes += text;
    if (bytes.size() > UINT32_MAX) fail(ErrorKind::format, where, "the tokens' texts are more than 4 GiB");
    offsets.push_back(static_cast<uint32_t>(bytes.size()));
  }
  const auto remember = [&](int32_t id) {
    ids.emplace(std::string_view(bytes).substr(offsets[id], offsets[id + 1] - offsets[id]), id);
  };
  for (const AddedToken& token : spec.added) remember(token.id);
  for (size_t id = 0; id < spec.symbols.size(); ++id)
    if (!spec.symbols[id].empty()) remember(static_cast<int32_t>(id));
}

void Tokenizer::Tables::build_bpe(const std::string& where) {
  std::unordered_map<std::string_view, int32_t> by_symbol;
  for (size_t id = 0; id < spec.symbols.size(); ++id)
    if (!spec.symbols[id].empty()) by_symbol.emplace(spec.symbols[id], static_cast<int32_t>(id));
  std::array<int32_t, 256> byte_ids;
  for (int b = 0; b < 256; ++b) {
    const auto id = by_symbol.find(byte_symbol(static_cast<uint8_t>(b)));
    byte_ids[b] = id == by_symbol.end() ? -1 : id->second;
    if (byte_ids[b] >= 0 && is_control[byte_ids[b]])
      fail(ErrorKind::unsupported, where, "the control token '{}' is also the token of a byte, which text needs",
           id->first);
  }
  std::vector<int32_t> results;
  results.reserve(spec.merges.size());
  for (const auto& [left, right] : spec.merges) {
    const int32_t id = by_symbol.at(spec.symbols[left] + spec.symbols[right]);
    results.push_back(is_control[id] ? -1 : id);  // text that spells a control token must not merge into it
  }
  std::unordered_map<std::string, int32_t> whole;
  if (spec.ignore_merges) {
    for (const auto& [symbol, id] : by_symbol)
      if (const auto text = from_symbols(symbol); text && !is_control[id]) whole.emplace(*text, id);
  }
  bpe = std::make_unique<Bpe>(byte_ids, spec.merges, results, std::move(whole));
}

void Tokenizer::Tables::encode_control(std::string_view text, std::vector<int32_t>& out, Worker& worker) const {
  size_t from = 0;
  for (StringMatcher::Match match; control.find(text, from, match); from = match.end) {
    encode_added(text.substr(from, match.begin - from), 0, out, worker);
    out.push_back(match.id);
  }
  encode_added(text.substr(from), 0, out, worker);
}

void Tokenizer::Tables::encode_added(std::string_view text, size_t pass, std::vector<int32_t>& out,
                                     Worker& worker) const {
  if (pass == added.size()) return encode_text(text, out, worker);
  size_t from = 0;
  for (StringMatcher::Match match; added[pass].find(text, from, match); from = match.end) {
    encode_added(text.substr(from, match.begin - from), pass + 1, out, worker);
    out.push_back(match.id);
  }
  encode_added(text.substr(from), pass + 1, out, worker);
}

void Tokenizer::Tables::encode_text(std::string_view text, std::vector<int32_t>& out, Worker& worker) const {
  while (!text.empty()) {
    const size_t valid = valid_length(text);
    split.split(text.substr(0, valid), worker.ends, worker.split);
    uint32_t begin = 0;
    for (const uint32_t end : worker.ends) {
      worker.cache.encode(text.substr(begin, end - begin), *bpe, out, worker.merge);
      begin = end;
    }
    if (valid < text.size()) bpe->encode(text.substr(valid, 1), out, worker.merge);
    text.remove_prefix(std::min(valid + 1, text.size()));
  }
}

Tokenizer Tokenizer::load(const std::filesystem::path& file_or_folder) {
  const std::filesystem::path file = find_tokenizer_json(file_or_folder);
  return Tokenizer(read_tokenizer_json(file), file.string());
}

Tokenizer::Tokenizer(TokenizerSpec spec, const std::string& where)
    : tables_(std::make_shared<const Tables>(std::move(spec), where)) {}

void Tokenizer::save(const std::filesystem::path& tokenizer_json) const {
  write_tokenizer_json(tables_->spec, tokenizer_json);
}

void Tokenizer::encode(std::string_view utf8, std::vector<int32_t>& out) const {
  auto worker = tables_->borrow();
  tables_->encode_added(utf8, 0, out, *worker);
  tables_->give_back(std::move(worker));
}

std::vector<int32_t> Tokenizer::encode(std::string_view utf8) const {
  std::vector<int32_t> out;
  encode(utf8, out);
  return out;
}

std::vector<int32_t> Tokenizer::encode_with_control(std::string_view utf8) const {
  std::vector<int32_t> out;
  auto worker = tables_->borrow();
  tables_->encode_control(utf8, out, *worker);
  tables_->give_back(std::move(worker));
  return out;
}

std::string_view Tokenizer::token_bytes(int32_t id) const {
  if (id < 0 || id >= vocab_size()) return {};
  const uint32_t begin = tables_->offsets[id];
  return std::string_view(tables_->bytes).substr(begin, tables_->offsets[id + 1] - begin);
}

std::string Tokenizer::decode(std::span<const int32_t> ids) const {
  std::string out;
  out.reserve(4 * ids.size());
  for (const int32_t id : ids) out += token_bytes(id);
  return out;
}

int32_t Tokenizer::vocab_size() const { return static_cast<int32_t>(tables_->offsets.size()) - 1; }

std::optional<int32_t> Tokenizer::token_id(std::string_view text) const {
  const auto id = tables_->ids.find(text);
  return id == tables_->ids.end() ? std::nullopt : std::optional(id->second);
}

const ControlTokens& Tokenizer::control() const { return tables_->spec.control; }

std::vector<std::string> Tokenizer::control_strings() const {
  std::vector<std::string> out;
  for (const AddedToken& token : tables_->spec.added)
    if (token.control) out.push_back(token.content);
  return out;
}

bool Tokenizer::is_control(int32_t id) const { return id >= 0 && id < vocab_size() && tables_->is_control[id]; }

const TokenizerSpec& Tokenizer::spec() const { return tables_->spec; }

}  // namespace ballast
