#include "eval/compressor.h"

#include <lzma.h>

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "base/error.h"

namespace ballast {
namespace {

lzma_options_lzma best_options(size_t dictionary) {
  lzma_options_lzma options;
  CHECK(!lzma_lzma_preset(&options, 9 | LZMA_PRESET_EXTREME));
  // As much as the text can use: the output is the one of the preset's 64 MiB, without their memory.
  options.dict_size = static_cast<uint32_t>(std::clamp<size_t>(dictionary, LZMA_DICT_SIZE_MIN, options.dict_size));
  return options;
}

const uint8_t* bytes_of(std::string_view text) { return reinterpret_cast<const uint8_t*>(text.data()); }

// Hands out pieces of one block and takes none back, so that the block's content is all that an encoder knows.
struct Block {
  explicit Block(size_t size) : bytes(static_cast<std::byte*>(std::malloc(size)), std::free), size(size) {
    if (!bytes) fail(ErrorKind::device, "xz", "{} bytes of memory are not there", size);
  }
  static void* allocate(void* self, size_t count, size_t each) {
    Block& b = *static_cast<Block*>(self);
    const size_t need = (count * each + 63) / 64 * 64;
    if (b.size - b.used < need) return nullptr;
    void* piece = b.bytes.get() + b.used;
    b.used += need;
    return piece;
  }
  static void release(void*, void*) {}

  std::unique_ptr<std::byte, void (*)(void*)> bytes;
  size_t size, used = 0;
};

// Runs all of `text` through; the output is counted and thrown away.
void run(lzma_stream& stream, std::string_view text, lzma_action action) {
  uint8_t sink[1 << 14];
  stream.next_in = bytes_of(text);
  stream.avail_in = text.size();
  for (lzma_ret ret = LZMA_OK; ret != LZMA_STREAM_END;) {
    stream.next_out = sink;
    stream.avail_out = sizeof sink;
    ret = lzma_code(&stream, action);
    CHECK(ret == LZMA_OK || ret == LZMA_STREAM_END);
  }
}

}  // namespace

int64_t xz_size(std::string_view text) {
  lzma_options_lzma options = best_options(text.size());
  lzma_filter filters[] = {{LZMA_FILTER_LZMA2, &options}, {LZMA_VLI_UNKNOWN, nullptr}};
  std::vector<uint8_t> out(lzma_stream_buffer_bound(text.size()));
  size_t size = 0;
  const lzma_ret ret = lzma_stream_buffer_encode(filters, LZMA_CHECK_CRC64, nullptr, bytes_of(text), text.size(),
                                                 out.data(), &size, out.size());
  if (ret == LZMA_MEM_ERROR) fail(ErrorKind::device, "xz", "not enough memory for {} bytes of text", text.size());
  CHECK(ret == LZMA_OK);
  return static_cast<int64_t>(size);
}

struct PrimedCompressor::State {
  explicit State(size_t dictionary) : options(best_options(dictionary)), block(memory_for(options)) {}
  static size_t memory_for(const lzma_options_lzma& options) {
    const lzma_filter filters[] = {{LZMA_FILTER_LZMA2, const_cast<lzma_options_lzma*>(&options)},
                                   {LZMA_VLI_UNKNOWN, nullptr}};
    return lzma_raw_encoder_memusage(filters) + (1 << 16);
  }

  lzma_options_lzma options;
  Block block;
  lzma_allocator allocator{};
  lzma_stream stream = LZMA_STREAM_INIT, saved_stream = LZMA_STREAM_INIT;
  std::vector<std::byte> saved;
  int64_t primed = 0;
};

PrimedCompressor::PrimedCompressor(std::string_view before) {
  before = before.substr(before.size() - std::min(before.size(), kMostPriming));
  state_ = std::make_unique<State>(before.size() + kLongestText);
  State& s = *state_;
  s.allocator = {&Block::allocate, &Block::release, &s.block};
  s.stream.allocator = &s.allocator;
  const lzma_filter filters[] = {{LZMA_FILTER_LZMA2, &s.options}, {LZMA_VLI_UNKNOWN, nullptr}};
  CHECK(lzma_raw_encoder(&s.stream, filters) == LZMA_OK);
  run(s.stream, before, LZMA_SYNC_FLUSH);
  s.primed = static_cast<int64_t>(before.size());
  s.saved_stream = s.stream;
  s.saved.assign(s.block.bytes.get(), s.block.bytes.get() + s.block.used);
}

PrimedCompressor::~PrimedCompressor() = default;

int64_t PrimedCompressor::primed_bytes() const { return state_->primed; }

int64_t PrimedCompressor::size(std::string_view text) {
  CHECK(text.size() <= kLongestText);
  State& s = *state_;
  std::memcpy(s.block.bytes.get(), s.saved.data(), s.saved.size());
  s.stream = s.saved_stream;
  run(s.stream, text, LZMA_FINISH);
  return static_cast<int64_t>(s.stream.total_out - s.saved_stream.total_out);
}

}  // namespace ballast
