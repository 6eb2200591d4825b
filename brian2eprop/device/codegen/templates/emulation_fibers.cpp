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

