// How a step finds its input spikes, its numbers and its slot, on a CPU and on a GPU.
namespace b2e {

// The spikes of one instance in one step.
struct Spikes {
    const int* index;
    int count;
};

B2E_DEVICE Spikes spikes_of(void* const* streams, const long long* stream_steps, int number,
                            int instance, long long step) {
    const long long n_steps = stream_steps[2 * number + 1];
    const long long row = step - stream_steps[2 * number];
    if (row < 0 || row >= n_steps) return {nullptr, 0};
    const long long* start = (const long long*)streams[2 * number] + instance * (n_steps + 1);
    const int* index = (const int*)streams[2 * number + 1];
    return {index + start[row], int(start[row + 1] - start[row])};
}

// Position of the first of `count` ascending neurons that is not below a number.
template <class Neurons>
B2E_DEVICE int first_from(Neurons neurons, int count, int number) {
    int below = 0;
    while (below < count) {
        const int middle = below + (count - below) / 2;
        if (neurons[middle] < number) below = middle + 1;
        else count = middle;
    }
    return below;
}

// An integer that is handed over in the bits of a double.
B2E_DEVICE long long whole(double bits) {
    union { double real; long long integer; } both = {bits};
    return both.integer;
}

// A number that came from an array, held within bounds.
B2E_DEVICE long long between(long long least, long long value, long long most) {
    return value < least ? least : value > most ? most : value;
}

// The slot of a step, which may be negative.
B2E_DEVICE int slot(long long step, int depth) {
    const int remainder = int(step % depth);
    return remainder < 0 ? remainder + depth : remainder;
}

// Where a number stands in an ascending list, or -1.
template <class List>
B2E_DEVICE int position(List list, int n, long long number) {
    int first = 0;
    for (int rest = n; rest > 0;) {
        const int half = rest / 2;
        const bool later = list[first + half] < number;
        first = later ? first + half + 1 : first;
        rest = later ? rest - half - 1 : half;
    }
    return first < n && list[first] == number ? first : -1;
}

}  // namespace b2e
