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

