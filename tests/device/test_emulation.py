"""CUDA's words, run in the emulation; and what the emulation refuses."""

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brian2eprop.device.backends.emulation import EmulationError
from tests.device.kernels import run

THREADS = [32, 64, 256, 512]


def error(text):
    """What pytest.raises takes for an error that says that."""
    return pytest.raises(EmulationError, match=re.escape(text))


# Loops and blocks


@pytest.mark.parametrize("threads", THREADS)
def test_the_threads_of_a_block_share_a_loop(threads):
    hits, owner = np.zeros(777, np.int32), np.zeros(777, np.int32)
    body = "B2E_FOR(i, n) { hits[i] += 1; owner[i] = threadIdx.x; }"
    run(body, 777, threads=threads, hits=hits, owner=owner)
    np.testing.assert_array_equal(hits, 1)
    np.testing.assert_array_equal(owner, np.arange(777) % threads)


def test_the_blocks_of_a_grid_share_a_loop():
    hits, owner = np.zeros(777, np.int32), np.zeros(777, np.int32)
    body = "B2E_GRID_FOR(i, n) { hits[i] += 1; owner[i] = blockIdx.x * 10 + gridDim.x; }"
    run(body, 777, blocks=3, hits=hits, owner=owner)
    np.testing.assert_array_equal(hits, 1)
    np.testing.assert_array_equal(owner, np.arange(777) // 64 % 3 * 10 + 3)


def test_what_a_thread_wrote_is_seen_after_a_barrier():
    x = np.zeros(64)
    body = """
    B2E_SHARED(double, board, 64);
    for (int round = 0; round < 5; ++round) {
        board[threadIdx.x] = x[threadIdx.x] + threadIdx.x;
        B2E_BARRIER();
        x[threadIdx.x] = board[(threadIdx.x + 1) % 64];
        B2E_BARRIER();
    }"""
    run(body, x=x)
    expected = np.zeros(64)
    for _ in range(5):
        expected = np.roll(expected + np.arange(64), -1)
    np.testing.assert_array_equal(x, expected)


def test_clear_sets_every_element_to_zero():
    x = np.ones(300)
    run("b2e::clear(x, 299);", x=x)
    np.testing.assert_array_equal(x, [*np.zeros(299), 1])


@pytest.mark.parametrize("depth", [1, 2, 5])
def test_slots_follow_one_another_through_negative_steps(depth):
    x = np.zeros(21, np.int32)
    run("if (B2E_LEADER) for (int i = 0; i < 21; ++i) x[i] = b2e::slot(i - 10, n);", depth, x=x)
    np.testing.assert_array_equal(x, np.arange(-10, 11) % depth)


# Compaction, reductions, additions

COMPACT = """
    B2E_SHARED(unsigned char, flags, 1500);
    B2E_FOR(i, n) flags[i] = given[i];
    B2E_BARRIER();
    const int found = b2e::compact(flags, n, indices);
    count[threadIdx.x] = found;"""


@given(flags=st.lists(st.booleans(), max_size=1500), threads=st.sampled_from(THREADS))
@settings(max_examples=80, deadline=None)
def test_compaction_keeps_the_order(flags, threads):
    n = len(flags)
    given_flags = np.array(flags, np.int32)
    indices, count = np.full(n, -1, np.int32), np.zeros(threads, np.int32)
    run(COMPACT, n, threads=threads, given=given_flags, indices=indices, count=count)
    expected = np.flatnonzero(given_flags)
    np.testing.assert_array_equal(count, len(expected))
    np.testing.assert_array_equal(indices, [*expected, *[-1] * (n - len(expected))])


@pytest.mark.parametrize("threads", THREADS)
def test_flags_may_stand_where_the_indices_go(threads):
    flags = (np.random.default_rng(threads).random(1500) < 0.5).astype(np.int32)
    indices, count = flags.copy(), np.zeros(threads, np.int32)
    body = "count[threadIdx.x] = b2e::compact(indices, n, indices);"
    run(body, 1500, threads=threads, indices=indices, count=count)
    expected = np.flatnonzero(flags)
    np.testing.assert_array_equal(count, len(expected))
    np.testing.assert_array_equal(indices[: len(expected)], expected)


@pytest.mark.parametrize("threads", THREADS)
@pytest.mark.parametrize("n", [0, 1, 31, 32, 33, 512, 1000])
def test_compaction_of_all(threads, n):
    ones, indices, count = np.ones(n, np.int32), np.zeros(n, np.int32), np.zeros(threads, np.int32)
    run(COMPACT, n, threads=threads, given=ones, indices=indices, count=count)
    np.testing.assert_array_equal(indices, np.arange(n))
    np.testing.assert_array_equal(count, n)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("threads", THREADS)
def test_reductions_give_every_thread_the_result(dtype, threads):
    x = np.random.default_rng(threads).normal(-3, 1, threads).astype(dtype)
    total, largest = np.zeros(threads, dtype), np.zeros(threads, dtype)
    body = """
    total[threadIdx.x] = b2e::block_sum(+x[threadIdx.x]);
    B2E_BARRIER();
    largest[threadIdx.x] = b2e::block_max(+x[threadIdx.x]);"""
    run(body, threads=threads, x=x, total=total, largest=largest)
    np.testing.assert_array_equal(total, total[0])
    # Each of the additions a value goes through rounds by half an ulp of at most the sum of |x|.
    tolerance = 32 * np.finfo(dtype).eps * np.abs(x).sum()
    np.testing.assert_allclose(total[0], x.astype(np.float64).sum(), rtol=0, atol=tolerance)
    np.testing.assert_array_equal(largest, x.max())


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_additions_to_one_element_are_all_made(dtype):
    x, total = np.arange(1000, dtype=dtype), np.zeros(3, dtype)
    run("B2E_FOR(i, n) b2e::add(total, i % 3, +x[i]);", 1000, blocks=2, x=x, total=total)
    np.testing.assert_array_equal(total, [2 * x[k::3].sum() for k in range(3)])


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("__shfl_sync(b2e::all_lanes, mine, 5)", lambda lane: 0 * lane + 5),
        ("__shfl_xor_sync(b2e::all_lanes, mine, 3)", lambda lane: lane ^ 3),
        (
            "__shfl_up_sync(b2e::all_lanes, mine, 2)",
            lambda lane: np.where(lane < 2, lane, lane - 2),
        ),
        (
            "__shfl_down_sync(b2e::all_lanes, mine, 2)",
            lambda lane: np.where(lane > 29, lane, lane + 2),
        ),
    ],
)
def test_lanes_exchange_values(word, expected):
    x = np.zeros(64)
    run(f"double mine = threadIdx.x; mine = {word}; x[threadIdx.x] = mine;", x=x)
    lanes = np.arange(64) % 32
    np.testing.assert_array_equal(x, expected(lanes) + np.repeat([0, 32], 32))


def test_a_vote_of_some_lanes():
    x = np.zeros(64, np.int64)
    body = """
    if (threadIdx.x % 32 >= 8)
        x[threadIdx.x] = __ballot_sync(0xffffff00u, threadIdx.x % 3 == 0);"""
    run(body, x=x)
    for warp in (0, 1):
        votes = sum(1 << lane for lane in range(8, 32) if (32 * warp + lane) % 3 == 0)
        np.testing.assert_array_equal(x[32 * warp + 8 : 32 * warp + 32], votes)


def test_dynamic_shared_memory_holds_arrays_side_by_side():
    x = np.zeros(64)
    body = """
    B2E_DYNAMIC_SHARED(memory, 64 * 12);
    b2e::ptr<double> a = b2e::reside<double>(memory, 0, 64);
    b2e::ptr<float> b = b2e::reside<float>(memory, 512, 64);
    a[threadIdx.x] = threadIdx.x;
    b[threadIdx.x] = 0.5f;
    B2E_BARRIER();
    x[threadIdx.x] = a[63 - threadIdx.x] + b[63 - threadIdx.x];"""
    run(body, dynamic_bytes=64 * 12, x=x)
    np.testing.assert_array_equal(x, np.arange(64)[::-1] + 0.5)


@pytest.mark.parametrize("memory", ["B2E_SHARED(double, a, 64);", "DYNAMIC"])
def test_shared_memory_is_undefined_when_a_block_begins(memory):
    dynamic = "B2E_DYNAMIC_SHARED(m, 512); b2e::ptr<double> a = b2e::reside<double>(m, 0, 64);"
    x = np.zeros(192)
    body = f"""
    {memory.replace("DYNAMIC", dynamic)}
    x[blockIdx.x * 64 + threadIdx.x] = a[threadIdx.x];
    a[threadIdx.x] = 1;"""
    run(body, blocks=3, dynamic_bytes=512, x=x)
    assert np.isnan(x).all()


# What is refused


def test_a_barrier_that_some_threads_pass_by():
    x = np.zeros(64)
    with error("Divergent barrier at line ") as caught:
        run("if (threadIdx.x < 40) B2E_BARRIER();\nB2E_BARRIER();", x=x)
    text = str(caught.value)
    assert "thread 0 of block 0 waits there, while thread 40 waits at the barrier at line" in text
    assert "B2E_BARRIER();" in text


def test_a_thread_that_returns_while_others_wait():
    x = np.zeros(64)
    with error("thread 0 of block 1 waits there, while thread 3 has returned."):
        run("if (blockIdx.x == 1 && threadIdx.x == 3) return;\nB2E_BARRIER();", blocks=2, x=x)


def test_a_barrier_only_the_leader_comes_to():
    with error("thread 0 of block 0 waits there, while thread 1 has returned."):
        run("if (B2E_LEADER) B2E_BARRIER();", x=np.zeros(64))


def test_a_vote_that_some_lanes_pass_by():
    body = "if (threadIdx.x != 7) x[threadIdx.x] = __ballot_sync(b2e::all_lanes, true);"
    with error("Divergent vote at line ") as caught:
        run(body, x=np.zeros(64, np.int32))
    assert "thread 0 of block 0 waits there, while thread 7 has returned." in str(caught.value)


def test_a_shuffle_in_divergent_branches():
    body = """
    if (threadIdx.x % 2) x[threadIdx.x] = __shfl_sync(b2e::all_lanes, 1.0, 0);
    else x[threadIdx.x] = __shfl_sync(b2e::all_lanes, 2.0, 0);"""
    with error("while thread 1 waits at the shuffle at line"):
        run(body, x=np.zeros(64))


def test_a_vote_against_a_barrier():
    body = """
    if (threadIdx.x >= 32 || threadIdx.x == 0) B2E_BARRIER();
    else x[threadIdx.x] = __ballot_sync(b2e::all_lanes, true);"""
    with error("while thread 1 waits at the vote at line"):
        run(body, x=np.zeros(64, np.int32))


def test_a_vote_of_a_lane_that_is_not_in_the_mask():
    body = "x[threadIdx.x] = __ballot_sync(0xfffffff7u, true);"
    with error("Thread 3 of block 0 takes part in the vote at line"):
        run(body, x=np.zeros(64, np.int32))


def test_a_shuffle_from_a_lane_that_is_not_in_the_mask():
    body = "if (threadIdx.x % 32 < 8) x[threadIdx.x] = __shfl_sync(0xffu, 1.0, 9);"
    with error("takes the value of lane 9 in the shuffle at line"):
        run(body, x=np.zeros(64))


@pytest.mark.parametrize(
    ("statement", "verb", "index"),
    [
        ("y[0] = x[n];", "reads", 10),
        ("x[n] = 1;", "writes", 10),
        ("x[-1] = 1;", "writes", -1),
        ("x[n] += 1;", "reads", 10),
        ("b2e::add(x, n, 1.0);", "adds to", 10),
    ],
)
def test_an_element_outside_an_array(statement, verb, index):
    x, y = np.zeros(10), np.zeros(1)
    message = f"Thread 5 of block 0 {verb} element {index} of array 'x', which has 10 elements."
    with error(message):
        run(f"if (threadIdx.x == 5) {{ {statement} }}", 10, x=x, y=y)
    np.testing.assert_array_equal(x, 0)


def test_an_element_outside_a_slice():
    body = "b2e::ptr<double> row = b2e::slice(x, 4, 3);\nif (B2E_LEADER) row[3] = 1;"
    with error("Thread 0 of block 0 writes element 3 of array 'x', which has 3 elements."):
        run(body, x=np.zeros(10))


def test_a_slice_outside_an_array():
    with error("Thread 0 of block 0 takes elements 8 to 10 of array 'x', which has 10 elements."):
        run("b2e::slice(x, 8, 3);", x=np.zeros(10))


def test_an_element_outside_a_shared_array():
    with error("Thread 40 of block 0 writes element 40 of array 'board', which has 40 elements."):
        run("B2E_SHARED(int, board, 40);\nboard[threadIdx.x] = 1;", x=np.zeros(1))


def test_more_shared_memory_than_the_launch_gives():
    with error("The kernel needs 800 bytes of dynamic shared memory, but was launched with 400."):
        run("B2E_DYNAMIC_SHARED(memory, 800);", dynamic_bytes=400, x=np.zeros(1))


def test_an_array_that_dynamic_shared_memory_does_not_hold():
    body = "B2E_DYNAMIC_SHARED(memory, 80); b2e::reside<double>(memory, 8, 10);"
    with error("10 elements of 8 bytes do not fit at byte 8 of the 80 bytes"):
        run(body, dynamic_bytes=80, x=np.zeros(1))


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("x[0] = 1;", "thread 1 of block 0 writes element 0, which another thread writes"),
        (
            "x[threadIdx.x] = 1; y[threadIdx.x] = x[63 - threadIdx.x];",
            "thread 32 of block 0 writes element 32, which another thread reads",
        ),
        (
            "if (B2E_LEADER) x[3] = 1; else y[threadIdx.x] = x[3];",
            "thread 1 of block 0 reads element 3, which another thread writes",
        ),
        (
            "if (B2E_LEADER) x[3] = 1; else b2e::add(x, 3, 1.0);",
            "thread 1 of block 0 adds to element 3, which another thread writes",
        ),
        (
            "if (B2E_LEADER) b2e::add(x, 3, 1.0); else y[threadIdx.x] = x[3];",
            "thread 1 of block 0 reads element 3, which another thread adds to",
        ),
    ],
)
def test_two_threads_at_one_element_without_a_barrier(body, message):
    with error("Race in array 'x'") as caught:
        run(body, x=np.zeros(64), y=np.zeros(64))
    assert message in str(caught.value)


def test_two_blocks_at_one_element():
    with error("thread 0 of block 1 reads element 0, which another thread writes"):
        run(
            "if (blockIdx.x == 0 && B2E_LEADER) x[0] = 1;\n"
            "if (blockIdx.x == 1 && B2E_LEADER) y[0] = x[0];",
            blocks=2,
            x=np.zeros(1),
            y=np.zeros(1),
        )


def test_many_readers_and_many_adders_are_no_race():
    x, y = np.ones(1), np.zeros(64)
    body = """
    y[threadIdx.x] = x[0];
    B2E_BARRIER();
    b2e::add(x, 0, 1.0);
    B2E_BARRIER();
    y[threadIdx.x] += x[0];"""
    run(body, x=x, y=y)
    np.testing.assert_array_equal(y, 66)


@pytest.mark.parametrize("threads", [0, 33, 100])
def test_a_block_that_is_no_whole_number_of_warps(threads):
    with error(f"A block of {threads} threads is no whole number of warps; take a multiple of 32."):
        run("", threads=threads, x=np.zeros(1))


def test_a_kernel_runs_again_after_an_error():
    x = np.zeros(64)
    body = "x[threadIdx.x + n] = 1;\nB2E_BARRIER();"
    with error("writes element 64"):
        run(body, 1, x=x)
    x[:] = 0
    run(body, 0, x=x)
    np.testing.assert_array_equal(x, 1)
