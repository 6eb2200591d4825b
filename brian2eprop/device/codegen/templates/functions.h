#ifdef __CUDACC_RTC__
#define B2E_OF_INTEGER(function)                                           \
    template <class T, typename b2e::only_if<b2e::is_integer<T>>::type = 0> \
    B2E_DEVICE double function(T x) {                                      \
        return function(double(x));                                        \
    }
B2E_OF_INTEGER(sin)
B2E_OF_INTEGER(cos)
B2E_OF_INTEGER(tan)
B2E_OF_INTEGER(asin)
B2E_OF_INTEGER(acos)
B2E_OF_INTEGER(atan)
B2E_OF_INTEGER(sinh)
B2E_OF_INTEGER(cosh)
B2E_OF_INTEGER(tanh)
B2E_OF_INTEGER(exp)
B2E_OF_INTEGER(expm1)
B2E_OF_INTEGER(log)
B2E_OF_INTEGER(log10)
B2E_OF_INTEGER(log1p)
B2E_OF_INTEGER(sqrt)
B2E_OF_INTEGER(ceil)
B2E_OF_INTEGER(floor)
#undef B2E_OF_INTEGER
#endif

template <class A, class B>
B2E_DEVICE b2e::common<A, B> _brian_mod(A x, B y) {
    return b2e::modulo<b2e::common<A, B>>(x, y);
}

template <class A, class B>
B2E_DEVICE b2e::common<A, B> _brian_floordiv(A x, B y) {
    return b2e::floor_divide<b2e::common<A, B>>(x, y);
}

// Small constant integer exponents become products once inlined.
template <class A, class B>
B2E_DEVICE b2e::floating<b2e::common<A, B>> _brian_pow(A x, B y) {
    typedef b2e::floating<b2e::common<A, B>> T;
    const T base = T(x);
    if constexpr (b2e::is_integer<B>) {
        if (y == 2) return base * base;
        if (y == 3) return base * base * base;
        if (y == 4) return (base * base) * (base * base);
    }
    return pow(base, T(y));
}

template <class T>
B2E_DEVICE b2e::common<T, T> _brian_abs(T x) {
    if constexpr (b2e::is_integer<T>) return x < 0 ? b2e::negative(b2e::common<T, T>(x)) : x;
    else return fabs(x);
}

template <class T>
B2E_DEVICE int _sign(T x) {
    return (T(0) < x) - (x < T(0));
}

template <class T>
B2E_DEVICE int int_(T x) {
    return b2e::whole<int>(x);
}

template <class T, class A, class B>
B2E_DEVICE b2e::common<T, b2e::common<A, B>> _clip(T x, A low, B high) {
    typedef b2e::common<T, b2e::common<A, B>> R;
    return x < low ? R(low) : x > high ? R(high) : R(x);
}

// (exp(x) - 1) / x, without a branch so that loops over it become vector code.
template <class T>
B2E_DEVICE b2e::floating<T> _exprel(T argument) {
    typedef b2e::floating<T> F;
    const F x = argument;
    const bool tiny = fabs(x) < F(1e-16);
    const F divisor = tiny ? F(1) : x;
    const F ratio = expm1(divisor) / divisor;
    return tiny ? F(1) : x > F(717) ? F(INFINITY) : ratio;
}

// The step a time belongs to: a thousandth of a step too little still counts as that step.
B2E_DEVICE long long _timestep(double t, double dt) {
    return b2e::whole<long long>((t + 1e-3 * dt) / dt);
}

namespace b2e {

#ifdef B2E_INVARIANT
// The times t of which _timestep(t, dt) >= step holds: those from one on, up to what is too late
// for any step.
struct Since {
    double first, beyond;
    bool operator()(double t) const { return t >= first && t < beyond; }
};

// The first of the times that pass, one of which is known up to rounding.
template <class Passes>
inline double first_time(double t, Passes passes) {
    while (passes(t)) t = nextafter(t, double(-INFINITY));
    while (!passes(t)) t = nextafter(t, double(INFINITY));
    return t;
}

B2E_INVARIANT double first_of(long long step, double dt) {
    // Beyond what doubles count one by one no time is reached; the least one is no number of steps.
    if (step > 1ll << 53) return INFINITY;
    if (step < -(1ll << 53)) return -INFINITY;
    const double about = ((step > 0 ? step : step - 1.0) - 1e-3) * dt;
    return first_time(about, [=](double t) { return _timestep(t, dt) >= step; });
}

B2E_INVARIANT double too_late(double dt) {
    return first_time(9223372036854775808.0 * dt, [=](double t) { return _timestep(t, dt) < 0; });
}

inline Since since(long long step, double dt) { return {first_of(step, dt), too_late(dt)}; }
#else
struct Since {
    long long step;
    double dt;
    B2E_DEVICE bool operator()(double t) const { return _timestep(t, dt) >= step; }
};

B2E_DEVICE Since since(long long step, double dt) { return {step, dt}; }
#endif

}  // namespace b2e
