// The trivial rivals of a model's bits per byte. Each sees the same bytes as the model: contexts start afresh with
// every document, and what is trained is trained on the training part.
#pragma once

#include "eval/heldout.h"

namespace ballast {

HeldOutResult score_uniform(const Documents& held_out);                            // "uniform": 8 bits a byte
HeldOutResult score_ngram5(const Documents& train, const Documents& held_out);     // "ngram5": ngram.h, order 5
HeldOutResult score_xz_file(const Documents& held_out);                            // "xz_file": xz -9e of each file
HeldOutResult score_xz_primed(const Documents& train, const Documents& held_out);  // "xz_primed": compressor.h

}  // namespace ballast
