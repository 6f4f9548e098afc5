// The definition of route, forward and vjp.
#pragma once

#include <algorithm>
#include <limits>
#include <vector>

#include "ops/math.h"
#include "ops/route/route.h"

namespace ballast::ops::ref {

// The K selected experts of one row: larger biased score first, ties to the lower id; groups likewise. Templates and
// plain arrays: the CPU backend selects with the same code.
struct Selection {
  std::vector<double> c;       // biased scores, real parts
  std::vector<double> group;   // group scores
  std::vector<char> kept, taken;

  void select(const RouteConfig& config, int64_t experts, int32_t* ids) {
    const int64_t per_group = experts / config.groups;
    const double lowest = -std::numeric_limits<double>::infinity();
    taken.assign(experts, 0);
    if (config.groups > 1) {
      group.assign(config.groups, 0);
      kept.assign(config.groups, 0);
      for (int g = 0; g < config.groups; ++g) {
        double first = lowest, second = lowest;
        for (int64_t e = g * per_group; e < (g + 1) * per_group; ++e) {
          if (c[e] > first) {
            second = first;
            first = c[e];
          } else if (c[e] > second) {
            second = c[e];
          }
        }
        group[g] = config.group_score == GroupScore::max ? first : first + second;
      }
      for (int n = 0; n < config.kept_groups; ++n) {
        int best = -1;
        for (int g = 0; g < config.groups; ++g)
          if (!kept[g] && (best < 0 || group[g] > group[best])) best = g;
        kept[best] = 1;
      }
      for (int64_t e = 0; e < experts; ++e)
        if (!kept[e / per_group]) taken[e] = 1;  // the mask is -inf: never chosen, whatever the sign of the others
    }
    for (int k = 0; k < config.experts_per_token; ++k) {
      int64_t best = -1;
      for (int64_t e = 0; e < experts; ++e)
        if (!taken[e] && (best < 0 || c[e] > c[best])) best = e;
      taken[best] = 1;
      ids[k] = static_cast<int32_t>(best);
    }
  }
};

// scores[0..E) of one row from its logits.
template <class T>
void route_scores(Score score, const T* logits, T* scores, int64_t experts) {
  using std::exp;
  if (score == Score::sigmoid) {
    for (int64_t e = 0; e < experts; ++e) scores[e] = sigmoid(logits[e]);
    return;
  }
  double top = -std::numeric_limits<double>::infinity();
  for (int64_t e = 0; e < experts; ++e) top = std::max(top, real_part(logits[e]));
  T sum(0);
  for (int64_t e = 0; e < experts; ++e) sum += scores[e] = exp(logits[e] - T(top));
  for (int64_t e = 0; e < experts; ++e) scores[e] /= sum;
}

// Scores, selection and weights of row t from its logits; shared with the CPU backend. False: a non-finite logit.
template <class T>
bool route_row(const RouteForward& a, int64_t t, Selection& selection) {
  const int64_t experts = a.weight[0], k = a.config.experts_per_token;
  int32_t* ids = a.ids.as<int32_t>() + t * k;
  T* weights = a.weights.as<T>() + t * k;
  const T* logits = a.logits.as<T>() + t * experts;
  T* scores = a.scores.as<T>() + t * experts;
  if (a.valid && a.valid.as<int32_t>()[t] == 0) {
    std::fill(ids, ids + k, -1);
    std::fill(weights, weights + k, T(0));
    std::fill(scores, scores + experts, T(0));
    return true;
  }
  bool finite = true;
  for (int64_t e = 0; e < experts; ++e) finite = finite && std::isfinite(real_part(logits[e]));
  selection.c.assign(experts, 0.0);
  if (!finite) {  // still K distinct ids in range, with weight 0
    std::fill(scores, scores + experts, T(0));
  } else {
    route_scores(a.config.score, logits, scores, experts);
    for (int64_t e = 0; e < experts; ++e)
      selection.c[e] = real_part(a.bias ? scores[e] + a.bias.as<T>()[e] : scores[e]);
  }
  selection.select(a.config, experts, ids);
  T sum(0);
  for (int64_t j = 0; j < k; ++j) sum += scores[ids[j]];
  const bool normalize = a.config.normalize && k > 1;
  for (int64_t j = 0; j < k; ++j) {
    const T w = normalize ? scores[ids[j]] / (sum + T(1e-20)) : scores[ids[j]];
    weights[j] = finite ? T(a.config.scale) * w : T(0);
  }
  return finite;
}

inline void count_load(const RouteForward& a) {
  for (int64_t slot = 0; a.load && slot < a.ids.size(); ++slot)
    if (const int32_t id = a.ids.as<int32_t>()[slot]; id >= 0) ++a.load.as<int64_t>()[id];
}

template <class T>
void route_forward(const RouteForward& a) {
  Selection selection;
  for (int64_t t = 0; t < a.x[0]; ++t) {
    for (int64_t e = 0; e < a.weight[0]; ++e) {
      T z(0);
      for (int64_t i = 0; i < a.x[1]; ++i) z += a.x.at<T>(t, i) * a.weight.at<T>(e, i);
      a.logits.at<T>(t, e) = z;
    }
    if (!route_row<T>(a, t, selection)) a.nonfinite.as<int32_t>()[0] = 1;
  }
  count_load(a);
}

// dlogits of row t (balancing: 1.4). Normalized: ds_j = R/Z (a_j - sum_m a_m s_m / Z); else ds_j = R a_j; plus the
// auxiliary gradient on every expert; then through sigmoid or softmax.
template <class T>
void route_dlogits_row(const RouteBackward& a, int64_t t, T* ds) {
  const int64_t experts = a.weight[0], k = a.config.experts_per_token;
  const int32_t* ids = a.ids.as<int32_t>() + t * k;
  const T* s = a.scores.as<T>() + t * experts;
  const T* dw = a.dweights.as<T>() + t * k;
  T* dz = a.dlogits.as<T>() + t * experts;
  for (int64_t e = 0; e < experts; ++e) ds[e] = a.dscores ? a.dscores.at<T>(t, e) : T(0);
  T sum(0), dot(0);
  for (int64_t j = 0; j < k && ids[0] >= 0; ++j) {
    sum += s[ids[j]];
    dot += dw[j] * s[ids[j]];
  }
  const bool dead = ids[0] < 0 || real_part(sum) == 0;  // a padding row, or one with a non-finite logit
  if (dead) {
    for (int64_t e = 0; e < experts; ++e) dz[e] = T(0);
    return;
  }
  const T scale(a.config.scale), z = sum + T(1e-20);
  const bool normalize = a.config.normalize && k > 1;
  for (int64_t j = 0; j < k; ++j) ds[ids[j]] += normalize ? scale / z * (dw[j] - dot / z) : scale * dw[j];
  if (a.config.score == Score::sigmoid) {
    for (int64_t e = 0; e < experts; ++e) dz[e] = ds[e] * s[e] * (T(1) - s[e]);
    return;
  }
  T mean(0);
  for (int64_t e = 0; e < experts; ++e) mean += ds[e] * s[e];
  for (int64_t e = 0; e < experts; ++e) dz[e] = s[e] * (ds[e] - mean);
}

template <class T>
void route_backward(const RouteBackward& a) {
  const int64_t rows = a.x[0], width = a.x[1], experts = a.weight[0];
  std::vector<T> ds(experts);
  for (int64_t e = 0; e < experts && !a.accumulate_dweight; ++e)
    for (int64_t i = 0; i < width; ++i) a.dweight.at<T>(e, i) = T(0);
  for (int64_t t = 0; t < rows; ++t) {
    route_dlogits_row<T>(a, t, ds.data());
    for (int64_t e = 0; e < experts; ++e) {
      const T dz = a.dlogits.at<T>(t, e);
      for (int64_t i = 0; i < width; ++i) {
        a.dx.at<T>(t, i) += dz * a.weight.at<T>(e, i);
        a.dweight.at<T>(e, i) += dz * a.x.at<T>(t, i);
      }
    }
  }
}

}  // namespace ballast::ops::ref
