// A team of threads: where they meet, and how they make one list of what each has found.
#include <atomic>
#include <vector>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace b2e {

// Longer than a step's shares differ, and shorter than it takes to wake up, several times over.
constexpr int patience = 2000;

inline void pause() {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#else
    std::atomic_signal_fence(std::memory_order_seq_cst);
#endif
}

// A list that a team made: its length, and where a member's own part of it stands.
struct List {
    int length, start, own;
};

struct Team {
    alignas(64) std::atomic<int> arrived{0};
    alignas(64) std::atomic<int> round{0};
    std::atomic<int> asleep{0};
    // A cache line of marks for each member, with a mark for each list.
    alignas(64) const int line;
    std::vector<int> marks;

    Team(int members, int lists) : line((lists + 15) / 16 * 16), marks(members * line) {}
};

struct Teammate : Member {
    Team& team;
    std::vector<unsigned char> memory;

    Teammate(Team& team, int number, int members) : Member{number, members}, team(team) {}

    // Goes on when all have come. Whoever waits for long sleeps: the others may need its core.
    void meet() {
        if (members == 1) return;
        const int round = team.round.load(std::memory_order_relaxed);
        if (team.arrived.fetch_add(1, std::memory_order_acq_rel) == members - 1) {
            team.arrived.store(0, std::memory_order_relaxed);
            team.round.store(round + 1);
            if (team.asleep.load()) syscall(SYS_futex, &team.round, FUTEX_WAKE_PRIVATE, members);
            return;
        }
        for (int looks = 0; looks < patience; ++looks) {
            if (team.round.load(std::memory_order_acquire) != round) return;
            pause();
        }
        team.asleep.fetch_add(1);
        while (team.round.load() == round)
            syscall(SYS_futex, &team.round, FUTEX_WAIT_PRIVATE, round, nullptr);
        team.asleep.fetch_sub(1);
    }

    // Memory for n flags, of which it touches its own and up to seven more.
    unsigned char* flags(int n) {
        if (memory.size() < size_t(n) + 8) memory.resize(size_t(n) + 8);
        return memory.data();
    }

    // Says how many of its own flags are set.
    void mark(int list, int n) {
        std::memset(memory.data() + last(n), 0, 8);
        int set = 0;
        for (int at = first(n); at < last(n); at += 8) set += __builtin_popcountll(eight(at));
        team.marks[number * team.line + list] = set;
    }

    // Writes the indices of its own set flags to where they stand in the list of all.
    List gather(int list, int n, int* indices) {
        int before = 0, all = 0;
        for (int other = 0; other < members; ++other) {
            if (other == number) before = all;
            all += team.marks[other * team.line + list];
        }
        int end = before;
        for (int at = first(n); at < last(n); at += 8)
            for (unsigned long long word = eight(at); word; word &= word - 1)
                indices[end++] = at + (__builtin_ctzll(word) >> 3);
        return {all, before, end - before};
    }

   private:
    unsigned long long eight(int at) const {
        unsigned long long word;
        std::memcpy(&word, memory.data() + at, 8);
        return word;
    }
};

}  // namespace b2e
