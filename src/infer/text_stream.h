// A completion's text as it grows: finds stop strings and hands out what is certain to belong to the text.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace ballast {

// Receives pieces of text; their concatenation is the completion. false: no more is wanted.
using OnText = std::function<bool(std::string_view)>;

class TextStream {
 public:
  // Throws Error{usage} for an empty stop string.
  TextStream(std::vector<std::string> stop, OnText on_text);

  // The bytes of one more token. false where the text has ended: it now stands before the stop string that begins first
  // among those that are complete, or the receiver wants no more.
  bool append(std::string_view bytes);
  // Hands out what was held back. Half a character at the end, all that the token limit left of it, is dropped. Does
  // nothing where the text has ended already.
  void finish();

  const std::string& text() const { return text_; }

 private:
  bool emit(size_t end);
  size_t held_back() const;

  std::vector<std::string> stop_;
  OnText on_text_;
  std::string text_;
  size_t emitted_ = 0, longest_ = 0;
  bool ended_ = false;
};

// The number of bytes at the end of `text` that begin a UTF-8 character and lack its rest: 0 to 3.
size_t unfinished_utf8(std::string_view text);

}  // namespace ballast
