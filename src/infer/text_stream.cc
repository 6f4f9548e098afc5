#include "infer/text_stream.h"

#include <algorithm>

#include "base/error.h"

namespace ballast {

size_t unfinished_utf8(std::string_view text) {
  for (size_t n = 1; n <= 3 && n <= text.size(); ++n) {
    const auto byte = static_cast<unsigned char>(text[text.size() - n]);
    if ((byte & 0xC0) == 0x80) continue;  // a continuation: its first byte is further left
    const size_t length = byte >= 0xF0 && byte <= 0xF4  ? 4
                          : byte >= 0xE0 && byte < 0xF0 ? 3
                          : byte >= 0xC2 && byte < 0xE0 ? 2
                                                        : 1;
    return length > n ? n : 0;
  }
  return 0;
}

TextStream::TextStream(std::vector<std::string> stop, OnText on_text)
    : stop_(std::move(stop)), on_text_(std::move(on_text)) {
  for (const std::string& s : stop_) {
    if (s.empty()) fail(ErrorKind::usage, "stop", "an empty stop string would end every text before it begins");
    longest_ = std::max(longest_, s.size());
  }
}

// The longest end of the text that may become a stop string.
size_t TextStream::held_back() const {
  size_t longest = 0;
  for (const std::string& s : stop_)
    for (size_t n = std::min(s.size() - 1, text_.size()); n > longest; --n)
      if (text_.ends_with(std::string_view(s).substr(0, n))) longest = n;
  return longest;
}

bool TextStream::emit(size_t end) {
  if (end <= emitted_ || !on_text_) return true;
  const std::string_view piece = std::string_view(text_).substr(emitted_, end - emitted_);
  emitted_ = end;
  return on_text_(piece);
}

bool TextStream::append(std::string_view bytes) {
  CHECK(!ended_);
  // A match that was not there before ends in the new bytes.
  const size_t from = text_.size() - std::min(text_.size(), longest_ > 0 ? longest_ - 1 : 0);
  text_ += bytes;
  size_t cut = std::string::npos;
  for (const std::string& s : stop_) cut = std::min(cut, text_.find(s, from));
  if (cut != std::string::npos) {
    text_.resize(cut);
    finish();
    return false;
  }
  size_t end = text_.size() - held_back();
  end -= unfinished_utf8(std::string_view(text_).substr(0, end));
  ended_ = !emit(end);
  return !ended_;
}

void TextStream::finish() {
  if (ended_) return;
  ended_ = true;
  text_.resize(text_.size() - unfinished_utf8(text_));
  emit(text_.size());
}

}  // namespace ballast
