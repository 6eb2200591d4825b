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
