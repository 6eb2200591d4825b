// The memory an emulated kernel sees: every access is checked against the array's bounds, and
// against what other threads of the block did to the element since the last barrier, and other
// blocks since the launch.
namespace b2e {

enum class Use { READ, WRITE, ADD };

// Which thread last used an element in some way, and when.
struct Touch {
    static constexpr int several = -2;

    unsigned epoch = 0;
    int thread = 0;
    int block = 0;

    bool by_another_block() const { return epoch >= machine.launch && block != int(blockIdx.x); }
    bool by_another() const {
        return (epoch == machine.epoch && thread != machine.current) || by_another_block();
    }
    void mark() {
        thread = by_another() ? several : machine.current;
        block = by_another_block() ? several : int(blockIdx.x);
        epoch = machine.epoch;
    }
};

// What was done to one element.
struct Cell {
    Touch touches[3];
};

static const char* verb(Use use) {
    return use == Use::READ ? "reads" : use == Use::WRITE ? "writes" : "adds to";
}

// Where the running thread last waited.
static std::string last_meeting() {
    const int line = machine.fibers[machine.current].line;
    return line ? "after line " + std::to_string(line) : "before any barrier";
}

// Reads do not disturb reads, nor atomic additions one another; all else needs a barrier.
static void check_race(Cell& cell, Use use, const char* name, long long index) {
    for (Use other : {Use::READ, Use::WRITE, Use::ADD}) {
        if (use == other && use != Use::WRITE) continue;
        if (!cell.touches[int(other)].by_another()) continue;
        machine.fail("Race in array '%s': %s, thread %d of block %u %s element %lld, "
                     "which another thread %s without a barrier between.", name,
                     last_meeting().c_str(), machine.current, blockIdx.x, verb(use), index,
                     verb(other));
    }
    cell.touches[int(use)].mark();
}

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
        if (index_ < 0 || index_ >= size_)
            machine.fail("Thread %d of block %u %s element %lld of array '%s', which has %lld "
                         "elements.", machine.current, blockIdx.x, verb(use), index_, name_, size_);
        check_race(cells_[index_], use, name_, index_);
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
            machine.fail("Thread %d of block %u takes elements %lld to %lld of array '%s', which "
                         "has %lld elements.", machine.current, blockIdx.x, offset, offset + n - 1,
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

// The arrays of the launch, in the order of the kernel's table.
struct Named {
    std::string name;
    long long size;
    std::unique_ptr<Cell, void (*)(void*)> cells;
};

// Memory of one block: of undefined content when a block begins, hence filled with NaN.
struct BlockMemory {
    void* start;
    size_t bytes;
    Cell* cells;
    size_t n_cells;

    void undefine() const {
        std::memset(start, 0xff, bytes);
        for (size_t i = 0; i < n_cells; ++i) cells[i] = Cell();
    }
};

struct Memory {
    std::vector<Named> arrays;
    std::vector<BlockMemory> shared;
    std::vector<double> dynamic;
    std::vector<Cell> dynamic_cells;

    void undefine() {
        for (const BlockMemory& part : shared) part.undefine();
        std::memset((void*)dynamic.data(), 0xff, dynamic.size() * sizeof(double));
        dynamic_cells.assign(dynamic.size() * sizeof(double), Cell());
    }
};

static Memory memory;

template <class T>
ptr<T> array(void* const* arrays, const long long* lengths, int number) {
    const Named& known = memory.arrays[number];
    return {(T*)arrays[number], known.cells.get(), lengths[number], known.name.c_str()};
}

// Storage of a __shared__ variable.
template <class T, long long n>
struct Shared {
    alignas(16) T values[n];
    Cell cells[n];

    Shared() {
        memory.shared.push_back({(void*)values, sizeof values, cells, size_t(n)});
        memory.shared.back().undefine();
    }
};

// Dynamic shared memory, as much as the launch asked for.
struct Dynamic {};

inline Dynamic dynamic_memory(long long bytes) {
    const long long given = (long long)(memory.dynamic.size() * sizeof(double));
    if (bytes > given)
        machine.fail("The kernel needs %lld bytes of dynamic shared memory, but was launched with "
                     "%lld.", bytes, given);
    return {};
}

// `size` elements of dynamic shared memory. Each byte has a cell; an array uses its first ones.
template <class T>
ptr<T> reside(Dynamic, long long offset, long long size) {
    const long long given = (long long)(memory.dynamic.size() * sizeof(double));
    if (offset < 0 || offset % (long long)sizeof(T) || offset + size * (long long)sizeof(T) > given)
        machine.fail("%lld elements of %zu bytes do not fit at byte %lld of the %lld bytes of "
                     "dynamic shared memory.", size, sizeof(T), offset, given);
    unsigned char* start = (unsigned char*)memory.dynamic.data() + offset;
    return {(T*)start, memory.dynamic_cells.data() + offset, size, "dynamic shared memory"};
}

}  // namespace b2e

using b2e::atomicAdd;

#define B2E_SHARED(type, name, size)                    \
    static b2e::Shared<type, (size)> name##_storage;    \
    const b2e::ptr<type> name = {name##_storage.values, \
                                 name##_storage.cells, (size), #name}
#define B2E_DYNAMIC_SHARED(name, bytes) const b2e::Dynamic name = b2e::dynamic_memory(bytes)
