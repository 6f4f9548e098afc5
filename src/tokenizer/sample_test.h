// Texts and a small tokenizer that the tests share.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/rng.h"
#include "tokenizer/trainer.h"

namespace ballast {

inline constexpr std::string_view kSampleCode = R"(#!/usr/bin/env python3
"""Größe: naïve Übung, 数字 123 and Ωmega — “quotes” 🦙."""
import os, sys


def add(first_value, second_value=0x1F, *args, **kwargs):
    '''Don't panic; it's what they'll say they've done.'''
    total = first_value + second_value * 3.14159e-10
    if total >= 1000 and not (total != 42):
        return [i for i in range(10) if i % 2 == 0]

	# a tab, then trailing blanks   
    return {"key": total, 'other': "a\tb\\n"}
)";

inline Tokenizer sample_tokenizer(int32_t vocab_size = 360) {
  const std::string_view texts[] = {kSampleCode};
  return train_bpe(texts, vocab_size);
}

inline void append_utf8(std::string& out, uint32_t c) {
  if (c < 0x80) {
    out += static_cast<char>(c);
  } else if (c < 0x800) {
    out += {static_cast<char>(0xC0 | c >> 6), static_cast<char>(0x80 | (c & 0x3F))};
  } else if (c < 0x10000) {
    out += {static_cast<char>(0xE0 | c >> 12), static_cast<char>(0x80 | (c >> 6 & 0x3F)),
            static_cast<char>(0x80 | (c & 0x3F))};
  } else {
    out += {static_cast<char>(0xF0 | c >> 18), static_cast<char>(0x80 | (c >> 12 & 0x3F)),
            static_cast<char>(0x80 | (c >> 6 & 0x3F)), static_cast<char>(0x80 | (c & 0x3F))};
  }
}

// Runs of spaces, letters, digits, newlines, code, control strings and any code point at all.
inline std::string random_text(Rng& rng, int parts) {
  std::string out;
  for (int i = 0; i < parts; ++i) {
    switch (rng.below(8)) {
      case 0:
        out.append(rng.below(12), ' ');
        break;
      case 1:
        out.append(1 + rng.below(3), '\n');
        break;
      case 2:
        out += std::to_string(rng.below(100000));
        break;
      case 3:
        append_utf8(out, static_cast<uint32_t>(0x20 + rng.below(0x5F)));
        break;
      case 4:
        append_utf8(out, static_cast<uint32_t>(0xA0 + rng.below(0x3000)));
        break;
      case 5: {
        const auto c = static_cast<uint32_t>(rng.below(0x110000));
        if (c < 0xD800 || c > 0xDFFF) append_utf8(out, c);
        break;
      }
      case 6: {
        const size_t at = kSampleCode.find_first_of(" \n", rng.below(kSampleCode.size()));
        out += kSampleCode.substr(0, 300).substr(std::min<size_t>(at, 280), rng.below(20));
        break;
      }
      default:
        out += deepseek_control_strings()[rng.below(6)];
    }
  }
  return out;
}

}  // namespace ballast
