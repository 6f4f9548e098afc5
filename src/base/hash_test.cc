#include "base/hash.h"

#include <gtest/gtest.h>

#include <vector>

#include "base/rng.h"

namespace ballast {
namespace {

TEST(Crc32c, KnownAnswers) {  // RFC 3720, appendix B.4, and the usual check value
  const std::vector<std::byte> zeros(32, std::byte{0}), ones(32, std::byte{0xFF});
  EXPECT_EQ(crc32c(zeros), 0x8A9136AAu);
  EXPECT_EQ(crc32c(ones), 0x62A8AB43u);
  EXPECT_EQ(crc32c("123456789"), 0xE3069283u);
  EXPECT_EQ(crc32c(""), 0u);
}

TEST(Crc32c, InstructionAndTableAgreeAtEveryLengthAndOffset) {
  Rng rng(5);
  std::vector<std::byte> data(300);
  for (auto& b : data) b = static_cast<std::byte>(rng.below(256));
  const std::span<const std::byte> all(data);
  for (size_t offset = 0; offset < 9; ++offset)
    for (size_t size = 0; size + offset <= all.size(); ++size) {
      const auto part = all.subspan(offset, size);
      ASSERT_EQ(crc32c(part, 77), crc32c_portable(part, 77)) << offset << " " << size;
      ASSERT_EQ(crc32c(part.subspan(size / 3), crc32c(part.first(size / 3))), crc32c(part));
    }
}

TEST(Sha256, KnownAnswers) {  // FIPS 180-2, appendix B
  EXPECT_EQ(sha256_hex(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(sha256_hex("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  Sha256 hash;
  for (int i = 0; i < 1000; ++i) hash.update(std::string(1000, 'a'));
  EXPECT_EQ(hash.hex(), "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

}  // namespace
}  // namespace ballast
