// Blocks, threads, barriers and warps of CUDA on one CPU thread, for tests. The threads of a
// block are fibers that run one after another from meeting point to meeting point (a barrier or
// a warp exchange); blocks run one after another. Whoever does not come to a meeting that others
// wait at is an error, as is a race (emulation_memory.h). After an error the kernel is abandoned.
#undef _FORTIFY_SOURCE
#include <math.h>
#include <setjmp.h>
#include <ucontext.h>

#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#define B2E_EMULATED
#define __global__
#define __device__
#define __launch_bounds__(threads)
#define __syncthreads() b2e::machine.meet(b2e::State::BARRIER, "barrier", __LINE__)
#define __ballot_sync(lanes, flag) b2e::ballot(__LINE__, lanes, flag)
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

}  // namespace b2e

static b2e::Dim threadIdx, blockIdx, blockDim, gridDim;

namespace b2e {

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

struct Machine {
    std::vector<Fiber> fibers;
    void (*body)() = nullptr;
    jmp_buf scheduler;
    int current = -1;
    unsigned epoch = 1;   // counts what separates a block's accesses: its barriers
    unsigned launch = 1;  // the epoch in which this launch began
    bool failed = false;
    std::string message;

    void fail(const char* format, ...) __attribute__((format(printf, 2, 3)));
    void meet(State state, const char* word, int line, unsigned lanes = 0);
    void exchange(const char* word, int line, unsigned lanes, unsigned long long brought);
    void run_block();

   private:
    void begin(Fiber& fiber);
    void resume(int thread);
    bool run_ready();
    bool release_warps();
    bool release_lanes(Fiber* warp, const Fiber& asks);
    bool release_barrier();
    void report_divergence();
    void suspend();
};

static Machine machine;

static void enter_fiber() {
    machine.body();
    machine.meet(State::DONE, "end", 0);
}

// Records the first error; a thread that fails never goes on.
void Machine::fail(const char* format, ...) {
    char text[500];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (!failed) message = text;
    failed = true;
    if (current >= 0) _longjmp(scheduler, 1);
}

void Machine::suspend() {
    if (!_setjmp(fibers[current].resume)) _longjmp(scheduler, 1);
}

void Machine::meet(State state, const char* word, int line, unsigned lanes) {
    Fiber& fiber = fibers[current];
    fiber.state = state;
    fiber.word = word;
    fiber.line = line;
    fiber.lanes = lanes;
    suspend();
}

void Machine::exchange(const char* word, int line, unsigned lanes, unsigned long long brought) {
    if (!(lanes >> (current % 32) & 1))
        fail("Thread %d of block %u takes part in the %s at line %d, but its lane is not in the "
             "mask 0x%08x.", current, blockIdx.x, word, line, lanes);
    fibers[current].brought = brought;
    meet(State::WARP, word, line, lanes);
}

void Machine::begin(Fiber& fiber) {
    getcontext(&fiber.start);
    fiber.start.uc_stack.ss_sp = fiber.stack.get();
    fiber.start.uc_stack.ss_size = stack_bytes;
    fiber.start.uc_link = nullptr;
    makecontext(&fiber.start, enter_fiber, 0);
    fiber.started = false;
    fiber.state = State::READY;
}

// Only the first entry costs a system call; from then on a switch is a jump.
void Machine::resume(int thread) {
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

bool Machine::run_ready() {
    bool ran = false;
    for (size_t thread = 0; thread < fibers.size() && !failed; ++thread) {
        if (fibers[thread].state != State::READY) continue;
        resume(int(thread));
        ran = true;
    }
    return ran;
}

bool Machine::release_warps() {
    bool released = false;
    for (size_t thread = 0; thread < fibers.size(); ++thread)
        if (fibers[thread].state == State::WARP)
            released |= release_lanes(&fibers[thread / 32 * 32], fibers[thread]);
    return released;
}

// Whether two threads wait at the same meeting.
static bool together(const Fiber& a, const Fiber& b) {
    return a.state == b.state && a.line == b.line && a.lanes == b.lanes &&
           std::strcmp(a.word, b.word) == 0;
}

// Completes an exchange if every lane of its mask has come to it.
bool Machine::release_lanes(Fiber* warp, const Fiber& asks) {
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

bool Machine::release_barrier() {
    for (Fiber& fiber : fibers)
        if (fiber.state != State::BARRIER || !together(fiber, fibers[0])) return false;
    for (Fiber& fiber : fibers) fiber.state = State::READY;
    ++epoch;
    return true;
}

static std::string whereabouts(const Fiber& fiber) {
    if (fiber.state == State::DONE) return "has returned";
    return "waits at the " + std::string(fiber.word) + " at line " + std::to_string(fiber.line);
}

// Somebody waits for ever: name one who waits, and one who does not wait there.
void Machine::report_divergence() {
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

void Machine::run_block() {
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

static unsigned ballot(int line, unsigned lanes, bool flag) {
    machine.exchange("vote", line, lanes, flag);
    const Fiber& fiber = machine.fibers[machine.current];
    unsigned votes = 0;
    for (int i = 0; i < 32; ++i)
        if (lanes >> i & 1) votes |= unsigned(fiber.received[i] & 1) << i;
    return votes;
}

// The value of another lane; a thread's own where there is no such lane.
template <class T>
T shuffle(int line, unsigned lanes, T value, int source) {
    unsigned long long word = 0;
    std::memcpy(&word, &value, sizeof value);
    machine.exchange("shuffle", line, lanes, word);
    if (source < 0 || source >= 32) return value;
    if (!(lanes >> source & 1))
        machine.fail("Thread %d of block %u takes the value of lane %d in the shuffle at line %d, "
                     "but that lane is not in the mask 0x%08x.", machine.current, blockIdx.x,
                     source, line, lanes);
    std::memcpy(&value, &machine.fibers[machine.current].received[source], sizeof value);
    return value;
}

}  // namespace b2e
