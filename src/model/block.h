// A decoder layer: x + attention(norm(x)), then + feed-forward(norm(.)). The residual stream travels as a pair, the sum
// so far and the delta still to be added, so that every addition happens inside the norm that follows it.
#pragma once

#include <variant>

#include "model/mla.h"
#include "model/moe/moe.h"

namespace ballast {

struct Residual {
  Tensor sum;    // (T, D)
  Tensor delta;  // (T, D), or absent
};

// norm(sum + delta), and the new sum. Used by blocks, the final norm and the MTP head.
struct NormSaved {
  Tensor s, y, rstd;  // what was normalized, the result, the statistics
};
NormSaved norm_forward(Context& ctx, ParamId weight, double eps, const Residual& in, bool training);
// dx: gradient of s, the norm's plus `residual` where the stream goes on.
void norm_backward(Context& ctx, ParamId weight, const NormSaved& saved, Tensor dy, Tensor residual, Tensor dx);

class Block {
 public:
  // `index`: the layer's number (its cache); `moe_row`: its row in the telemetry, if it is a mixture.
  Block(const ModelConfig& config, const BlockParams& params, int index, int moe_row, Tensor inv_freq);

  struct Saved {
    NormSaved input, post;
    MlaLayer::Saved attention;
    FeedForwardLayer::Saved dense;
    MoeLayer::Saved moe;
  };

  Residual forward(Context& ctx, const Pass& pass, const Residual& in, Saved* saved) const;
  // From the gradient of sum + delta of the output to that of the input, written to dx.
  void backward(Context& ctx, const Pass& pass, Tensor dout, const Saved& saved, Tensor dx) const;

 private:
  const ModelConfig& c_;
  BlockParams p_;
  MlaLayer attention_;
  FeedForwardLayer dense_;
  MoeLayer moe_;
};

}  // namespace ballast
