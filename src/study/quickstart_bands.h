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
inline constexpr QuickstartBands kBandsBf16{{3.0, 6.0}, {1.5, 3.0}, 0.02};
inline constexpr QuickstartBands kBandsF32{{3.0, 7.0}, {1.5, 3.5}, 0.02};

}  // namespace ballast
