// What a function of the script throws is kept for whoever called the kernel: it may not leave a
// loop that threads share.
#include <cstdio>
#include <exception>
#include <limits>

#define B2E_GUARDED(name, call)                                             \
    try {                                                                   \
        return call;                                                        \
    } catch (const std::exception& thrown) {                                \
        b2e::keep_thrown(name, thrown.what());                              \
    } catch (...) {                                                         \
        b2e::keep_thrown(name, "something that is no std::exception");      \
    }                                                                       \
    return std::numeric_limits<decltype(call)>::quiet_NaN();

namespace b2e {

static char thrown[1000];  // the first one: which function, and what it says

__attribute__((cold, noinline)) static void keep_thrown(const char* name, const char* what) {
#pragma omp critical(b2e_thrown)
    if (!thrown[0]) snprintf(thrown, sizeof thrown, "%s: %s", name, what);
}

}  // namespace b2e

// Gives what was thrown and forgets it.
extern "C" void b2e_thrown(char* text, int size) {
#pragma omp critical(b2e_thrown)
    {
        snprintf(text, size, "%s", b2e::thrown);
        b2e::thrown[0] = 0;
    }
}
