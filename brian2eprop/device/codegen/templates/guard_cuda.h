// There are no exceptions on a GPU: a function that throws does not compile.
#define B2E_GUARDED(name, call) return call;
