// Empty places of a sparse matrix, and the greatest of many numbers.
namespace b2e {

// The row of the empty place of that rank: row r has columns - (start[r + 1] - start[r]) of them.
template <class Starts>
B2E_DEVICE int row_of_empty(Starts start, int rows, long long columns, long long rank) {
    int low = 0, high = rows - 1;
    while (low < high) {
        const int middle = low + (high - low + 1) / 2;
        if (middle * columns - start[middle] <= rank) low = middle;
        else high = middle - 1;
    }
    return low;
}

// The column of the empty place of that rank in a row: so many of the row's taken ones, which
// ascend from `first` to `last`, lie before it.
template <class Columns>
B2E_DEVICE int column_of_empty(Columns taken, int first, int last, long long rank) {
    int low = first, high = last;
    while (low < high) {
        const int middle = low + (high - low) / 2;
        if (taken[middle] - (middle - first) <= rank) low = middle + 1;
        else high = middle;
    }
    return int(rank) + low - first;
}

// Whether a place is in a row's list of ascending columns; if not, it is put in as `node`.
template <class Pointer>
B2E_DEVICE bool in_list(Pointer head, Pointer next, Pointer column, int row, int wanted) {
    int at = head[row];
    while (at >= 0 && column[at] < wanted) at = next[at];
    return at >= 0 && column[at] == wanted;
}

template <class Pointer>
B2E_DEVICE void put_in_list(Pointer head, Pointer next, Pointer column, int row, int wanted, int node) {
    int before = -1, at = head[row];
    while (at >= 0 && column[at] < wanted) {
        before = at;
        at = next[at];
    }
    column[node] = wanted;
    next[node] = at;
    if (before < 0) head[row] = node;
    else next[before] = node;
}

// A whole number that is greater where x is; NaN is the greatest or the least.
B2E_DEVICE long long order_of(double x) {
    union {
        double real;
        long long bits;
    } both;
    both.real = x == 0 ? 0.0 : x;
    return both.bits < 0 ? both.bits ^ 0x7fffffffffffffffll : both.bits;
}

B2E_DEVICE long long middle_of(long long low, long long high) {
    const unsigned long long from = low, to = high;
    return (long long)(from + (to - from) / 2);
}

}  // namespace b2e
