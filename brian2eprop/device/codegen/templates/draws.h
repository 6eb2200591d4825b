// Random numbers: Philox 4x32-10 (Salmon et al. 2011, doi:10.1145/2063384.2063405), counted by
// element, step and instance. Elements share what a block of four words has to give: of each 128,
// those that are 32 apart. draws_in_groups.h has the same for many elements, backends/draws.py in
// NumPy.
namespace b2e {

struct Words {
    unsigned a, b, c, d;
};

// What the draws of one call in one step and instance have in common.
struct Draws {
    unsigned key, other_key, step, step_high, instance;
};

B2E_DEVICE Draws draws_of(ptr<int> keys, int number, long long step, int instance) {
    const int at = 4 * number;
    const unsigned long long shift =
        (unsigned long long)(unsigned)keys[at + 2] | (unsigned long long)(unsigned)keys[at + 3] << 32;
    const unsigned long long now = (unsigned long long)step + shift;
    return {(unsigned)keys[at], (unsigned)keys[at + 1], (unsigned)now, (unsigned)(now >> 32),
            (unsigned)instance};
}

template <int rounds>
B2E_DEVICE Words philox(Words x, unsigned key, unsigned other_key) {
    if constexpr (rounds == 0) {
        return x;
    } else {
        const unsigned long long first = 0xD2511F53ull * x.a;
        const unsigned long long second = 0xCD9E8D57ull * x.c;
        const Words next = {(unsigned)(second >> 32) ^ x.b ^ key, (unsigned)second,
                            (unsigned)(first >> 32) ^ x.d ^ other_key, (unsigned)first};
        return philox<rounds - 1>(next, key + 0x9E3779B9u, other_key + 0xBB67AE85u);
    }
}

B2E_DEVICE Words words(Draws draws, unsigned block) {
    return philox<10>({block, draws.step, draws.step_high, draws.instance}, draws.key,
                      draws.other_key);
}

// What makes the same numbers finer: the words of a step that there is not.
template <class T>
B2E_DEVICE Words finer_words(Draws draws, unsigned block) {
    if constexpr (sizeof(T) != 8) return {};
    draws.step_high ^= 0x80000000u;
    return words(draws, block);
}

B2E_DEVICE unsigned block_of(long long element) { return unsigned(element / 128 * 32 + element % 32); }

B2E_DEVICE int word_of(long long element) { return int(element / 32 % 4); }

// A word over 2^32: the bits of a number from 1 up to 2, less 1. Not every processor makes numbers
// of words without a sign.
B2E_DEVICE double over_all_words(unsigned word) {
    union { unsigned long long bits; double number; } one;
    one.bits = 0x3FF0000000000000ull | (unsigned long long)word << 20;
    return one.number - 1;
}

// From 0 up to, but not including, 1, from two words.
template <class T>
B2E_DEVICE T fraction(unsigned high, unsigned low) {
    if constexpr (sizeof(T) == 8) {
        return over_all_words(high) + int(low >> 11) * (1 / 9007199254740992.0);
    } else {
        const float x = float(high) * (1 / 4294967296.0f);
        return x < 1.0f ? x : 0.99999994f;
    }
}

template <class T>
B2E_DEVICE T uniform(Draws draws, long long element) {
    const Words x = words(draws, block_of(element));
    const Words finer = finer_words<T>(draws, block_of(element));
    const int word = word_of(element);
    return word == 0   ? fraction<T>(x.a, finer.a)
           : word == 1 ? fraction<T>(x.b, finer.b)
           : word == 2 ? fraction<T>(x.c, finer.c)
                       : fraction<T>(x.d, finer.d);
}

// Sine over x and cosine of an x up to a quarter of pi, from its square; the polynomials are those
// of the Cephes library (Moshier 1989).
template <class T>
B2E_DEVICE T sine_ratio(T z) {
    if constexpr (sizeof(T) == 8)
        return 1 + z * (-1.66666666666666307295e-1 + z * (8.33333333332211858878e-3 +
               z * (-1.98412698295895385996e-4 + z * (2.75573136213857245213e-6 +
               z * (-2.50507477628578072866e-8 + z * 1.58962301576546568060e-10)))));
    else
        return 1 + z * (-1.6666654611e-1f + z * (8.3321608736e-3f + z * -1.9515295891e-4f));
}

template <class T>
B2E_DEVICE T cosine(T z) {
    if constexpr (sizeof(T) == 8)
        return 1 + z * (-0.5 + z * (4.16666666666665929218e-2 + z * (-1.38888888888730564116e-3 +
               z * (2.48015872888517045348e-5 + z * (-2.75573141792967388112e-7 +
               z * (2.08757008419747316778e-9 + z * -1.13585365213876817300e-11))))));
    else
        return 1 + z * (-0.5f + z * (4.166664568298827e-2f + z * (-1.388731625493765e-3f +
               z * 2.443315711809948e-5f)));
}

// A point of a plane, both of whose coordinates are normal (Box and Muller).
template <class T>
struct Point {
    T x, y;
};

template <class T>
B2E_DEVICE Point<T> point(unsigned a, unsigned finer_a, unsigned b, unsigned finer_b) {
    T above_zero;
    if constexpr (sizeof(T) == 8) above_zero = fraction<T>(a, finer_a) + 1 / 9007199254740992.0;
    else above_zero = (float(a) + 0.5f) * (1 / 4294967296.0f);
    const T radius = sqrt(T(-2) * log(above_zero));
    // The angle is some quarters of a turn, which are exact, and at most half of one.
    const T turn = fraction<T>(b, finer_b);
    const T quarters = floor(turn * 4 + T(0.5));
    const T angle = (turn - quarters / 4) * T(6.283185307179586);
    const T along = cosine(angle * angle), across = angle * sine_ratio(angle * angle);
    const int quarter = int(quarters);
    const T x = quarter % 2 == 0 ? along : across, y = quarter % 2 == 0 ? across : along;
    return {radius * ((quarter + 1) & 2 ? -x : x), radius * (quarter & 2 ? -y : y)};
}

template <class T>
B2E_DEVICE T normal(Draws draws, long long element) {
    const Words x = words(draws, block_of(element));
    const Words finer = finer_words<T>(draws, block_of(element));
    const int word = word_of(element);
    const Point<T> found = word < 2 ? point<T>(x.a, finer.a, x.b, finer.b)
                                    : point<T>(x.c, finer.c, x.d, finer.d);
    return word % 2 == 0 ? found.x : found.y;
}

}  // namespace b2e

// A uniform number that belongs to a seed and two whole numbers, from 0 up to 1.
template <class S, class I, class J>
B2E_DEVICE double _hashed(S seed, I i, J j) {
    const b2e::Words x = b2e::philox<10>({unsigned(i), unsigned(j), 0u, 0u}, unsigned(seed), 0u);
    return b2e::fraction<double>(x.a, x.b);
}
