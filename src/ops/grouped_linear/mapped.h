// Expert matrices as a checkpoint's files hold them, multiplied by where they lie in the mapped file: no copy of an
// expert is kept, and an expert that does not run costs neither memory nor a read.
#pragma once

#include <vector>

#include "core/fp8.h"
#include "core/tensor.h"

namespace ballast::ops {

// (rows, cols), row-major.
struct MappedMatrix {
  const void* data = nullptr;  // bf16, or e4m3 codes, aligned to the element
  std::vector<float> scales;   // of codes, (ceil(rows / 128), ceil(cols / 128)): a value is code * scale in f32. None: bf16
};

// Weights (E, N, K). An expert is `parts` matrices, one below the other, with N / parts rows each: gate and up are two
// tensors of the file, and the blocks of scales begin afresh with each.
struct MappedExperts {
  int64_t experts = 0, rows = 0, cols = 0;  // E, N, K
  int64_t parts = 1;
  std::vector<MappedMatrix> matrices;  // (E, parts); empty while planning

  int64_t part_rows() const { return rows / parts; }
  const MappedMatrix& matrix(int64_t expert, int64_t part) const {
    return matrices[static_cast<size_t>(expert * parts + part)];
  }
  int64_t matrix_bytes(const MappedMatrix& m) const { return part_rows() * cols * (m.scales.empty() ? 2 : 1); }
  // Of all experts, in the file.
  int64_t bytes() const {
    int64_t n = 0;
    for (const MappedMatrix& m : matrices) n += matrix_bytes(m) + static_cast<int64_t>(m.scales.size() * sizeof(float));
    return n;
  }
};

}  // namespace ballast::ops
