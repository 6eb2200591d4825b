// The memory an emulated kernel sees: every access is checked against the array's bounds, and
// against what other threads of the block did to the element since the last barrier, and other
// blocks since the launch.
namespace b2e {

// Where an element is, for atomic functions.
template <class T>
struct Location {
    T* value;
};

// An element of a checked array; behaves as the value does.
template <class T>
class Element {
   public:
    Element(T* base, Cell* cells, long long index, long long size, const char* name)
        : base_(base), cells_(cells), index_(index), size_(size), name_(name) {}

    operator T() const { return *use(Use::READ); }
    T operator=(T value) const { return *use(Use::WRITE) = value; }
    T operator=(const Element& other) const { return *this = T(other); }
    T operator+=(T value) const { return *this = T(*this) + value; }
    T operator-=(T value) const { return *this = T(*this) - value; }
    T operator*=(T value) const { return *this = T(*this) * value; }
    T operator/=(T value) const { return *this = T(*this) / value; }
    Location<T> operator&() const { return {use(Use::ADD)}; }

   private:
    T* use(Use use) const {
        machine::use(use, cells_, index_, size_, name_);
        return base_ + index_;
    }

    T* base_;
    Cell* cells_;
    long long index_, size_;
    const char* name_;
};

// A pointer that knows what it points to.
template <class T>
struct checked_pointer {
    T* base;
    Cell* cells;
    long long size;
    const char* name;

    Element<T> operator[](long long index) const { return {base, cells, index, size, name}; }
    checked_pointer operator+(long long offset) const { return part(offset, size - offset); }
    checked_pointer part(long long offset, long long n) const {
        if (offset < 0 || n < 0 || offset + n > size)
            machine::fail("Thread %u of block %u takes elements %lld to %lld of array '%s', which "
                          "has %lld elements.", threadIdx.x, blockIdx.x, offset, offset + n - 1,
                          name, size);
        return {base + offset, cells + offset, n, name};
    }
};

template <class T>
using ptr = checked_pointer<T>;

template <class T>
ptr<T> slice(ptr<T> pointer, long long offset, long long size) {
    return pointer.part(offset, size);
}

template <class T, class Value>
T atomicAdd(Location<T> location, Value value) {
    const T before = *location.value;
    *location.value = before + T(value);
    return before;
}

template <class T>
ptr<T> array(void* const* arrays, const long long* lengths, int number) {
    const machine::Known known = machine::array(number);
    return {(T*)arrays[number], known.cells, lengths[number], known.name};
}

// Storage of a __shared__ variable.
template <class T, long long n>
struct Shared {
    alignas(16) T values[n];
    Cell cells[n];
    unsigned launch;

    ptr<T> of_this_launch(const char* name) {
        machine::share(values, sizeof values, cells, size_t(n), launch);
        return {values, cells, n, name};
    }
};

// Dynamic shared memory.
struct Dynamic {};

inline Dynamic dynamic_memory(long long bytes) {
    machine::ask_for_dynamic(bytes);
    return {};
}

// `size` elements of dynamic shared memory. Each byte has a cell; an array uses its first ones.
template <class T>
ptr<T> reside(Dynamic, long long offset, long long size) {
    const machine::Part part = machine::dynamic(offset, size, sizeof(T));
    return {(T*)part.start, part.cells, size, "dynamic shared memory"};
}

}  // namespace b2e

using b2e::atomicAdd;

#define B2E_SHARED(type, name, size)                 \
    static b2e::Shared<type, (size)> name##_storage; \
    const b2e::ptr<type> name = name##_storage.of_this_launch(#name)
#define B2E_DYNAMIC_SHARED(name, bytes) const b2e::Dynamic name = b2e::dynamic_memory(bytes)
