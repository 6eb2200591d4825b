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
