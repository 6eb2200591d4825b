// The launch of an emulated kernel, with the arguments' addresses as CUDA takes them.
namespace b2e {

template <size_t... numbers>
struct Numbers {};

template <size_t n, size_t... numbers>
struct UpTo : UpTo<n - 1, n - 1, numbers...> {};

template <size_t... numbers>
struct UpTo<0, numbers...> {
    using type = Numbers<numbers...>;
};

// The kernel and its arguments, for the fibers.
template <class... Parameters>
struct Call {
    static inline void (*kernel)(Parameters...);
    static inline void** arguments;

    template <size_t... number>
    static void with(Numbers<number...>) {
        kernel(*static_cast<Parameters*>(arguments[number])...);
    }
    static void make() { with(typename UpTo<sizeof...(Parameters)>::type()); }
};

template <class... Parameters>
int emulate(void (*kernel)(Parameters...), const Launch& launch, void** arguments, char* message,
            int message_size) {
    Call<Parameters...>::kernel = kernel;
    Call<Parameters...>::arguments = arguments;
    return machine::run(Call<Parameters...>::make, launch, message, message_size);
}

}  // namespace b2e

#define B2E_EMULATED_ENTRY(kernel)                                                       \
    extern "C" int b2e_emulate_##kernel(const b2e::Launch* launch, void** arguments,     \
                                        char* message, int message_size) {               \
        return b2e::emulate(kernel, *launch, arguments, message, message_size);          \
    }
