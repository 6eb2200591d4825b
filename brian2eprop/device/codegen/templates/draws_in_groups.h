// The numbers of many elements, the first a multiple of 128: every word of a block is used, and
// neighbouring blocks are a vector. `numbers` has room for `n` rounded up to 128.
#if defined(__AVX2__)
#include <immintrin.h>
#endif

namespace b2e {

// As many 64-bit lanes as the processor multiplies at once. Of a word in a lane the lower half
// counts; the upper one may hold anything. Vectors take turns, as many as its registers hold:
// a product takes longer than the next one need wait.
#if defined(__AVX512F__)
constexpr int LANES = 8, TURNS = 4;
#elif defined(__AVX2__)
constexpr int LANES = 4, TURNS = 2;
#else
constexpr int LANES = 2, TURNS = 2;
#endif
typedef unsigned long long Lanes __attribute__((vector_size(8 * LANES)));

inline Lanes product(Lanes x, unsigned y) {
#if defined(__AVX512F__)
    return (Lanes)_mm512_mul_epu32((__m512i)x, _mm512_set1_epi64(y));
#elif defined(__AVX2__)
    return (Lanes)_mm256_mul_epu32((__m256i)x, _mm256_set1_epi64x(y));
#else
    return (x & 0xFFFFFFFFull) * y;
#endif
}

// The words of 32 blocks that follow one another.
struct Blocks {
    unsigned long long a[32], b[32], c[32], d[32];

    Words of(int lane) const {
        return {unsigned(a[lane]), unsigned(b[lane]), unsigned(c[lane]), unsigned(d[lane])};
    }
};

inline void philox_of_blocks(Draws draws, unsigned block, Blocks& found) {
    for (int first = 0; first < 32; first += TURNS * LANES) {
        Lanes a[TURNS], b[TURNS], c[TURNS], d[TURNS];
        for (int turn = 0; turn < TURNS; ++turn) {
            for (int k = 0; k < LANES; ++k) a[turn][k] = block + first + turn * LANES + k;
            b[turn] = Lanes{} + draws.step;
            c[turn] = Lanes{} + draws.step_high;
            d[turn] = Lanes{} + draws.instance;
        }
        unsigned key = draws.key, other_key = draws.other_key;
        #pragma GCC unroll 10
        for (int round = 0; round < 10; ++round) {
            #pragma GCC unroll 4
            for (int turn = 0; turn < TURNS; ++turn) {
                const Lanes one = product(a[turn], 0xD2511F53u);
                const Lanes other = product(c[turn], 0xCD9E8D57u);
                a[turn] = (other >> 32) ^ b[turn] ^ key;
                b[turn] = other;
                c[turn] = (one >> 32) ^ d[turn] ^ other_key;
                d[turn] = one;
            }
            key += 0x9E3779B9u;
            other_key += 0xBB67AE85u;
        }
        std::memcpy(found.a + first, a, sizeof a);
        std::memcpy(found.b + first, b, sizeof b);
        std::memcpy(found.c + first, c, sizeof c);
        std::memcpy(found.d + first, d, sizeof d);
    }
}

// `fill` writes a block's four numbers, from its words and perhaps the finer ones, 32 apart.
template <bool fine, class T, class Fill>
inline void in_groups(Draws draws, int first, int n, T* numbers, Fill fill) {
    Draws finer_draws = draws;
    finer_draws.step_high ^= 0x80000000u;
    alignas(64) Blocks blocks, finer;
    for (int group = 0; group < n; group += 128) {
        philox_of_blocks(draws, (first + group) / 4, blocks);
        if constexpr (fine) philox_of_blocks(finer_draws, (first + group) / 4, finer);
        B2E_SIMD
        for (int lane = 0; lane < 32; ++lane)
            fill(blocks.of(lane), finer.of(lane), numbers + group + lane);
    }
}

template <class T>
inline void uniforms(Draws draws, int first, int n, T* numbers) {
    in_groups<sizeof(T) == 8>(draws, first, n, numbers, [](Words x, Words finer, T* found) {
        found[0] = fraction<T>(x.a, finer.a);
        found[32] = fraction<T>(x.b, finer.b);
        found[64] = fraction<T>(x.c, finer.c);
        found[96] = fraction<T>(x.d, finer.d);
    });
}

template <class T>
inline void normals(Draws draws, int first, int n, T* numbers) {
    in_groups<sizeof(T) == 8>(draws, first, n, numbers, [](Words x, Words finer, T* found) {
        const Point<T> one = point<T>(x.a, finer.a, x.b, finer.b);
        const Point<T> other = point<T>(x.c, finer.c, x.d, finer.d);
        found[0] = one.x;
        found[32] = one.y;
        found[64] = other.x;
        found[96] = other.y;
    });
}

}  // namespace b2e
