// The rules about one file, after bigcode's filters for The Stack (Kocetkov et al., arXiv 2211.15533).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace ballast {

inline constexpr int64_t kLargestSourceFile = 1'000'000;  // bytes

// The rule that drops this text, or nothing. `text` is the file as it is.
std::string reason_to_drop(std::string_view text);
inline constexpr const char* kTooLarge = "larger than 1 MB";

// What is compared to find copies: LF line ends, no trailing blanks, no blank lines at the end.
std::string normalized_text(std::string_view text);

// Tests by where they stand: a folder named test, tests or testing; test_x.py, x_test.py, tests.py, conftest.py.
bool is_test_path(std::string_view path);

// The benchmark that a part of the path is named after ("human_eval", "mbpp.py"), or empty: such files are kept out
// whatever is in them.
std::string benchmark_in_path(std::string_view path);

}  // namespace ballast
