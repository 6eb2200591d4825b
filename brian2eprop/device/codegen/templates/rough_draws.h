// Uniform numbers that are only compared: half of their bits, as long as no comparison goes by the
// other ones.
namespace b2e {

// Less than this is what the finer words add to a number.
constexpr double OF_FINER_WORDS = 1 / 4294967296.0;

// The numbers but for less than `unknown`: without their finer words, or whole.
inline void uniforms(Draws draws, int first, int n, double* numbers, double unknown) {
    if (unknown == 0) return uniforms(draws, first, n, numbers);
    in_groups<false>(draws, first, n, numbers, [](Words x, Words, double* found) {
        found[0] = over_all_words(x.a);
        found[32] = over_all_words(x.b);
        found[64] = over_all_words(x.c);
        found[96] = over_all_words(x.d);
    });
}

// A number that is known so. It notes if a comparison goes by what is not known.
struct Rough {
    double least, beyond;
    bool& doubt;

    Rough(double least, double unknown, bool& doubt)
        : least(least), beyond(least + unknown), doubt(doubt) {}

    bool noted(bool found, bool of_beyond) const {
        doubt |= found != of_beyond;
        return found;
    }
};

#define B2E_COMPARED(sign)                                           \
    template <class T>                                               \
    inline bool operator sign(const Rough& x, T y) {                 \
        return x.noted(x.least sign y, x.beyond sign y);             \
    }                                                                \
    template <class T>                                               \
    inline bool operator sign(T y, const Rough& x) {                 \
        return x.noted(y sign x.least, y sign x.beyond);             \
    }
B2E_COMPARED(<)
B2E_COMPARED(<=)
B2E_COMPARED(>)
B2E_COMPARED(>=)
#undef B2E_COMPARED

template <int n>
inline bool any(const unsigned char (&flags)[n]) {
    unsigned char found = 0;
    for (unsigned char flag : flags) found |= flag;
    return found != 0;
}

}  // namespace b2e
