// Blocks, threads, barriers and warps of CUDA on one CPU thread, for tests: what a kernel sees of
// them. The machine itself (emulation_machine.cpp) is compiled once for all kernels, so nothing
// here asks for more of C++'s library than a kernel does.
#include <math.h>
#include <stddef.h>
#include <string.h>

#define B2E_EMULATED
#define __global__
#define __device__
#define __host__
#define __launch_bounds__(threads)
#define __syncthreads() b2e::machine::barrier(__LINE__)
#define __ballot_sync(lanes, flag) b2e::machine::ballot(__LINE__, lanes, flag)
#define __shfl_sync(lanes, value, lane) b2e::shuffle(__LINE__, lanes, value, (lane) % 32)
#define __shfl_xor_sync(lanes, value, bits) \
    b2e::shuffle(__LINE__, lanes, value, int(threadIdx.x % 32) ^ (bits))
#define __shfl_up_sync(lanes, value, distance) \
    b2e::shuffle(__LINE__, lanes, value, int(threadIdx.x % 32) - int(distance))
#define __shfl_down_sync(lanes, value, distance) \
    b2e::shuffle(__LINE__, lanes, value, int(threadIdx.x % 32) + int(distance))
#define __popc(word) __builtin_popcount(word)

namespace b2e {

struct Dim {
    unsigned x = 1;
};

enum class Use { READ, WRITE, ADD };

// Which thread last used an element in some way, and when.
struct Touch {
    unsigned epoch = 0;
    int thread = 0;
    int block = 0;
};

// What was done to one element.
struct Cell {
    Touch touches[3];
};

struct Launch {
    int blocks;
    int threads;
    long long dynamic_bytes;
    int n_arrays;
    const char* const* names;
    const long long* lengths;
};

namespace machine {

// An array of the launch, but for its values.
struct Known {
    Cell* cells;
    const char* name;
};

// A part of dynamic shared memory.
struct Part {
    void* start;
    Cell* cells;
};

// Records the first error and abandons the kernel.
void fail(const char* format, ...) __attribute__((format(printf, 1, 2)));

void barrier(int line);
unsigned ballot(int line, unsigned lanes, bool flag);
// What another lane brought; the thread's own word where there is no such lane.
unsigned long long shuffle(int line, unsigned lanes, unsigned long long word, int source);

// The running thread uses an element: it must exist, and nobody else may have it in hand.
void use(Use use, Cell* cells, long long index, long long size, const char* name);

// The arrays of the launch, in the order of the kernel's table.
Known array(int number);

// Makes a __shared__ variable part of the launch, unless it is: `launch` says in which it was.
void share(void* values, size_t bytes, Cell* cells, size_t n_cells, unsigned& launch);

// Dynamic shared memory, as much as the launch asked for.
void ask_for_dynamic(long long bytes);
Part dynamic(long long offset, long long size, size_t bytes_of_one);

// Runs all blocks; 0, or 1 with a message if the kernel did what no kernel may.
int run(void (*body)(), const Launch& launch, char* message, int message_size);

}  // namespace machine

template <class T>
T shuffle(int line, unsigned lanes, T value, int source) {
    unsigned long long word = 0;
    memcpy(&word, &value, sizeof value);
    word = machine::shuffle(line, lanes, word, source);
    memcpy(&value, &word, sizeof value);
    return value;
}

}  // namespace b2e

extern b2e::Dim threadIdx, blockIdx, blockDim, gridDim;
