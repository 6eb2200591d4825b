// The numbers of many elements, the first a multiple of 128: every word of a block is used, and
// neighbouring blocks are a vector. `numbers` has room for `n` rounded up to 128.
namespace b2e {

// `fill` writes a block's four numbers, from its words and the finer ones, 32 apart.
template <class T, class Fill>
inline void in_groups(Draws draws, int first, int n, T* numbers, Fill fill) {
    for (int group = 0; group < n; group += 128) {
        B2E_SIMD
        for (int lane = 0; lane < 32; ++lane) {
            const unsigned block = (first + group) / 4 + lane;
            fill(words(draws, block), finer_words<T>(draws, block), numbers + group + lane);
        }
    }
}

template <class T>
inline void uniforms(Draws draws, int first, int n, T* numbers) {
    in_groups(draws, first, n, numbers, [](Words x, Words finer, T* found) {
        found[0] = fraction<T>(x.a, finer.a);
        found[32] = fraction<T>(x.b, finer.b);
        found[64] = fraction<T>(x.c, finer.c);
        found[96] = fraction<T>(x.d, finer.d);
    });
}

template <class T>
inline void normals(Draws draws, int first, int n, T* numbers) {
    in_groups(draws, first, n, numbers, [](Words x, Words finer, T* found) {
        const Point<T> one = point<T>(x.a, finer.a, x.b, finer.b);
        const Point<T> other = point<T>(x.c, finer.c, x.d, finer.d);
        found[0] = one.x;
        found[32] = one.y;
        found[64] = other.x;
        found[96] = other.y;
    });
}

}  // namespace b2e
