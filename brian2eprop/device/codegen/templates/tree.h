// Linear equations on a tree, solved from the leaves to the root and back.
namespace b2e {

template <class Parents, class Values, class Constants>
B2E_DEVICE void solve_tree(int n, Parents parent, Values leak, Constants coupling, Values source) {
    for (int node = n - 1; node > 0; --node) {
        const int above = parent[node];
        const real between = coupling[node], own = leak[node];
        const real share = between / (between + own);
        leak[above] += own * share;
        source[above] += source[node] * share;
    }
    source[0] = source[0] / leak[0];
    for (int node = 1; node < n; ++node) {
        const real between = coupling[node];
        source[node] = (source[node] + between * source[parent[node]]) / (between + leak[node]);
    }
}

}  // namespace b2e
