// What the data tests share: an encoder of one token per byte, random documents, tests without the rights of root.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/rng.h"
#include "base/testing.h"
#include "data/fim.h"
#include "data/shards.h"

namespace ballast {

template <class F>
std::string error_text(ErrorKind kind, F&& f) {
  try {
    f();
  } catch (const Error& e) {
    EXPECT_EQ(static_cast<int>(e.kind), static_cast<int>(kind)) << e.what();
    return e.what();
  }
  ADD_FAILURE() << "nothing was thrown";
  return {};
}

// Ids 0 .. 5 are control tokens, byte b is 6 + b.
inline TextEncoder byte_encoder() {
  TextEncoder e;
  e.encode = [](std::string_view text) {
    std::vector<int32_t> ids;
    for (const char c : text) ids.push_back(6 + static_cast<unsigned char>(c));
    return ids;
  };
  e.control = {.bos = 0, .eos = 1, .pad = 2, .fim_begin = 3, .fim_hole = 4, .fim_end = 5};
  e.vocab_size = 262;
  e.hash = "bytes";
  return e;
}

inline std::string decode_bytes(std::span<const int32_t> ids) {
  std::string text;
  for (const int32_t id : ids) {
    if (id >= 6) text.push_back(static_cast<char>(id - 6));
  }
  return text;
}

// Texts of 1 to 4-byte characters, `longest` characters at most; some are empty.
inline std::string random_text(Rng& rng, uint64_t longest) {
  static const char* kCharacters[] = {"a", "Z", "\n", " ", "é", "ß", "€", "漢", "😀"};
  std::string text;
  for (uint64_t n = rng.below(longest + 1); n > 0; --n) text += kCharacters[rng.below(9)];
  return text;
}

// Root reads everything: while this lives, a test that runs as root does not, and others are what they are.
class WithoutRoot {
 public:
  WithoutRoot() { CHECK(!root_ || seteuid(65534) == 0); }
  ~WithoutRoot() { CHECK(!root_ || seteuid(0) == 0); }
  WithoutRoot(const WithoutRoot&) = delete;
  WithoutRoot& operator=(const WithoutRoot&) = delete;

 private:
  const bool root_ = geteuid() == 0;
};

// bos text eos for every text.
inline ShardReader write_shard(const std::filesystem::path& path, const std::vector<std::string>& texts,
                               const std::string& tokenizer_hash = "bytes") {
  TextEncoder e = byte_encoder();
  e.hash = tokenizer_hash;
  ShardWriter writer(path, {.vocab_size = e.vocab_size, .tokenizer_hash = e.hash, .split = "train"});
  for (const std::string& text : texts) writer.add(encode_document(e, text, {}), text.size(), false);
  writer.commit();
  return ShardReader(path);
}

}  // namespace ballast
