// The three products that go to the GPU library, run here by plain column-major loops on every shape of the op's kind and
// compared with the definition: a wrong leading dimension or transpose shows without a GPU.
#include "ops/linear/products.h"

#include <gtest/gtest.h>

#include <vector>

#include "base/rng.h"
#include "ops/linear/ref.h"

namespace ballast::ops {
namespace {

void run(const Gemm& g) {
  const auto* a = static_cast<const double*>(g.a);
  const auto* b = static_cast<const double*>(g.b);
  auto* d = static_cast<double*>(g.d);
  EXPECT_GE(g.lda, g.transpose_a ? g.k : g.m);
  EXPECT_GE(g.ldb, g.transpose_b ? g.n : g.k);
  EXPECT_GE(g.ldd, g.m);
  for (int64_t i = 0; i < g.m; ++i)
    for (int64_t j = 0; j < g.n; ++j) {
      double sum = g.accumulate ? d[i + j * g.ldd] : 0;
      for (int64_t l = 0; l < g.k; ++l)
        sum += (g.transpose_a ? a[l + i * g.lda] : a[i + l * g.lda]) * (g.transpose_b ? b[j + l * g.ldb] : b[l + j * g.ldb]);
      d[i + j * g.ldd] = sum;
    }
}

struct Matrix {
  std::vector<double> data;
  int64_t rows, width, stride;
  Matrix(int64_t rows, int64_t width, int64_t pad, Rng& rng)
      : data(static_cast<size_t>(rows * (width + pad))), rows(rows), width(width), stride(width + pad) {
    for (double& v : data) v = rng.normal();
  }
  Tensor view() {
    Tensor t(data.data(), DType::f64, {rows, width});
    t.stride[0] = stride;
    return t;
  }
};

void expect_equal(const Matrix& got, const Matrix& want, const char* what) {
  for (size_t i = 0; i < got.data.size(); ++i) ASSERT_NEAR(got.data[i], want.data[i], 1e-12) << what << " element " << i;
}

void check(int64_t rows, int64_t width, int64_t outputs, int64_t pad, bool accumulate) {
  Rng rng(static_cast<uint64_t>(rows * 1000 + width));
  Matrix x(rows, width, pad, rng), w(outputs, width, 0, rng), y(rows, outputs, pad, rng), dx(rows, width, pad, rng);
  Matrix dw(outputs, width, 0, rng), y_ref = y, dx_ref = dx, dw_ref = dw;
  run(output_product({.x = x.view(), .weight = w.view(), .y = y.view(), .accumulate = accumulate}));
  ref::linear_forward<double>({.x = x.view(), .weight = w.view(), .y = y_ref.view(), .accumulate = accumulate});
  expect_equal(y, y_ref, "y");
  const LinearBackward backward{.dy = y.view(), .x = x.view(), .weight = w.view(), .dx = dx.view(),
                                .accumulate_dx = accumulate, .dweight = dw.view(), .accumulate_dweight = accumulate};
  run(input_product(backward));
  run(weight_product(backward));
  ref::linear_backward<double>({.dy = y.view(), .x = x.view(), .weight = w.view(), .dx = dx_ref.view(),
                                .accumulate_dx = accumulate, .dweight = dw_ref.view(), .accumulate_dweight = accumulate});
  expect_equal(dx, dx_ref, "dx");
  expect_equal(dw, dw_ref, "dweight");
}

TEST(LinearProducts, EqualTheDefinition) {
  for (const bool accumulate : {false, true})
    for (const int64_t pad : {0, 5}) {
      check(7, 5, 3, pad, accumulate);
      check(1, 9, 4, pad, accumulate);
      check(6, 1, 8, pad, accumulate);
      check(12, 3, 1, pad, accumulate);
      check(4, 4, 4, pad, accumulate);
    }
}

// A view of one row may say any stride.
TEST(LinearProducts, ALeadingDimensionIsAtLeastTheColumn) {
  Rng rng(1);
  Matrix x(1, 9, 0, rng);
  Tensor t = x.view();
  t.stride[0] = 1;
  EXPECT_EQ(leading_dimension(t), 9);
}

}  // namespace
}  // namespace ballast::ops
