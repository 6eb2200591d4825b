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

// Meetings

void meet(State state, const char* word, int line, unsigned lanes = 0) {
    Fiber& fiber = fibers[current];
    fiber.state = state;
    fiber.word = word;
    fiber.line = line;
    fiber.lanes = lanes;
    if (!_setjmp(fiber.resume)) _longjmp(scheduler, 1);
}

void exchange(const char* word, int line, unsigned lanes, unsigned long long brought) {
    if (!(lanes >> (current % 32) & 1))
        fail("Thread %d of block %u takes part in the %s at line %d, but its lane is not in the "
             "mask 0x%08x.", current, blockIdx.x, word, line, lanes);
    fibers[current].brought = brought;
    meet(State::WARP, word, line, lanes);
}

// Whether two threads wait at the same meeting.
bool together(const Fiber& a, const Fiber& b) {
    return a.state == b.state && a.line == b.line && a.lanes == b.lanes &&
           strcmp(a.word, b.word) == 0;
}

// Completes an exchange if every lane of its mask has come to it.
bool release_lanes(Fiber* warp, const Fiber& asks) {
    const unsigned lanes = asks.lanes;
    for (int i = 0; i < 32; ++i)
        if ((lanes >> i & 1) && !together(warp[i], asks)) return false;
    for (int i = 0; i < 32; ++i) {
        if (!(lanes >> i & 1)) continue;
        for (int j = 0; j < 32; ++j) warp[i].received[j] = warp[j].brought;
        warp[i].state = State::READY;
    }
    return true;
}

bool release_warps() {
    bool released = false;
    for (size_t thread = 0; thread < fibers.size(); ++thread)
        if (fibers[thread].state == State::WARP)
            released |= release_lanes(&fibers[thread / 32 * 32], fibers[thread]);
    return released;
}

bool release_barrier() {
    for (Fiber& fiber : fibers)
        if (fiber.state != State::BARRIER || !together(fiber, fibers[0])) return false;
    for (Fiber& fiber : fibers) fiber.state = State::READY;
    ++epoch;
    return true;
}

std::string whereabouts(const Fiber& fiber) {
    if (fiber.state == State::DONE) return "has returned";
    return "waits at the " + std::string(fiber.word) + " at line " + std::to_string(fiber.line);
}

// Somebody waits for ever: name one who waits, and one who does not wait there.
void report_divergence() {
    size_t waits = 0;
    while (fibers[waits].state == State::DONE) ++waits;
    const Fiber& here = fibers[waits];
    const bool warp = here.state == State::WARP;
    const size_t begin = warp ? waits / 32 * 32 : 0;
    const size_t end = warp ? begin + 32 : fibers.size();
    for (size_t other = begin; other < end; ++other) {
        const Fiber& there = fibers[other];
        if (warp && !(here.lanes >> (other % 32) & 1)) continue;
        if (together(there, here)) continue;
        return fail("Divergent %s at line %d: thread %zu of block %u waits there, while thread "
                    "%zu %s.", here.word, here.line, waits, blockIdx.x, other,
                    whereabouts(there).c_str());
    }
}

// Fibers

void enter_fiber() {
    body();
    meet(State::DONE, "end", 0);
}

void begin(Fiber& fiber) {
    getcontext(&fiber.start);
    fiber.start.uc_stack.ss_sp = fiber.stack.get();
    fiber.start.uc_stack.ss_size = stack_bytes;
    fiber.start.uc_link = nullptr;
    makecontext(&fiber.start, enter_fiber, 0);
    fiber.started = false;
    fiber.state = State::READY;
}

// Only the first entry costs a system call; from then on a switch is a jump.
void resume(int thread) {
    current = thread;
    threadIdx.x = thread;
    if (!_setjmp(scheduler)) {
        Fiber& fiber = fibers[current];
        if (fiber.started) _longjmp(fiber.resume, 1);
        fiber.started = true;
        setcontext(&fiber.start);
    }
    current = -1;
}

bool run_ready() {
    bool ran = false;
    for (size_t thread = 0; thread < fibers.size() && !failed; ++thread) {
        if (fibers[thread].state != State::READY) continue;
        resume(int(thread));
        ran = true;
    }
    return ran;
}

void run_block() {
    for (Fiber& fiber : fibers) begin(fiber);
    ++epoch;
    while (!failed) {
        if (run_ready() || failed) continue;
        if (release_warps() || release_barrier()) continue;
        bool done = true;
        for (const Fiber& fiber : fibers) done &= fiber.state == State::DONE;
        if (done) return;
        report_divergence();
    }
}

// Memory

constexpr int several = -2;

bool by_another_block(const Touch& touch) {
    return touch.epoch >= launch_epoch && touch.block != int(blockIdx.x);
}

bool by_another(const Touch& touch) {
    return (touch.epoch == epoch && touch.thread != current) || by_another_block(touch);
}

void mark(Touch& touch) {
    touch.thread = by_another(touch) ? several : current;
    touch.block = by_another_block(touch) ? several : int(blockIdx.x);
    touch.epoch = epoch;
}

const char* verb(Use use) {
    return use == Use::READ ? "reads" : use == Use::WRITE ? "writes" : "adds to";
}

// Where the running thread last waited.
std::string last_meeting() {
    const int line = fibers[current].line;
    return line ? "after line " + std::to_string(line) : "before any barrier";
}

// Reads do not disturb reads, nor atomic additions one another; all else needs a barrier.
void check_race(Cell& cell, Use use, const char* name, long long index) {
    for (Use other : {Use::READ, Use::WRITE, Use::ADD}) {
        if (use == other && use != Use::WRITE) continue;
        if (!by_another(cell.touches[int(other)])) continue;
        fail("Race in array '%s': %s, thread %d of block %u %s element %lld, "
             "which another thread %s without a barrier between.", name,
             last_meeting().c_str(), current, blockIdx.x, verb(use), index, verb(other));
    }
    mark(cell.touches[int(use)]);
}

long long dynamic_bytes() {
    return (long long)(dynamic_values.size() * sizeof(double));
}

void undefine_memory() {
    for (const BlockMemory& part : shared) part.undefine();
    memset((void*)dynamic_values.data(), 0xff, dynamic_bytes());
    dynamic_cells.assign(dynamic_bytes(), Cell());
}

void prepare(const Launch& launch) {
    failed = false;
    launch_epoch = ++epoch;
    fibers = std::vector<Fiber>(launch.threads);
    blockDim.x = launch.threads;
    gridDim.x = launch.blocks;
    dynamic_values.assign((launch.dynamic_bytes + 7) / 8, 0);
    shared.clear();
    arrays.clear();
    for (int i = 0; i < launch.n_arrays; ++i) {
        Cell* cells = (Cell*)calloc(launch.lengths[i] + 1, sizeof(Cell));
        arrays.push_back({launch.names[i], {cells, free}});
    }
}

}  // namespace

// What kernels see

void fail(const char* format, ...) {
    char text[500];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (!failed) error = text;
    failed = true;
    if (current >= 0) _longjmp(scheduler, 1);
}

void barrier(int line) {
    meet(State::BARRIER, "barrier", line);
}

unsigned ballot(int line, unsigned lanes, bool flag) {
    exchange("vote", line, lanes, flag);
    const Fiber& fiber = fibers[current];
    unsigned votes = 0;
    for (int i = 0; i < 32; ++i)
        if (lanes >> i & 1) votes |= unsigned(fiber.received[i] & 1) << i;
    return votes;
}

unsigned long long shuffle(int line, unsigned lanes, unsigned long long word, int source) {
    exchange("shuffle", line, lanes, word);
    if (source < 0 || source >= 32) return word;
    if (!(lanes >> source & 1))
        fail("Thread %d of block %u takes the value of lane %d in the shuffle at line %d, "
             "but that lane is not in the mask 0x%08x.", current, blockIdx.x, source, line, lanes);
    return fibers[current].received[source];
}

void use(Use use, Cell* cells, long long index, long long size, const char* name) {
    if (index < 0 || index >= size)
        fail("Thread %d of block %u %s element %lld of array '%s', which has %lld elements.",
             current, blockIdx.x, verb(use), index, name, size);
    check_race(cells[index], use, name, index);
}

Known array(int number) {
    return {arrays[number].cells.get(), arrays[number].name.c_str()};
}

void share(void* values, size_t bytes, Cell* cells, size_t n_cells, unsigned& launch) {
    if (launch == launch_epoch) return;
    launch = launch_epoch;
    shared.push_back({values, bytes, cells, n_cells});
    shared.back().undefine();
}

void ask_for_dynamic(long long bytes) {
    if (bytes > dynamic_bytes())
        fail("The kernel needs %lld bytes of dynamic shared memory, but was launched with %lld.",
             bytes, dynamic_bytes());
}

Part dynamic(long long offset, long long size, size_t bytes_of_one) {
    const long long bytes = size * (long long)bytes_of_one;
    if (offset < 0 || offset % (long long)bytes_of_one || offset + bytes > dynamic_bytes())
        fail("%lld elements of %zu bytes do not fit at byte %lld of the %lld bytes of "
             "dynamic shared memory.", size, bytes_of_one, offset, dynamic_bytes());
    return {(unsigned char*)dynamic_values.data() + offset, dynamic_cells.data() + offset};
}

int run(void (*kernel)(), const Launch& launch, char* message, int message_size) {
    prepare(launch);
    body = kernel;
    for (int block = 0; block < launch.blocks && !failed; ++block) {
        blockIdx.x = block;
        undefine_memory();
        run_block();
    }
    if (failed) snprintf(message, message_size, "%s", error.c_str());
    fibers.clear();
    arrays.clear();
    return failed;
}

}  // namespace machine
}  // namespace b2e
