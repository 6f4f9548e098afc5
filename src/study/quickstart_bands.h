// What a quickstart on the default corpus is expected to give (docs/results/quickstart.md). The bands stand around one
// whole run per type; the spread comes from three seeds per arm in bf16, at the step where the arms stop, and is used
// for f32 as well.
#pragma once

namespace ballast {

struct Band {
  double low, high;
};
struct QuickstartBands {
  Band val_loss;    // main run, nats per token
  Band bpb;         // held-out, main run
  double spread;    // sample standard deviation over seeds of an arm's validation loss at the step where the arms stop
};
inline constexpr QuickstartBands kBandsBf16{{4.80, 5.03}, {1.77, 1.84}, 0.027};
inline constexpr QuickstartBands kBandsF32{{5.34, 5.58}, {1.97, 2.05}, 0.027};

}  // namespace ballast
