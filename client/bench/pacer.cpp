#include "pacer.hpp"

#include <algorithm>
#include <cmath>

namespace kvstore::bench {

uint64_t Pacer::intended(uint64_t index, uint64_t now_ns) const {
  if (plan_.rate <= 0) return now_ns;
  // From the index, not from the request before: errors of rounding do not add up.
  return start_ns_ + static_cast<uint64_t>(static_cast<double>(index) * 1e9 / plan_.rate);
}

bool Pacer::is_over(uint64_t intended_ns) const {
  return plan_.count != 0 ? measured_ >= plan_.count : intended_ns >= end_ns();
}

std::optional<Pacer::Start> Pacer::take(uint64_t now_ns) {
  const uint64_t at = intended(taken_, now_ns);
  if (at > now_ns || is_over(at)) return std::nullopt;
  const Start start{at, at >= measure_ns()};
  ++taken_;
  if (start.measured) ++measured_;
  return start;
}

uint64_t Pacer::next_ns(uint64_t now_ns) const {
  const uint64_t at = intended(taken_, now_ns);
  return is_over(at) ? kNever : at;
}

uint64_t Pacer::overdue(uint64_t now_ns) const {
  if (plan_.rate <= 0) return 0;
  const auto index_at = [&](uint64_t ns) {
    return static_cast<uint64_t>(std::ceil(static_cast<double>(ns - start_ns_) * plan_.rate / 1e9));
  };
  const uint64_t until = std::min(now_ns, end_ns());
  if (until <= measure_ns()) return 0;
  const uint64_t first = std::max(taken_, index_at(measure_ns()));
  const uint64_t due = std::max(index_at(until), first) - first;
  return plan_.count != 0 ? std::min(due, plan_.count - measured_) : due;
}

}  // namespace kvstore::bench
