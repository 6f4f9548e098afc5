// A matrix as a PNG of one byte per pixel with a palette: what keeps a heat map of tens of thousands of cells small.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>

namespace ballast::report {

using Rgba = std::array<uint8_t, 4>;

// `pixels` row-major, width x height, each an index into `palette` (at most 256 colors). ISO/IEC 15948 with deflate
// blocks that are stored, not compressed: no library is needed, and a matrix that was sampled down compresses little.
std::string png(std::span<const uint8_t> pixels, int width, int height, std::span<const Rgba> palette);

std::string data_uri(std::string_view png_bytes);  // data:image/png;base64,…

}  // namespace ballast::report
