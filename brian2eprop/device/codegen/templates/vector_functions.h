// glibc has these functions for whole vectors too, and g++ calls them where they are declared so.
// What a loop leaves over, it gives to those of shorter vectors and of one number, which round
// otherwise: equal neurons would differ by where they stand. So within this library others stand
// for these, which ask the function of the longest vectors: a value depends on arguments alone.
#if defined(__x86_64__) && defined(__GLIBC__)

namespace b2e {

template <class T, int bytes>
struct Vector {
    typedef T type __attribute__((vector_size(bytes)));
};

template <class Long, class T>
inline Long repeated(T x) {
    Long many;
    for (size_t at = 0; at < sizeof many; at += sizeof x) std::memcpy((char*)&many + at, &x, sizeof x);
    return many;
}

// What a function of long vectors gives for shorter ones, or for single numbers.
template <class Long, class... Longs, class T, class... Others>
inline T ask(Long (*longest)(Long, Longs...), T x, Others... others) {
    const Long found = longest(repeated<Long>(x), repeated<Longs>(others)...);
    std::memcpy(&x, &found, sizeof x);
    return x;
}

}  // namespace b2e

#define B2E_NUMBERS(T, bytes) typename b2e::Vector<T, bytes>::type
#define B2E_TAKES_1(...) (__VA_ARGS__ x)
#define B2E_TAKES_2(...) (__VA_ARGS__ x, __VA_ARGS__ y)
#define B2E_GIVES_1 x
#define B2E_GIVES_2 x, y
#define B2E_STANDS_FOR(symbol, longest, n, ...)                                      \
    extern "C" __attribute__((visibility("hidden"), noinline, used)) __VA_ARGS__     \
        b2e_##symbol B2E_TAKES_##n(__VA_ARGS__) __asm__(#symbol);                    \
    __VA_ARGS__ b2e_##symbol B2E_TAKES_##n(__VA_ARGS__) {                            \
        return b2e::ask(longest, B2E_GIVES_##n);                                     \
    }

// The names by which g++ calls them: the instructions, the number of lanes, a v an argument.
#if defined(__AVX512F__)
#define B2E_BYTES 64
#define B2E_LONGEST_double(name) _ZGVeN8##name
#define B2E_LONGEST_float(name) _ZGVeN16##name
#define B2E_SHORTER_double(n, name)                                                  \
    B2E_STANDS_FOR(_ZGVdN4##name, _ZGVeN8##name, n, B2E_NUMBERS(double, 32))         \
    B2E_STANDS_FOR(_ZGVbN2##name, _ZGVeN8##name, n, B2E_NUMBERS(double, 16))
#define B2E_SHORTER_float(n, name)                                                   \
    B2E_STANDS_FOR(_ZGVdN8##name, _ZGVeN16##name, n, B2E_NUMBERS(float, 32))         \
    B2E_STANDS_FOR(_ZGVbN4##name, _ZGVeN16##name, n, B2E_NUMBERS(float, 16))
#elif defined(__AVX2__)
#define B2E_BYTES 32
#define B2E_LONGEST_double(name) _ZGVdN4##name
#define B2E_LONGEST_float(name) _ZGVdN8##name
#define B2E_SHORTER_double(n, name)                                                  \
    B2E_STANDS_FOR(_ZGVbN2##name, _ZGVdN4##name, n, B2E_NUMBERS(double, 16))
#define B2E_SHORTER_float(n, name)                                                   \
    B2E_STANDS_FOR(_ZGVbN4##name, _ZGVdN8##name, n, B2E_NUMBERS(float, 16))
#else  // those for AVX are made of these
#define B2E_BYTES 16
#define B2E_LONGEST_double(name) _ZGVbN2##name
#define B2E_LONGEST_float(name) _ZGVbN4##name
#define B2E_SHORTER_double(n, name)
#define B2E_SHORTER_float(n, name)
#endif

#define B2E_FUNCTION(T, n, v, name)                                                  \
    extern "C" __attribute__((__simd__("notinbranch"))) T name B2E_TAKES_##n(T);     \
    extern "C" B2E_NUMBERS(T, B2E_BYTES)                                             \
        B2E_LONGEST_##T(v##_##name) B2E_TAKES_##n(B2E_NUMBERS(T, B2E_BYTES));        \
    B2E_STANDS_FOR(name, B2E_LONGEST_##T(v##_##name), n, T)                          \
    B2E_SHORTER_##T(n, v##_##name)
#define B2E_OF_ONE(name) B2E_FUNCTION(double, 1, v, name) B2E_FUNCTION(float, 1, v, name##f)
#define B2E_OF_TWO(name) B2E_FUNCTION(double, 2, vv, name) B2E_FUNCTION(float, 2, vv, name##f)
#if __GLIBC_PREREQ(2, 35)
#define B2E_OF_ONE_LATER(name) B2E_OF_ONE(name)
#else
#define B2E_OF_ONE_LATER(name)
#endif

// g++ asks for the sine and the cosine of one number at once.
#define B2E_BOTH(name, T, sine, cosine)                                              \
    extern "C" __attribute__((visibility("hidden"), noinline, used)) void            \
        b2e_##name(T x, T* its_sine, T* its_cosine) __asm__(#name);                  \
    void b2e_##name(T x, T* its_sine, T* its_cosine) {                               \
        *its_sine = b2e_##sine(x);                                                   \
        *its_cosine = b2e_##cosine(x);                                               \
    }
#define B2E_SINE_AND_COSINE             \
    B2E_OF_ONE(sin)                     \
    B2E_OF_ONE(cos)                     \
    B2E_BOTH(sincos, double, sin, cos)  \
    B2E_BOTH(sincosf, float, sinf, cosf)
#else
#define B2E_OF_ONE(name)
#define B2E_OF_TWO(name)
#define B2E_OF_ONE_LATER(name)
#define B2E_SINE_AND_COSINE
#endif
