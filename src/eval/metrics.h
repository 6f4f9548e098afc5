// Metrics of code completion.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace ballast {

// Bits per byte: nats / (ln 2 * bytes). Bytes are UTF-8 bytes of the scored text, so that models with different
// tokenizers, and compressors, can be compared.
double bits_per_byte(double nats, double bytes);

// The unbiased estimate of pass@k from n samples of which c are right (Chen et al., arXiv 2107.03374, eq. 1):
// 1 - C(n - c, k) / C(n, k). Needs 0 <= c <= n and 1 <= k <= n.
double pass_at_k(int64_t n, int64_t c, int64_t k);

// CodeXGLUE's post-processing of a line: <NUM_LIT> is 0, <STR_LIT> and <CHAR_LIT> are "", <X_LIT:v> is v.
std::string resolve_literals(std::string_view line);

// Line exact match as CodeXGLUE has it: equal after resolve_literals and splitting at blanks.
bool exact_match_line(std::string_view prediction, std::string_view truth);

// Edit similarity, the indel ratio: 100 * 2 LCS(a, b) / (|a| + |b|) over code points, rounded half to even to an
// integer; two empty strings give 100. (rapidfuzz's fuzz.ratio; not 1 - Levenshtein / max.)
int edit_similarity(std::string_view a, std::string_view b);

// The same for a line of code: literals resolved, blanks at both ends removed.
int edit_similarity_line(std::string_view prediction, std::string_view truth);

// `text` without blanks at both ends.
std::string_view trimmed(std::string_view text);

}  // namespace ballast
