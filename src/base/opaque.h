// A value of a type that one .cc alone knows; its users are not compiled again when the type changes. Copies are copies.
// The header declares the type and says `extern template class Opaque<T>;`, the .cc that completes it
// `template class Opaque<T>;`.
#pragma once

#include <memory>

namespace ballast {

template <class T>
class Opaque {
 public:
  Opaque();
  Opaque(const Opaque& other);
  Opaque& operator=(const Opaque& other);
  ~Opaque();
  T& operator*() { return *value_; }
  const T& operator*() const { return *value_; }

 private:
  std::unique_ptr<T> value_;
};

template <class T>
Opaque<T>::Opaque() : value_(std::make_unique<T>()) {}
template <class T>
Opaque<T>::Opaque(const Opaque& other) : value_(std::make_unique<T>(*other.value_)) {}
template <class T>
Opaque<T>& Opaque<T>::operator=(const Opaque& other) {
  *value_ = *other.value_;
  return *this;
}
template <class T>
Opaque<T>::~Opaque() = default;

}  // namespace ballast
