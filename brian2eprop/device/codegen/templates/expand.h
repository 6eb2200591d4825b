// The numbers that rows of synapses are drawn by; program/rules.py has the same in NumPy. All of it
// is made of operations that are rounded in one way, so that all machines find the same synapses.
#ifndef B2E_SIMD
#define B2E_SIMD
#endif

namespace b2e {

// Between which neurons a rule has synapses.
struct Ranges {
    int first_source, sources, first_target, targets;
};

B2E_DEVICE Ranges ranges_of(ptr<int> numbers) {
    return {numbers[0], numbers[1], numbers[2], numbers[3]};
}

// Neither a product nor a sum that the compiler could make one operation of with another.
#ifdef __CUDA_ARCH__
B2E_DEVICE double product(double x, double y) { return __dmul_rn(x, y); }
B2E_DEVICE double plus(double x, double y) { return __dadd_rn(x, y); }
#else
B2E_DEVICE double product(double x, double y) { return x * y; }
B2E_DEVICE double plus(double x, double y) { return x + y; }
#endif

// Minus the logarithm of a number from 2**-53 to 1.
B2E_DEVICE double minus_log(double x) {
    long long bits;
    memcpy(&bits, &x, sizeof bits);
    // From the half of a root of two up to it, times a power of two.
    const int small = (bits & 0xFFFFFFFFFFFFFll) < 0x6A09E667F3BCDll;
    const int exponent = int(bits >> 52) - 1023 + (small ? 0 : 1);
    const long long of_mantissa = (bits & 0xFFFFFFFFFFFFFll) | (small ? 0x3FFll : 0x3FEll) << 52;
    double mantissa;
    memcpy(&mantissa, &of_mantissa, sizeof mantissa);
    const double ratio = plus(mantissa, -1) / plus(mantissa, 1);
    const double square = product(ratio, ratio);
    double series = 1.0 / 19;
    series = plus(product(series, square), 1.0 / 17);
    series = plus(product(series, square), 1.0 / 15);
    series = plus(product(series, square), 1.0 / 13);
    series = plus(product(series, square), 1.0 / 11);
    series = plus(product(series, square), 1.0 / 9);
    series = plus(product(series, square), 1.0 / 7);
    series = plus(product(series, square), 1.0 / 5);
    series = plus(product(series, square), 1.0 / 3);
    series = plus(product(series, square), 1.0);
    return -plus(product(exponent, 0.6931471805599453), product(product(2, ratio), series));
}

// The numbers of a row in order, some of them drawn at once: uniform above 0 and up to 1, or
// exponential.
template <int some>
struct RowNumbers {
    Draws draws;
    unsigned block;
    int at;
    double kept[some];

    B2E_DEVICE void begin(Draws all, long long row) {
        draws = all;
        draws.instance = unsigned(row);
        block = 0;
        at = some;
    }

    B2E_DEVICE void draw() {
        B2E_SIMD
        for (int k = 0; k < some / 2; ++k) {
            const Words x = words(draws, block + k);
            kept[2 * k] = plus(fraction<double>(x.a, x.b), 1 / 9007199254740992.0);
            kept[2 * k + 1] = plus(fraction<double>(x.c, x.d), 1 / 9007199254740992.0);
        }
        block += some / 2;
        at = 0;
    }

    B2E_DEVICE double uniform() {
        if (at == some) draw();
        return kept[at++];
    }

    B2E_DEVICE double exponential() {
        if (at == some) {
            draw();
            B2E_SIMD
            for (int k = 0; k < some; ++k) kept[k] = minus_log(kept[k]);
        }
        return kept[at++];
    }
};

}  // namespace b2e
