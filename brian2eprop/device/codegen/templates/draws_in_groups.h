// The numbers of many elements, the first a multiple of 128: every word of a block is used, and
// neighbouring blocks are a vector. `numbers` has room for `n` rounded up to 128.
namespace b2e {

template <class T>
inline void uniforms(Draws draws, int first, int n, T* numbers) {
    for (int group = 0; group < n; group += 128) {
        B2E_SIMD
        for (int lane = 0; lane < 32; ++lane) {
            const unsigned block = (first + group) / 4 + lane;
            const Words x = words(draws, block);
            const Words finer = finer_words<T>(draws, block);
            T* found = numbers + group + lane;
            found[0] = fraction<T>(x.a, finer.a);
            found[32] = fraction<T>(x.b, finer.b);
            found[64] = fraction<T>(x.c, finer.c);
            found[96] = fraction<T>(x.d, finer.d);
        }
    }
}

template <class T>
inline void normals(Draws draws, int first, int n, T* numbers) {
    for (int group = 0; group < n; group += 128) {
        B2E_SIMD
        for (int lane = 0; lane < 32; ++lane) {
            const unsigned block = (first + group) / 4 + lane;
            const Words x = words(draws, block);
            const Words finer = finer_words<T>(draws, block);
            const Point<T> one = point<T>(x.a, finer.a, x.b, finer.b);
            const Point<T> other = point<T>(x.c, finer.c, x.d, finer.d);
            T* found = numbers + group + lane;
            found[0] = one.x;
            found[32] = one.y;
            found[64] = other.x;
            found[96] = other.y;
        }
    }
}

}  // namespace b2e
