#include "report/png.h"

#include <algorithm>

#include "base/error.h"

namespace ballast::report {
namespace {

void put_u32(std::string& out, uint32_t v) {
  for (int shift = 24; shift >= 0; shift -= 8) out += static_cast<char>(v >> shift);
}

uint32_t crc32(std::string_view bytes) {  // ISO 3309, as PNG requires; base/hash.h has the Castagnoli polynomial
  uint32_t crc = ~0u;
  for (const char c : bytes) {
    crc ^= static_cast<uint8_t>(c);
    for (int bit = 0; bit < 8; ++bit) crc = crc >> 1 ^ (crc & 1 ? 0xEDB88320u : 0);
  }
  return ~crc;
}

void put_chunk(std::string& out, std::string_view type, std::string_view data) {
  put_u32(out, static_cast<uint32_t>(data.size()));
  const std::string body = std::string(type) + std::string(data);
  out += body;
  put_u32(out, crc32(body));
}

std::string zlib_stored(std::string_view raw) {
  std::string out = "\x78\x01";
  for (size_t at = 0; at < raw.size();) {
    const size_t n = std::min<size_t>(raw.size() - at, 65535);
    out += static_cast<char>(at + n == raw.size());
    for (const uint32_t v : {static_cast<uint32_t>(n), ~static_cast<uint32_t>(n)}) {
      out += static_cast<char>(v);
      out += static_cast<char>(v >> 8);
    }
    out += raw.substr(at, n);
    at += n;
  }
  uint32_t a = 1, b = 0;  // Adler-32
  for (const char c : raw) {
    a = (a + static_cast<uint8_t>(c)) % 65521;
    b = (b + a) % 65521;
  }
  put_u32(out, b << 16 | a);
  return out;
}

}  // namespace

std::string png(std::span<const uint8_t> pixels, int width, int height, std::span<const Rgba> palette) {
  CHECK(width > 0 && height > 0 && pixels.size() == static_cast<size_t>(width) * height && palette.size() <= 256);
  std::string header;
  put_u32(header, width);
  put_u32(header, height);
  header += std::string("\x08\x03\0\0\0", 5);  // 8 bits, palette, deflate, no filter method, not interlaced
  std::string colors, alphas, rows;
  for (const Rgba& color : palette) {
    for (int i = 0; i < 3; ++i) colors += static_cast<char>(color[i]);
    alphas += static_cast<char>(color[3]);
  }
  for (int y = 0; y < height; ++y) {
    rows += '\0';  // filter "none"
    rows.append(reinterpret_cast<const char*>(pixels.data()) + static_cast<size_t>(y) * width, width);
  }
  std::string out = "\x89PNG\r\n\x1a\n";
  put_chunk(out, "IHDR", header);
  put_chunk(out, "PLTE", colors);
  put_chunk(out, "tRNS", alphas);
  put_chunk(out, "IDAT", zlib_stored(rows));
  put_chunk(out, "IEND", "");
  return out;
}

std::string data_uri(std::string_view bytes) {
  static constexpr char kDigits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out = "data:image/png;base64,";
  for (size_t i = 0; i < bytes.size(); i += 3) {
    const size_t n = std::min<size_t>(3, bytes.size() - i);
    uint32_t v = 0;
    for (size_t j = 0; j < 3; ++j) v = v << 8 | (j < n ? static_cast<uint8_t>(bytes[i + j]) : 0);
    for (size_t j = 0; j < 4; ++j) out += j <= n ? kDigits[v >> (18 - 6 * j) & 63] : '=';
  }
  return out;
}

}  // namespace ballast::report
