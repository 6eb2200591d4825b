// The functions a body may call beyond those of <math.h>, by the names Brian2's C++ renderer
// gives them. The same text serves the CPU and CUDA, float and double: results have the type
// C++ gives to a sum of the arguments, so that single precision stays single. B2E_DEVICE is the
// qualifier of a function; on a CPU nothing has to be defined but <math.h> included, whose
// overloads NVRTC has built in, save those for integers, INFINITY and NAN. B2E_INVARIANT, where
// there is such a thing, is the qualifier of a function that is called once for all steps.
#ifndef B2E_DEVICE
#define B2E_DEVICE inline
#endif
#ifndef INFINITY
#define INFINITY __int_as_float(0x7f800000)
#define NAN __int_as_float(0x7fffffff)
#endif

namespace b2e {

template <class A, class B>
using common = decltype(A() + B());

template <class T>
constexpr bool is_integer = (T(1) + T(0)) / (T(1) + T(1)) == 0;

template <bool integer, class T>
struct floating_type {
    typedef T type;
};

template <class T>
struct floating_type<true, T> {
    typedef double type;
};

// The type in which a function of a T is computed: double where T is an integer.
template <class T>
using floating = typename floating_type<is_integer<T>, T>::type;

template <bool condition>
struct only_if {};

template <>
struct only_if<true> {
    typedef int type;
};

// -x, of the least integer itself, as in NumPy.
template <class T>
B2E_DEVICE T negative(T x) {
    if constexpr (is_integer<T>) return T(0ull - (unsigned long long)x);
    else return -x;
}

// The remainder with the sign of y, as in Python; of integers by 0 it is 0, as in NumPy. The
// processor would end the program for 0, and for the least integer by -1.
template <class T>
B2E_DEVICE T modulo(T x, T y) {
    if constexpr (is_integer<T>) {
        const T divisor = y == 0 || y == -1 ? T(1) : y;
        const T r = x % divisor;
        return r != 0 && (r < 0) != (y < 0) ? r + y : r;
    } else {
        const T r = fmod(x, y);
        return r != T(0) && (r < T(0)) != (y < T(0)) ? r + y : r;
    }
}

// The quotient rounded down; of floating point numbers, as Brian2's C++ does it; of integers by
// 0 it is 0, as in NumPy.
template <class T>
B2E_DEVICE T floor_divide(T x, T y) {
    if constexpr (is_integer<T>) {
        const T divisor = y == 0 || y == -1 ? T(1) : y;
        const T q = x / divisor;
        const T down = x % divisor != 0 && (x < 0) != (y < 0) ? q - 1 : q;
        return y == 0 ? T(0) : y == -1 ? negative(x) : down;
    } else {
        return floor(x / y);
    }
}

// An integer from a number, its fraction cut off; the least one if the number is not finite or
// too large, as NumPy and x86 have it (in C++ anything may happen, and on a GPU it does).
template <class I, class T>
B2E_DEVICE I whole(T x) {
    if constexpr (is_integer<T>) {
        return I(x);
    } else {
        constexpr I least = I(1ull << (8 * sizeof(I) - 1));
        return x >= T(least) && x < -T(least) ? I(x) : least;
    }
}

}  // namespace b2e

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

B2E_INVARIANT double first_of(int step, double dt) {
    const double about = ((step > 0 ? step : step - 1.0) - 1e-3) * dt;
    return first_time(about, [=](double t) { return _timestep(t, dt) >= step; });
}

B2E_INVARIANT double too_late(double dt) {
    return first_time(9223372036854775808.0 * dt, [=](double t) { return _timestep(t, dt) < 0; });
}

inline Since since(int step, double dt) { return {first_of(step, dt), too_late(dt)}; }
#else
struct Since {
    int step;
    double dt;
    B2E_DEVICE bool operator()(double t) const { return _timestep(t, dt) >= step; }
};

B2E_DEVICE Since since(int step, double dt) { return {step, dt}; }
#endif

}  // namespace b2e
