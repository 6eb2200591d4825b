"""The basilar membrane: sound becomes the velocity of places between base and apex."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.fft import irfft, next_fast_len, rfft
from scipy.special import hankel1, hankel2

Complex = npt.NDArray[np.complex128]
Floats = npt.NDArray[np.float64]
Places = float | Floats

# What a place answers to a click is kept for a third of a second at 24 kHz: the slowest ones
# have rung down to a few percent on either side.
TAPS = 8192
BLOCK = 2048
# Places whose answers are worked out at once.
AT_ONCE = 50


@dataclass(frozen=True)
class BasilarMembrane:
    """The hydrodynamic membrane of Sieroka, Dosch and Rupp (2006), in its long-wave limit.

    The membrane is a row of damped springs with a fluid on both sides. At a place ``x`` and an
    angular frequency ``w`` it has the impedance ``xi = S - m*w**2 - i*w*R``, with the stiffness
    ``S = stiffness*exp(-decay*x) - offset`` and the damping ``R = damping*sqrt(stiffness*mass) *
    exp(-decay*x/2)``; a wave travels along it with the wave number ``g = w*sqrt(density/(height *
    xi))``. Its pressure, by the method of Wentzel, Kramers and Brillouin, is ``p = sqrt(G/g) *
    H(G)``, with the phase ``G(x) = 2*g(0)/decay`` plus the integral of ``g`` from 0 to ``x``, and
    the Hankel function ``H`` of order 0. The velocity of the membrane, for a sound of amplitude
    one, is ``2*w/xi * p(x)/p(0) * Z``, with the impedance ``Z`` of the entrance.

    Parameters
    ----------
    length : float
        Length of the membrane in cm; the channels are evenly spaced on it, base first.
    stiffness : float
        Stiffness at the base, in g/(s cm)^2.
    decay : float
        Decay of the stiffness with the distance from the base, in 1/cm.
    offset : float
        What is taken off the stiffness everywhere, in g/(s cm)^2.
    damping : float
        Damping in proportion to that of a critically damped place, twice over; a number.
    mass : float
        Mass of an area, in g/cm^2.
    density : float
        Density of the fluid, in g/cm^3.
    height : float
        Height of the fluid, in cm.
    causal : bool
        False as in the conversion that made the Heidelberg data sets: there the phase of the
        travelling wave has the opposite sign, so that places answer before the sound, the more
        so the further they are from the base. With True they answer after it.

    Notes
    -----
    N. Sieroka, H. G. Dosch, A. Rupp, "Semirealistic models of the cochlea", J. Acoust. Soc. Am.
    120, 297 (2006); B. Cramer et al., "The Heidelberg Spiking Data Sets for the Systematic
    Evaluation of Spiking Neural Networks", https://doi.org/10.1109/TNNLS.2020.3044364. The sign
    of the phase and the stiffness at the base are those that agree with published spike trains
    (``benchmarks/inner_ear.py``).
    """

    length: float = 3.5
    stiffness: float = 1e9
    decay: float = 3.0
    offset: float = 3500.0
    damping: float = 0.15
    mass: float = 0.05
    density: float = 1.0
    height: float = 0.1
    causal: bool = False

    def impedance(self, frequency: Floats, place: Places) -> Complex:
        """``xi``, for angular frequencies (1/s) and places (cm) of a common shape."""
        narrowing = np.exp(-self.decay * place / 2)
        springs = self.stiffness * narrowing**2 - self.offset
        resistance = self.damping * np.sqrt(self.stiffness * self.mass) * narrowing
        return np.asarray(springs - self.mass * frequency**2 - 1j * frequency * resistance)

    def wave_number(self, frequency: Floats, place: Places) -> Complex:
        """``g``, in 1/cm."""
        inertia = self.density / self.height
        return np.asarray(frequency * np.sqrt(inertia / self.impedance(frequency, place)))

    def phase(self, frequency: Floats, place: Places) -> Complex:
        """``G``: with ``u = exp(-decay*x/2)``, ``xi`` is a quadratic function of ``u``."""
        root = 1j * np.sqrt(self.offset + self.mass * frequency**2)
        slope = -1j * frequency * self.damping * np.sqrt(self.stiffness * self.mass)

        def antiderivative(at: Places) -> Any:
            u = np.exp(-self.decay * at / 2)
            return np.log((2 * root**2 + slope * u) / u + 2 * root * self._root(frequency, at) / u)

        travelled = antiderivative(place) - antiderivative(0.0)
        scale = 2 * frequency / self.decay * np.sqrt(self.density / self.height)
        entry = 2 / self.decay * self.wave_number(frequency, 0.0)
        return np.asarray(entry + scale / root * travelled)

    def _root(self, frequency: Floats, place: Places) -> Complex:
        return np.asarray(np.sqrt(self.impedance(frequency, place)))

    def pressure(self, frequency: Floats, place: Places) -> Complex:
        """``p``, up to a factor that all places share."""
        phase = self.phase(frequency, place)
        return np.asarray(np.sqrt(phase / self.wave_number(frequency, place)) * hankel1(0, phase))

    def entrance(self, frequency: Floats) -> Complex:
        """``Z``, of a membrane without mass and damping."""
        argument = 2 * frequency / self.decay * np.sqrt(2 / (self.height * self.stiffness))
        scale = np.sqrt(2 * self.stiffness / self.height)
        return np.asarray(1j * scale * hankel2(0, argument) / hankel2(1, argument))

    def response(self, frequency: Floats, place: Places) -> Complex:
        """Velocity for a sound ``exp(i*w*t)``, at positive angular frequencies and places."""
        wave = self.pressure(frequency, place) / self.pressure(frequency, 0.0)
        wave *= 2 * frequency / self.impedance(frequency, place)
        return np.asarray((wave.conj() if self.causal else wave) * self.entrance(frequency))


class MovingMembrane:
    """A membrane that moves with a sound, block by block.

    Parameters
    ----------
    membrane : BasilarMembrane
        Its parameters.
    n_channels : int
        Number of places.
    rate : int
        Samples of sound in a second.
    """

    def __init__(self, membrane: BasilarMembrane, n_channels: int, rate: int) -> None:
        self.spectrum = _spectrum(membrane, n_channels, rate)
        self.size = _fft_size()

    def blocks(self, sound: Floats) -> Any:
        """The velocity of the places, shape (samples of a block, channels), one after the other.

        The blocks together are as long as the sound.
        """
        # What is missing at the end is zero, too: rfft fills up.
        padded = np.concatenate([np.zeros(TAPS - 1 - TAPS // 2), sound])
        for first in range(0, sound.size, BLOCK):
            piece = rfft(padded[first : first + TAPS - 1 + BLOCK].astype(np.float32), self.size)
            moved = irfft(piece * self.spectrum, self.size, axis=1)[:, TAPS - 1 : TAPS - 1 + BLOCK]
            yield np.ascontiguousarray(moved[:, : sound.size - first].T)


def _fft_size() -> int:
    return int(next_fast_len(TAPS + BLOCK - 1, real=True))


@lru_cache(maxsize=2)
def _spectrum(membrane: BasilarMembrane, n_channels: int, rate: int) -> Any:
    """The spectra of the answers to a click, in the middle of ``TAPS`` samples."""
    frequency = 2 * np.pi * np.fft.rfftfreq(TAPS, 1 / rate)
    spectrum = np.empty((n_channels, _fft_size() // 2 + 1), np.complex64)
    places = np.linspace(0, membrane.length, n_channels)
    for first in range(0, n_channels, AT_ONCE):
        some = slice(first, first + AT_ONCE)
        response = np.zeros((places[some].size, frequency.size), np.complex128)
        response[:, 1:] = membrane.response(frequency[1:], places[some, None])
        answer = np.roll(np.fft.irfft(response, TAPS), TAPS // 2, axis=1)
        spectrum[some] = rfft(answer, _fft_size())
    spectrum.flags.writeable = False
    return spectrum
