// The definition of embed, forward and vjp.
#pragma once

#include "ops/embed/embed.h"

namespace ballast::ops::ref {

template <class T>
void embed_forward(const EmbedForward& a) {
  const int64_t width = a.table[1];
  for (int64_t t = 0; t < a.ids[0]; ++t) {
    const int64_t id = a.ids.at<int32_t>(t);
    CHECK(id >= -1 && id < a.table[0]);
    for (int64_t i = 0; i < width; ++i) a.y.at<T>(t, i) = id < 0 ? T(0) : a.table.at<T>(id, i);
  }
}

template <class T>
void embed_backward(const EmbedBackward& a) {
  const int64_t width = a.dtable[1];
  for (int64_t v = 0; v < a.dtable[0] && !a.accumulate; ++v)
    for (int64_t i = 0; i < width; ++i) a.dtable.at<T>(v, i) = T(0);
  for (int64_t t = 0; t < a.ids[0]; ++t) {
    const int64_t id = a.ids.at<int32_t>(t);
    CHECK(id >= -1 && id < a.dtable[0]);
    for (int64_t i = 0; i < width && id >= 0; ++i) a.dtable.at<T>(id, i) += a.dy.at<T>(t, i);
  }
}

}  // namespace ballast::ops::ref
