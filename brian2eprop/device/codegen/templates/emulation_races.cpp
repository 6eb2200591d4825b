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

