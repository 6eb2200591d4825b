// The members of a team, each with its own range of every population. Ranges begin at multiples
// of 128 elements, which share blocks of random words: no cache line is two members', and what is
// done in vectors and what is left over does not depend on the number of members.
namespace b2e {

// Some entries of a row.
struct Part {
    int start, length;
};

struct Member {
    int number, members;

    B2E_DEVICE bool leads() const { return number == 0; }
    B2E_DEVICE int first(int n) const { return start_of(number, n); }
    B2E_DEVICE int last(int n) const { return start_of(number + 1, n); }

    // Of the entries from start up to end, whose neighbours among n ascend, those of its own.
    template <class Neighbours>
    B2E_DEVICE Part part(Neighbours neighbours, int start, int end, int n) const {
        const int from = first(n), to = last(n);
        const int before = from == 0 ? 0 : first_from(neighbours + start, end - start, from);
        const int rest = end - start - before;
        const int own = to == n ? rest : first_from(neighbours + start + before, rest, to);
        return {start + before, own};
    }

   private:
    B2E_DEVICE int start_of(int member, int n) const {
        const int blocks = (n - 1) / 128 + 1;
        const long long start = (long long)((blocks - 1) / members + 1) * 128 * member;
        return start < n ? int(start) : n;
    }
};

}  // namespace b2e
