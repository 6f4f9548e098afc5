// What a quickstart on the default corpus is expected to give; measured over three seeds per arm
// (docs/results/quickstart.md).
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
inline constexpr QuickstartBands kBandsF32{{5.40, 5.70}, {2.00, 2.10}, 0.027};

}  // namespace ballast
