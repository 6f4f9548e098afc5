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
inline constexpr QuickstartBands kBandsF32{{3.0, 7.0}, {1.5, 3.5}, 0.027};

}  // namespace ballast
