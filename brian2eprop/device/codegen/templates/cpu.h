// The CPU's words: one thread runs an instance, so barriers are nothing and sums are plain.
#include <math.h>
#include <cstring>
#include <omp.h>

#define B2E_DEVICE inline
#define B2E_INVARIANT __attribute__((const, noinline)) static
#define B2E_PRAGMA(...) _Pragma(#__VA_ARGS__)
#define B2E_SIMD B2E_PRAGMA(omp simd)
#define B2E_SIMD_REDUCE(operation, ...) B2E_PRAGMA(omp simd reduction(operation : __VA_ARGS__))
#define B2E_PARALLEL_SIMD B2E_PRAGMA(omp parallel for simd schedule(static))
#define B2E_PARALLEL B2E_PRAGMA(omp parallel for schedule(dynamic, 8))
#define B2E_BARRIER()
#define B2E_LEADER true
#define B2E_MINE(row) true
#define B2E_SHARED(type, name, size) alignas(64) type name[size]

namespace b2e {

template <class T>
using ptr = T*;

template <class T>
inline T* array(void* const* arrays, const long long*, int number) { return (T*)arrays[number]; }

template <class T>
inline T* slice(T* pointer, long long offset, long long) { return pointer + offset; }

// Asks for the beginning of a row that is soon gone along; of how it goes on the processor finds
// out by itself.
template <class T>
inline void fetch(const T* row, int n) {
    constexpr int most = 512 / sizeof(T);
    const char* const end = (const char*)(row + (n < most ? n : most));
    for (const char* line = (const char*)((size_t)row & ~size_t(63)); line < end; line += 64)
        __builtin_prefetch(line);
}

template <class T>
inline void add(T* pointer, long long element, T value) { pointer[element] += value; }

inline int take(int* count) { return (*count)++; }

template <class T>
inline T block_sum(T value) { return value; }

template <class T>
inline T block_max(T value) { return value; }

template <class T>
inline void clear(T* pointer, long long n) { std::memset(pointer, 0, n * sizeof(T)); }

inline unsigned long long eight_flags(const unsigned char* flags) {
    unsigned long long word;
    std::memcpy(&word, flags, 8);
    return word;
}

// Whether one of 64 flags is set.
inline bool any_of_64(const unsigned char* flags) {
    unsigned long long any = 0;
    for (int first = 0; first < 64; first += 8) any |= eight_flags(flags + first);
    return any != 0;
}

// Writes the indices of the set flags in ascending order; looks at 64 flags at a time, then at
// eight, since few are set. flags holds n rounded up to eight, zero beyond n.
inline int compact(const unsigned char* flags, int n, int* indices) {
    int count = 0;
    for (int block = 0; block < n; block += 64) {
        const int end = block + 64 < n ? block + 64 : n;
        if (end - block == 64 && !any_of_64(flags + block)) continue;
        for (int first = block; first < end; first += 8)
            for (unsigned long long word = eight_flags(flags + first); word; word &= word - 1)
                indices[count++] = first + (__builtin_ctzll(word) >> 3);
    }
    return count;
}

// The same for flags that stand where the indices go: an index is never written beyond its flag.
inline int compact(const int* flags, int n, int* indices) {
    int count = 0;
    for (int i = 0; i < n; ++i) {
        const int flag = flags[i];
        indices[count] = i;
        count += flag;
    }
    return count;
}

}  // namespace b2e
