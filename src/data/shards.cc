#include "data/shards.h"

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <cstring>

#include "base/error.h"
#include "base/hash.h"

namespace ballast {
namespace {

static_assert(std::endian::native == std::endian::little, "shards are read in place");

constexpr char kMagic[] = "BALSHARD", kEndMagic[] = "BALSHEND";
constexpr uint32_t kFormat = 1;
constexpr uint64_t kHeaderBytes = 16, kTrailerBytes = 24;
constexpr uint8_t kFimFlag = 1;

size_t token_width(int64_t vocab_size) { return vocab_size <= 65536 ? 2 : 4; }
uint64_t padded(uint64_t bytes) { return (bytes + 7) / 8 * 8; }

template <class T>
T load(const std::byte* p) {
  T v;
  std::memcpy(&v, p, sizeof v);
  return v;
}

template <class T>
std::span<const std::byte> bytes_of(const std::vector<T>& v) {
  return std::as_bytes(std::span(v));
}

Json section_json(uint64_t offset, uint64_t bytes, uint32_t crc) {
  Json s = Json::object();
  s["offset"] = offset;
  s["bytes"] = bytes;
  s["crc32c"] = int64_t{crc};
  return s;
}

}  // namespace

ShardWriter::ShardWriter(const std::filesystem::path& path, const ShardHeader& header)
    : file_(path), header_(header), width_(token_width(header.vocab_size)) {
  CHECK(header.vocab_size > 0);
  file_.write(kMagic, 8);
  const uint32_t rest[2] = {kFormat, 0};
  file_.write(rest, sizeof rest);
}

void ShardWriter::add(std::span<const int32_t> tokens, uint64_t text_bytes, bool fim) {
  CHECK(!tokens.empty());
  row_.resize(tokens.size() * width_);
  for (size_t i = 0; i < tokens.size(); ++i) {
    CHECK(tokens[i] >= 0 && tokens[i] < header_.vocab_size);
    std::memcpy(row_.data() + i * width_, &tokens[i], width_);
  }
  tokens_crc_ = crc32c(bytes_of(row_), tokens_crc_);
  file_.write(row_.data(), row_.size());
  offsets_.push_back(offsets_.back() + tokens.size());
  text_bytes_.push_back(text_bytes);
  flags_.push_back(fim ? kFimFlag : 0);
}

void ShardWriter::commit() {
  const uint64_t token_bytes = offsets_.back() * width_;
  const std::vector<uint8_t> zeros(padded(token_bytes) - token_bytes);
  tokens_crc_ = crc32c(bytes_of(zeros), tokens_crc_);
  file_.write(zeros.data(), zeros.size());

  Json sections = Json::object();
  sections["tokens"] = section_json(kHeaderBytes, padded(token_bytes), tokens_crc_);
  const auto append = [&](const char* name, std::span<const std::byte> bytes) {
    sections[name] = section_json(file_.offset(), bytes.size(), crc32c(bytes));
    file_.write(bytes.data(), bytes.size());
  };
  append("offsets", bytes_of(offsets_));
  append("text_bytes", bytes_of(text_bytes_));
  append("flags", bytes_of(flags_));

  Json index = Json::object();
  index["documents"] = static_cast<int64_t>(flags_.size());
  index["tokens"] = offsets_.back();
  index["vocab_size"] = header_.vocab_size;
  index["tokenizer_hash"] = header_.tokenizer_hash;
  index["corpus_hash"] = header_.corpus_hash;
  index["split"] = header_.split;
  index["fim_rate"] = header_.fim_rate;
  index["fim_seed"] = std::to_string(header_.fim_seed);  // text: JSON integers are signed
  if (header_.repo_context) index["repo_context"] = true;
  index["sections"] = std::move(sections);
  const std::string text = index.dump();
  const uint64_t offset = file_.offset();
  const uint32_t length = static_cast<uint32_t>(text.size()), crc = crc32c(text);
  file_.write(text);
  file_.write(&offset, sizeof offset);
  file_.write(&length, sizeof length);
  file_.write(&crc, sizeof crc);
  file_.write(kEndMagic, 8);
  file_.commit();
}

ShardReader::ShardReader(const std::filesystem::path& path) : path_(path), file_(path) {
  const auto bytes = file_.bytes();
  const std::string where = path.string();
  if (bytes.size() < 8 || std::memcmp(bytes.data(), kMagic, 8) != 0) {
    fail(ErrorKind::format, where, "not a token shard (it does not start with {}); build one with `ballast corpus`",
         kMagic);
  }
  if (bytes.size() < kHeaderBytes + kTrailerBytes) fail(ErrorKind::format, where, "the token shard is cut off");
  const auto format = load<uint32_t>(bytes.data() + 8);
  if (format > kFormat) {
    fail(ErrorKind::format, where, "token shard format {} is newer than this program's {}; use a newer ballast", format,
         kFormat);
  }
  const std::byte* trailer = bytes.data() + bytes.size() - kTrailerBytes;
  if (std::memcmp(trailer + 16, kEndMagic, 8) != 0) {
    fail(ErrorKind::format, where, "the token shard is cut off (its end mark is missing); build it again");
  }
  const auto at = load<uint64_t>(trailer);
  const auto length = load<uint32_t>(trailer + 8), crc = load<uint32_t>(trailer + 12);
  const uint64_t end = bytes.size() - kTrailerBytes;
  if (format == 0 || load<uint32_t>(bytes.data() + 12) != 0 || at < kHeaderBytes || at > end || length != end - at ||
      crc32c(bytes.subspan(at, length)) != crc) {
    fail(ErrorKind::format, where, "the token shard's index is damaged; build it again");
  }
  const std::string_view text = file_.text().substr(at, length);
  const Json index = Json::parse(text, where);
  hash_ = sha256_hex(text);
  documents_ = index.at("documents", where).as_int(where);
  const int64_t tokens = index.at("tokens", where).as_int(where);
  header_.vocab_size = index.at("vocab_size", where).as_int(where);
  header_.tokenizer_hash = index.at("tokenizer_hash", where).as_string(where);
  header_.corpus_hash = index.at("corpus_hash", where).as_string(where);
  header_.split = index.at("split", where).as_string(where);
  header_.fim_rate = index.at("fim_rate", where).as_double(where);
  header_.fim_seed = std::strtoull(index.at("fim_seed", where).as_string(where).c_str(), nullptr, 10);
  if (const Json* repo_context = index.find("repo_context")) header_.repo_context = repo_context->as_bool(where);
  // Counts larger than the file would overflow the products below.
  if (documents_ < 0 || tokens < 0 || header_.vocab_size <= 0 || header_.vocab_size > INT32_MAX ||
      static_cast<uint64_t>(documents_) > bytes.size() || static_cast<uint64_t>(tokens) > bytes.size()) {
    fail(ErrorKind::format, where, "the token shard's index does not fit its size; build it again");
  }
  width_ = token_width(header_.vocab_size);
  const auto n = static_cast<uint64_t>(documents_);
  sections_end_ = kHeaderBytes;
  tokens_ = section(index, "tokens", padded(static_cast<uint64_t>(tokens) * width_));
  offsets_ = section(index, "offsets", (n + 1) * 8);
  bytes_ = section(index, "text_bytes", n * 8);
  flags_ = section(index, "flags", n);
  if (sections_end_ != at || offset(documents_) != static_cast<uint64_t>(tokens)) {
    fail(ErrorKind::format, where, "the token shard's sections do not add up; build it again");
  }
  check_contents();
}

const std::byte* ShardReader::section(const Json& index, const char* name, uint64_t expected_bytes) {
  const std::string where = path_.string();
  const Json& s = index.at("sections", where).at(name, where);
  const auto at = static_cast<uint64_t>(s.at("offset", where).as_int(where));
  const auto size = static_cast<uint64_t>(s.at("bytes", where).as_int(where));
  if (at != sections_end_ || size != expected_bytes || size > file_.bytes().size() - at) {
    fail(ErrorKind::format, where, "section \"{}\" of the token shard is misplaced; build it again", name);
  }
  const auto bytes = file_.bytes().subspan(at, size);
  if (crc32c(bytes) != static_cast<uint32_t>(s.at("crc32c", where).as_int(where))) {
    fail(ErrorKind::format, where, "section \"{}\" of the token shard is damaged (checksum); build it again", name);
  }
  sections_end_ = at + size;
  return bytes.data();
}

// A checksum says that the bytes are what was written, not that a sane program wrote them.
void ShardReader::check_contents() {
  const std::string where = path_.string();
  for (int64_t d = 0; d < documents_; ++d) {
    if (offset(d) >= offset(d + 1)) fail(ErrorKind::format, where, "document {} of the token shard is empty", d);
    shortest_ = d == 0 ? length(d) : std::min(shortest_, length(d));
    text_bytes_total_ += text_bytes(d);
  }
  for (int64_t i = 0, n = tokens(); i < n; ++i) {
    if (token(i) >= header_.vocab_size) {
      fail(ErrorKind::format, where, "token {} of the shard has id {}, but vocab_size is {}", i, token(i),
           header_.vocab_size);
    }
  }
}

int64_t ShardReader::token(int64_t i) const {
  return width_ == 2 ? load<uint16_t>(tokens_ + i * 2) : load<uint32_t>(tokens_ + i * 4);
}
uint64_t ShardReader::offset(int64_t document) const { return load<uint64_t>(offsets_ + document * 8); }
uint64_t ShardReader::text_bytes(int64_t document) const { return load<uint64_t>(bytes_ + document * 8); }
bool ShardReader::is_fim(int64_t document) const { return load<uint8_t>(flags_ + document) & kFimFlag; }

std::vector<int32_t> ShardReader::document(int64_t document) const {
  std::vector<int32_t> tokens(static_cast<size_t>(length(document)));
  read(document, 0, tokens);
  return tokens;
}

void ShardReader::read(int64_t document, int64_t first, std::span<int32_t> out) const {
  CHECK(document >= 0 && document < documents_ && first >= 0);
  CHECK(first + static_cast<int64_t>(out.size()) <= length(document));
  const int64_t at = static_cast<int64_t>(offset(document)) + first;
  for (size_t i = 0; i < out.size(); ++i) out[i] = static_cast<int32_t>(token(at + static_cast<int64_t>(i)));
}

void require_one_corpus(const std::filesystem::path& train, const ShardHeader& train_header,
                        const std::filesystem::path& held_out, const ShardHeader& held_out_header) {
  const auto refuse = [&](const char* what) {
    fail(ErrorKind::usage, held_out.string(), "was made {} than {}; make both anew with one `ballast corpus`", what,
         train.string());
  };
  if (train_header.tokenizer_hash != held_out_header.tokenizer_hash) refuse("with another tokenizer");
  const bool beside = std::filesystem::absolute(train).lexically_normal().parent_path() ==
                      std::filesystem::absolute(held_out).lexically_normal().parent_path();
  if (beside && train_header.corpus_hash != held_out_header.corpus_hash) refuse("from another corpus");
}

}  // namespace ballast
