// The machine that emulated kernels run on. The threads of a block are fibers that run one after
// another from meeting point to meeting point (a barrier or a warp exchange); blocks run one after
// another. Whoever does not come to a meeting that others wait at is an error, as is a race. After
// an error the kernel is abandoned.
#undef _FORTIFY_SOURCE
#include <setjmp.h>
#include <ucontext.h>

#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

b2e::Dim threadIdx, blockIdx, blockDim, gridDim;

namespace b2e {
namespace machine {
namespace {

constexpr size_t stack_bytes = 256 * 1024;

enum class State { READY, BARRIER, WARP, DONE };

// A thread of the block in hand: where it waits, and what it brought to the warp's exchange.
struct Fiber {
    ucontext_t start;
    jmp_buf resume;
    std::unique_ptr<char[]> stack{new char[stack_bytes]};
    bool started = false;
    State state = State::READY;
    const char* word = "";
    int line = 0;
    unsigned lanes = 0;
    unsigned long long brought = 0;
    unsigned long long received[32];
};

struct Named {
    std::string name;
    std::unique_ptr<Cell, void (*)(void*)> cells;
};

// Memory of one block: of undefined content when a block begins, hence filled with NaN.
struct BlockMemory {
    void* start;
    size_t bytes;
    Cell* cells;
    size_t n_cells;

    void undefine() const {
        memset(start, 0xff, bytes);
        for (size_t i = 0; i < n_cells; ++i) cells[i] = Cell();
    }
};

std::vector<Fiber> fibers;
void (*body)() = nullptr;
jmp_buf scheduler;
int current = -1;
unsigned epoch = 1;         // counts what separates a block's accesses: its barriers
unsigned launch_epoch = 1;  // the epoch in which this launch began
bool failed = false;
std::string error;

std::vector<Named> arrays;
std::vector<BlockMemory> shared;
std::vector<double> dynamic_values;
std::vector<Cell> dynamic_cells;

