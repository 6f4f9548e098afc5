// Checksums: CRC-32C against accidents (shards, checkpoints), SHA-256 as an identity (corpora, models).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

struct evp_md_ctx_st;  // OpenSSL's EVP_MD_CTX

namespace ballast {

// CRC-32C (Castagnoli, RFC 3720 appendix B.4). `seed` is the checksum of what came before:
// crc32c(b, crc32c(a)) == crc32c(a + b). Uses SSE4.2 where the CPU has it.
uint32_t crc32c(std::span<const std::byte> bytes, uint32_t seed = 0);
inline uint32_t crc32c(std::string_view text, uint32_t seed = 0) {
  return crc32c(std::as_bytes(std::span(text)), seed);
}
uint32_t crc32c_portable(std::span<const std::byte> bytes, uint32_t seed = 0);  // the table; also the tests' oracle

// SHA-256 of what update() was given, in order; hex() ends it.
class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(const Sha256&) = delete;
  Sha256& operator=(const Sha256&) = delete;
  void update(std::span<const std::byte> bytes);
  void update(std::string_view text) { update(std::as_bytes(std::span(text))); }
  std::string hex();  // 64 lower-case digits; call once

 private:
  evp_md_ctx_st* context_;
};

std::string sha256_hex(std::span<const std::byte> bytes);
inline std::string sha256_hex(std::string_view text) { return sha256_hex(std::as_bytes(std::span(text))); }

}  // namespace ballast
