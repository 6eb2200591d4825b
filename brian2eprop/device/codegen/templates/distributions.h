// Random numbers that count, each a function of a uniform number u.
namespace b2e {

// The number to which a uniform u belongs where the numbers' probabilities are laid side by side
// from the mode on, first the one above, then the one below. `ratio(k)` is the probability of
// k + 1 over that of k.
template <class Ratio>
B2E_DEVICE long long from_mode(long long mode, double probability, double u, long long most,
                               Ratio ratio) {
    constexpr double negligible = 1e-20;
    double above = probability, below = probability;
    u -= probability;
    for (long long away = 0; u >= 0 && (above > negligible || below > negligible); ++away) {
        above = mode + away < most ? above * ratio(mode + away) : 0;
        u -= above;
        if (u < 0) return mode + away + 1;
        below = mode - away > 0 ? below / ratio(mode - away - 1) : 0;
        u -= below;
        if (u < 0) return mode - away - 1;
    }
    return mode;
}

struct PoissonRatio {
    double mean;
    B2E_DEVICE double operator()(long long k) const { return mean / (k + 1); }
};

struct BinomialRatio {
    double n, odds;
    B2E_DEVICE double operator()(long long k) const { return (n - k) / (k + 1) * odds; }
};

}  // namespace b2e

// The Poisson distribution's number that a uniform u stands for; 0 if there is no such
// distribution, the least integer if the mean fits into none.
template <class T>
B2E_DEVICE int _poisson(T mean_, double u) {
    const double mean = mean_;
    if (!(mean > 0)) return 0;
    if (mean >= 2147483647.0) return b2e::whole<int>(INFINITY);
    const double mode = floor(mean);
    const double probability = exp(mode * log(mean) - mean - lgamma(mode + 1));
    const long long most = 1ll << 62;
    return b2e::whole<int>(double(b2e::from_mode(mode, probability, u, most, b2e::PoissonRatio{mean})));
}

// The same of the binomial distribution of n trials.
template <class N, class T>
B2E_DEVICE int _binomial(N n_, T p_, double u) {
    const double n = n_, p = p_;
    if (!(n > 0 && p > 0)) return 0;
    if (p >= 1) return b2e::whole<int>(n);
    double mode = floor((n + 1) * p);
    if (mode > n) mode = n;
    const double probability = exp(lgamma(n + 1) - lgamma(mode + 1) - lgamma(n - mode + 1) +
                                   mode * log(p) + (n - mode) * log1p(-p));
    const b2e::BinomialRatio ratio = {n, p / (1 - p)};
    return int(b2e::from_mode(mode, probability, u, n, ratio));
}
