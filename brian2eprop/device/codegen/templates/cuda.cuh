// CUDA's words: a block of threads runs an instance. The block is a whole number of warps of 32.
// Block-wide calls (block_sum, block_max, compact) are made by every thread of the block, and
// two of them have a barrier between them. With B2E_EMULATED, emulation.h and emulation_memory.h
// stand before this text and supply what the first part here takes from the hardware.
#define B2E_KERNEL extern "C" __global__ void __launch_bounds__(512)
#define B2E_DEVICE __device__ inline
#define B2E_FOR(i, n) for (int i = threadIdx.x; i < (n); i += blockDim.x)
#define B2E_GRID_FOR(i, n)                                                               \
    for (long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x; i < (n); \
         i += (long long)gridDim.x * blockDim.x)
#define B2E_BARRIER() __syncthreads()
#define B2E_LEADER (threadIdx.x == 0)
#define B2E_MINE(row) ((row) % blockDim.x == threadIdx.x)

#ifndef B2E_EMULATED
#define B2E_SHARED(type, name, size) __shared__ type name[size]
#define B2E_DYNAMIC_SHARED(name, bytes) extern __shared__ __align__(16) unsigned char name[]

namespace b2e {

template <class T>
using ptr = T*;

// Array `number` of the kernel's table.
template <class T>
B2E_DEVICE ptr<T> array(void* const* arrays, const long long*, int number) {
    return (T*)arrays[number];
}

// `size` elements of dynamic shared memory, from byte `offset` on.
template <class T>
B2E_DEVICE ptr<T> reside(unsigned char* memory, int offset, int) {
    return (T*)(memory + offset);
}

// The `size` elements from element `offset` on.
template <class T>
B2E_DEVICE ptr<T> slice(T* pointer, long long offset, long long) {
    return pointer + offset;
}

}  // namespace b2e
#endif

namespace b2e {

constexpr unsigned all_lanes = 0xffffffffu;
constexpr int max_warps = 32;

template <class Pointer, class T>
B2E_DEVICE void add(Pointer pointer, long long element, T value) {
    atomicAdd(&pointer[element], value);
}

// A number that no other thread gets.
B2E_DEVICE int take(ptr<int> count) { return atomicAdd(&count[0], 1); }

template <class T>
B2E_DEVICE void clear(ptr<T> pointer, long long n) {
    for (long long i = threadIdx.x; i < n; i += blockDim.x) pointer[i] = T(0);
}

struct Plus {
    template <class T>
    B2E_DEVICE static T of(T a, T b) { return a + b; }
};

struct Larger {
    template <class T>
    B2E_DEVICE static T of(T a, T b) { return a > b ? a : b; }
};

// Combines the threads' values in an order that depends on the block's size only, the same in
// every thread: a butterfly inside each warp, then the warps in ascending order.
template <class Combine, class T>
B2E_DEVICE T block_reduce(T value) {
    B2E_SHARED(T, partial, max_warps);
    for (int distance = 16; distance > 0; distance /= 2)
        value = Combine::of(value, __shfl_xor_sync(all_lanes, value, distance));
    if (threadIdx.x % 32 == 0) partial[threadIdx.x / 32] = value;
    B2E_BARRIER();
    T result = partial[0];
    for (int warp = 1; warp < int(blockDim.x / 32); ++warp)
        result = Combine::of(result, T(partial[warp]));
    return result;
}

template <class T>
B2E_DEVICE T block_sum(T value) {
    return block_reduce<Plus>(value);
}

template <class T>
B2E_DEVICE T block_max(T value) {
    return block_reduce<Larger>(value);
}

// Writes the indices of the set flags in ascending order; returns their number to every thread.
// A thread reads the flags that it met in a B2E_FOR: no barrier is needed between the two. The
// flags may stand in `indices` itself: what is written lies among what was already read.
// The warps' counts alternate between two rows, so that one barrier a round is enough.
template <class Flags>
B2E_DEVICE int compact(Flags flags, int n, ptr<int> indices) {
    B2E_SHARED(int, votes_of_warp, 2 * max_warps);
    const int warp = threadIdx.x / 32;
    const int lane = threadIdx.x % 32;
    int total = 0;
    int row = 0;
    for (int first = 0; first < n; first += blockDim.x) {
        const int i = first + int(threadIdx.x);
        const bool flag = i < n && flags[i];
        const unsigned votes = __ballot_sync(all_lanes, flag);
        if (lane == 0) votes_of_warp[row + warp] = __popc(votes);
        B2E_BARRIER();
        int before = total;
        for (int other = 0; other < int(blockDim.x / 32); ++other) {
            const int count = votes_of_warp[row + other];
            before += other < warp ? count : 0;
            total += count;
        }
        if (flag) indices[before + __popc(votes & ((1u << lane) - 1))] = i;
        row = max_warps - row;
    }
    return total;
}

}  // namespace b2e
