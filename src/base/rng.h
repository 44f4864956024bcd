#pragma once
// A small random generator whose stream is the same on every platform and library (std:: distributions are
// not).

#include <cmath>
#include <cstdint>
#include <utility>
#include <vector>

namespace bantam {

/// SplitMix64 (Steele, Lea, Flood 2014): 64 bits of state; equal seeds give equal streams everywhere.
class Rng {
 public:
  explicit Rng(uint64_t seed) : state_(seed) {}
  /// A stream of its own for (seed, a, b): what step b of epoch a draws does not depend on what came before
  /// it, which is what makes a resumed run equal to an undisturbed one.
  Rng(uint64_t seed, uint64_t a, uint64_t b = 0) : state_(seed) {
    state_ = next() ^ (a * 0xd1342543de82ef95ULL);
    state_ = next() ^ (b * 0x2545f4914f6cdd1dULL);
  }

  uint64_t next() {
    uint64_t z = (state_ += 0x9e3779b97f4a7c15ULL);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    return z ^ (z >> 31);
  }
  /// Uniform in [0, 1), 53 bits.
  double uniform() { return static_cast<double>(next() >> 11) * 0x1.0p-53; }
  /// Uniform in [0, n), n > 0; the bias is below n / 2^64.
  uint64_t below(uint64_t n) {
    return static_cast<uint64_t>((static_cast<unsigned __int128>(next()) * n) >> 64);
  }
  bool chance(double p) { return uniform() < p; }
  /// Standard normal (Box-Muller).
  double normal() {
    double u = 1.0 - uniform();
    return std::sqrt(-2.0 * std::log(u)) * std::cos(6.283185307179586 * uniform());
  }
  template <class T>
  void shuffle(std::vector<T>& items) {
    for (size_t i = items.size(); i > 1; --i) std::swap(items[i - 1], items[below(i)]);
  }
  uint64_t state() const { return state_; }

 private:
  uint64_t state_;
};

}  // namespace bantam
