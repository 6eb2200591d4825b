"""Each part of the inner ear against mathematics, and the whole against what it is for."""

import numpy as np
import pytest
from brian2 import ms

from brian2eprop.encoding import inner_ear
from brian2eprop.encoding.ear import BasilarMembrane, BushyCell, HairCell
from brian2eprop.encoding.ear.bushy_cell import BushyCells
from brian2eprop.encoding.ear.hair_cell import HairCells
from brian2eprop.encoding.ear.membrane import BLOCK, TAPS, MovingMembrane
from brian2eprop.encoding.hearing import inner_ear_times

RATE = 24_000
FREQUENCY = 2 * np.pi * np.array([20.0, 100, 440, 1000, 3000, 6000, 11900])


def tone(pitch, seconds=0.4, rate=16_000):
    return np.sin(2 * np.pi * pitch * np.arange(int(seconds * rate)) / rate)


@pytest.mark.parametrize("membrane", [BasilarMembrane(), BasilarMembrane(stiffness=1e8, offset=1)])
def test_the_phase_is_the_integral_of_the_wave_number(membrane):
    places = np.linspace(0, 3.5, 20_001)[:, None]
    along = membrane.wave_number(FREQUENCY, places)
    integral = np.cumsum((along[1:] + along[:-1]) / 2, axis=0) * places[1]
    expected = 2 * along[0] / membrane.decay + integral[9::2000]
    found = membrane.phase(FREQUENCY, places[10::2000])
    # The trapezoidal rule is off by the square of its step times the curvature.
    assert np.allclose(found, expected, rtol=1e-4, atol=1e-4)


def test_the_wave_number_and_the_impedance_are_those_of_the_equations():
    membrane = BasilarMembrane(stiffness=2e8, damping=0.2)
    w, x = 1234.0, 1.5
    springs = 2e8 * np.exp(-3 * x) - 3500 - 0.05 * w**2
    damping = 0.2 * (2e8 * 0.05) ** 0.5 * np.exp(-1.5 * x)
    impedance = springs - 1j * w * damping
    assert membrane.impedance(w, x) == pytest.approx(impedance, rel=1e-12)
    assert membrane.wave_number(w, x) == pytest.approx(w / (0.1 * impedance) ** 0.5, rel=1e-12)


def test_each_pitch_has_its_place_before_that_of_its_resonance():
    membrane = BasilarMembrane()
    places = np.linspace(0, 3.5, 500)
    pitches = 2 * np.pi * np.array([200.0, 500, 1000, 2000, 4000])
    answers = np.abs(membrane.response(pitches, places[:, None]))
    peaks = places[answers.argmax(axis=0)]
    resonances = np.log(1e9 / (0.05 * pitches**2 + 3500)) / 3
    assert (np.diff(peaks) < 0).all()
    assert (peaks < resonances).all() and (peaks > resonances - 0.6).all()


def test_a_causal_membrane_answers_after_a_click_and_the_published_one_before():
    click = np.zeros(3 * TAPS)
    click[TAPS] = 1
    for causal, later in ((True, 1), (False, -1)):
        moving = MovingMembrane(BasilarMembrane(causal=causal), 8, RATE)
        moved = np.concatenate(list(moving.blocks(click)))
        energy = (moved[:, 2:6] ** 2).cumsum(axis=0)
        middle = (energy < energy[-1] / 2).sum(axis=0) - TAPS
        assert (later * middle > 0).all()
        assert (np.diff(later * middle) > 0).all()


def test_blocks_are_the_convolution_with_the_answers_to_a_click():
    rng = np.random.default_rng(0)
    membrane, n = BasilarMembrane(), 2 * BLOCK + 77
    sound = rng.normal(size=n)
    moved = np.concatenate(list(MovingMembrane(membrane, 5, RATE).blocks(sound)))
    assert moved.shape == (n, 5)
    frequency = 2 * np.pi * np.fft.rfftfreq(TAPS, 1 / RATE)
    for channel, place in enumerate(np.linspace(0, 3.5, 5)):
        answer = np.fft.irfft(np.r_[0, membrane.response(frequency[1:], place)], TAPS)
        expected = np.convolve(sound, np.roll(answer, TAPS // 2))[TAPS // 2 : TAPS // 2 + n]
        # Single precision, relative to the largest value.
        assert np.allclose(moved[:, channel], expected, atol=1e-5 * np.abs(expected).max())


def test_the_hair_cell_in_silence_rests_and_under_pressure_comes_to_its_steady_state():
    cell = HairCell()
    silent = HairCells(cell, 1, RATE).fire(np.zeros((500, 1)))
    assert np.allclose(silent, silent[0], rtol=1e-12)
    pushed = HairCells(cell, 2, RATE).fire(np.full((3 * RATE, 2), [50.0, -20.0]))[-1]
    k = 2000 * 55 / 355
    cleft = 5.05 * k / (2500 * k + 5.05 * (2500 + 6580))
    assert pushed[0] == pytest.approx(50_000 * cleft / RATE, rel=1e-3)
    # Below -a nothing is released at all.
    assert pushed[1] < 1e-12


def test_hair_and_bushy_cells_do_not_see_where_blocks_end():
    velocity = np.random.default_rng(1).normal(0, 60, (900, 3))
    whole, cut = HairCells(HairCell(), 3, RATE), HairCells(HairCell(), 3, RATE)
    chance = whole.fire(velocity)
    assert np.array_equal(chance, np.concatenate([cut.fire(v) for v in np.split(velocity, 3)]))
    one, three = (BushyCells(BushyCell(), 3, RATE, np.random.default_rng(5)) for _ in range(2))
    pieces = [three.hear(c) for c in np.split(chance * 20, 3)]
    for column, found in enumerate(one.hear(chance * 20)):
        assert found.size
        assert np.array_equal(found, np.concatenate([piece[column] for piece in pieces]))


def test_fibres_have_the_rate_of_a_renewal_process_with_a_dead_time():
    cells = BushyCells(BushyCell(fibres=40), 200, RATE, np.random.default_rng(0))
    counts = []
    for _ in range(3000):
        counts.append(cells._arriving(np.full(200, 0.02)))
        cells.step += 1
    expected = 40 / (24 - 1 + 1 / 0.02)
    assert np.mean(counts[500:]) == pytest.approx(expected, rel=0.005)
    # No cell has more fibres than it has within a dead time.
    assert np.lib.stride_tricks.sliding_window_view(counts, 24, axis=0).sum(axis=-1).max() <= 40


def test_the_bushy_cell_is_an_integrate_and_fire_neuron():
    cell = BushyCell(weight=9e3)
    cells = BushyCells(cell, 1, RATE, np.random.default_rng(0))
    # All fibres at once, whenever they can: nothing is left to chance.
    steps, channels = cells.hear(np.ones((2000, 1)))
    v = i = 0.0
    ready, expected = 0, []
    for step in range(2000):
        i = i * np.exp(-1 / RATE / 5e-4) + 40 * (step % 24 == 0)
        v = 0.0 if step < ready else v * np.exp(-1 / RATE / 1e-3) + i * 9e3 / 40 / RATE
        if v >= 1:
            expected.append(step)
            v, ready = 0.0, step + 25
    assert steps.tolist() == expected and len(expected) > 20
    assert not channels.any()


def test_pitches_lie_in_order_and_loudness_does_not_matter():
    spikes = inner_ear(
        [tone(3000), tone(1000), tone(300), 1e4 * tone(300)], 16_000, 0.4, 1 * ms, 40
    )
    assert (len(spikes), spikes.n_steps, spikes.n_neurons) == (4, 400, 40)
    centre = [np.average(np.arange(40), weights=s.sum(axis=0)) for s in spikes.to_dense()]
    assert centre[0] + 3 < centre[1] < centre[2] - 3
    assert centre[3] == pytest.approx(centre[2], abs=1)


def test_spikes_keep_to_the_phase_of_the_sound():
    times, channels = inner_ear_times(tone(200), 16_000, 30)
    busiest = times[channels == np.bincount(channels).argmax()]
    vector_strength = np.abs(np.exp(2j * np.pi * 200 * busiest).mean())
    assert busiest.size > 15 and vector_strength > 0.8


def test_what_is_drawn_depends_on_the_seed_and_the_place_in_the_sequence():
    sounds = [tone(500, 0.1), tone(500, 0.1)]
    one, again, other = (inner_ear(sounds, 16_000, 0.1, 1e-3, 20, seed) for seed in (0, 0, 1))
    assert np.array_equal(one.to_dense(), again.to_dense())
    assert not np.array_equal(one.to_dense(), other.to_dense())
    assert not np.array_equal(one[0].to_dense(), one[1].to_dense())
    assert np.array_equal(
        one[0].to_dense(), inner_ear(sounds[:1], 16_000, 0.1, 1e-3, 20).to_dense()
    )


def test_silence_short_sounds_and_ends():
    spikes = inner_ear([np.zeros(800), np.ones(1)], 16_000, 0.02, 1e-3, 10)
    assert len(spikes) == 2
    long, short = (inner_ear([tone(400)], 16_000, end, 1e-3, 20).to_dense() for end in (0.4, 0.2))
    assert np.array_equal(long[:, :200], short)
    assert len(inner_ear([], 16_000, 0.1, 1e-3, 10)) == 0


BAD = [
    (lambda: inner_ear([np.zeros((2, 5))], 16_000, 1, 1e-3), r"has the shape \(2, 5\) and holds"),
    (lambda: inner_ear([[]], 16_000, 1, 1e-3), "give one channel of at least one real number"),
    (lambda: inner_ear([[np.nan]], 16_000, 1, 1e-3), "a recording holds NaN or infinity; replace"),
    (lambda: inner_ear([[0.0]], 16e3, 1, 1e-3), "inner_ear: rate is 16000.0; give a whole number"),
    (lambda: inner_ear([[0.0]], 0, 1, 1e-3), "inner_ear: rate is 0; give a whole number from 1 up"),
    (lambda: inner_ear([[0.0]], 16_000, 0, 1e-3), "duration is 0; give one number above zero"),
    (
        lambda: inner_ear([[0.0]], 16_000, 1, 1e-3, 0),
        "n_channels is 0; give a whole number from 1",
    ),
    (lambda: inner_ear([[0.0]], 16_000, 1, 0.3), "no multiple of dt"),
]


@pytest.mark.parametrize(("call", "sentence"), BAD)
def test_bad_input(call, sentence):
    with pytest.raises(ValueError, match=sentence):
        call()
