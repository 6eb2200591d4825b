// The launch of an emulated kernel, with the arguments' addresses as CUDA takes them.
namespace b2e {

struct Launch {
    int blocks;
    int threads;
    long long dynamic_bytes;
    int n_arrays;
    const char* const* names;
    const long long* lengths;
};

// The kernel and its arguments, for the fibers.
template <class... Parameters>
struct Call {
    static inline void (*kernel)(Parameters...);
    static inline void** arguments;

    template <size_t... number>
    static void with(std::index_sequence<number...>) {
        kernel(*static_cast<Parameters*>(arguments[number])...);
    }
    static void make() { with(std::index_sequence_for<Parameters...>()); }
};

static void prepare(const Launch& launch) {
    machine.failed = false;
    machine.launch = ++machine.epoch;
    machine.fibers = std::vector<Fiber>(launch.threads);
    blockDim.x = launch.threads;
    gridDim.x = launch.blocks;
    memory.dynamic.assign((launch.dynamic_bytes + 7) / 8, 0);
    memory.arrays.clear();
    for (int i = 0; i < launch.n_arrays; ++i) {
        Cell* cells = (Cell*)calloc(launch.lengths[i] + 1, sizeof(Cell));
        memory.arrays.push_back({launch.names[i], launch.lengths[i], {cells, free}});
    }
}

// Runs all blocks; 0, or 1 with a message if the kernel did what no kernel may.
template <class... Parameters>
int emulate(void (*kernel)(Parameters...), const Launch& launch, void** arguments, char* message,
            int message_size) {
    prepare(launch);
    Call<Parameters...>::kernel = kernel;
    Call<Parameters...>::arguments = arguments;
    machine.body = Call<Parameters...>::make;
    for (int block = 0; block < launch.blocks && !machine.failed; ++block) {
        blockIdx.x = block;
        memory.undefine();
        machine.run_block();
    }
    if (machine.failed) snprintf(message, message_size, "%s", machine.message.c_str());
    machine.fibers.clear();
    memory.arrays.clear();
    return machine.failed;
}

}  // namespace b2e

#define B2E_EMULATED_ENTRY(kernel)                                                       \
    extern "C" int b2e_emulate_##kernel(const b2e::Launch* launch, void** arguments,     \
                                        char* message, int message_size) {               \
        return b2e::emulate(kernel, *launch, arguments, message, message_size);          \
    }
