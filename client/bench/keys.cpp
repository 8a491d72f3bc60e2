#include "keys.hpp"

#include <algorithm>
#include <cmath>

namespace kvstore::bench {
namespace {

// A prime above the largest number of keys: multiplying by it modulo the number of keys changes
// the order and loses none.
constexpr uint64_t kSpread = 2'654'435'761;

// expm1(x) / x and log1p(x) / x, which are 1 at 0.
double expm1_over(double x) {
  return std::abs(x) > 1e-8 ? std::expm1(x) / x : 1 + x / 2;
}
double log1p_over(double x) {
  return std::abs(x) > 1e-8 ? std::log1p(x) / x : 1 - x / 2;
}

}  // namespace

Zipfian::Zipfian(uint64_t n, double theta) : n_(static_cast<double>(n)), theta_(theta) {
  low_ = integral(1.5) - 1;
  high_ = integral(n_ + 0.5);
  cut_ = 2 - inverse(integral(2.5) - density(2));
}

// The integral of 1 / x^theta, up to a constant, also where theta is 1.
double Zipfian::integral(double x) const {
  const double log = std::log(x);
  return expm1_over((1 - theta_) * log) * log;
}

double Zipfian::inverse(double y) const {
  const double t = std::max(y * (1 - theta_), -1.0);
  return std::exp(log1p_over(t) * y);
}

double Zipfian::density(double x) const {
  return std::exp(-theta_ * std::log(x));
}

uint64_t Zipfian::operator()(Random& random) const {
  std::uniform_real_distribution<double> uniform(0, 1);
  while (true) {
    const double u = high_ + uniform(random) * (low_ - high_);
    const double x = inverse(u);
    const double k = std::clamp(std::floor(x + 0.5), 1.0, n_);
    if (k - x <= cut_ || u >= integral(k + 0.5) - density(k)) return static_cast<uint64_t>(k);
  }
}

KeyChooser::KeyChooser(Distribution distribution, uint64_t keys, double theta)
    : distribution_(distribution), keys_(keys), zipfian_(keys, theta) {}

uint64_t KeyChooser::next(Random& random) {
  switch (distribution_) {
    case Distribution::kSequential:
      return turn_++ % keys_;
    case Distribution::kUniform:
      return std::uniform_int_distribution<uint64_t>(0, keys_ - 1)(random);
    case Distribution::kZipfian:
      break;
  }
  return index_of_rank(zipfian_(random));
}

uint64_t KeyChooser::index_of_rank(uint64_t rank) const {
  return rank * kSpread % keys_;  // below 2^62
}

}  // namespace kvstore::bench
