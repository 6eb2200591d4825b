// Functions of time that are given by values, row by row.
namespace b2e {

template <class T>
struct Timed {
    ptr<T> values;
    int rows, columns;
    double dt;
    int fractions;

    B2E_DEVICE int row(double t) const {
        const double fraction = t / (dt / fractions) + 0.5;
        const long long row = whole<long long>(fraction / fractions);
        return row < 0 ? 0 : row < rows ? int(row) : rows - 1;
    }

    B2E_DEVICE T operator()(double t) const { return values[row(t)]; }

    B2E_DEVICE T operator()(double t, long long column) const {
        if (column < 0 || column >= columns) return T(NAN);
        return values[(long long)row(t) * columns + column];
    }
};

}  // namespace b2e
