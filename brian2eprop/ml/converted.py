"""What a conversion gives: a Brian2 network that answers as the model does."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from brian2eprop.ml.algorithm import Algorithm
from brian2eprop.ml.building import Scaled
from brian2eprop.ml.cost import Cost, measure, sizes
from brian2eprop.ml.diagnosis import Diagnosis, diagnose
from brian2eprop.ml.early import EarlyAnswers, answer_early
from brian2eprop.ml.graph import Values
from brian2eprop.ml.plotting import plot_accuracy
from brian2eprop.ml.ports import Ports, number_of
from brian2eprop.ml.running import Running
from brian2eprop.ml.saving import write
from brian2eprop.ml.stages import activations
from brian2eprop.number_checks import number


class ConvertedNetwork:
    """A spiking network made of a model; see :func:`brian2eprop.ml.from_keras`.

    Parameters
    ----------
    stages : tuple of Scaled
        Each after those that lead to it.
    algorithm : Algorithm
        What activations become.
    ports : Ports
        How arrays are arranged that enter, and that come out.

    Attributes
    ----------
    network : brian2.Network
        The network: ``network['conv']`` is the group of the layer 'conv', and
        ``network['conv_to_dense']`` the synapses from there to 'dense'.
    """

    def __init__(self, stages: tuple[Scaled, ...], algorithm: Algorithm, ports: Ports) -> None:
        self._running = Running(stages, algorithm, ports)
        self.network = self._running.network

    def __repr__(self) -> str:
        names = ", ".join(each.stage.name for each in self.stages)
        return f"<ConvertedNetwork by {self.algorithm.name!r}: {names}>"

    @property
    def stages(self) -> tuple[Scaled, ...]:
        """What it was built of."""
        return self._running.stages

    @property
    def algorithm(self) -> Algorithm:
        """What activations become."""
        return self._running.algorithm

    def predict(self, x: Any) -> Any:
        """What the output layer says, before a softmax, for samples.

        Samples are run in batches of the ``batch_size`` of the device that was set when the model
        was converted, without one in turn.

        Parameters
        ----------
        x : array, or list or dict of arrays, shape (samples, *shape of the model's input)
            The samples.

        Returns
        -------
        array, or list or dict of arrays, shape (samples, *shape of the output)
            Estimates of the model's outputs, arranged as the model arranges them.

        Raises
        ------
        ValueError
            If the samples have another shape.
        """
        running = self._running
        answers = running.answers(running.samples(x))
        return running.ports.arranged({name: each[:, -1] for name, each in answers.items()})

    def predict_early(self, x: Any, margin: float) -> EarlyAnswers:
        """Answers that are given as soon as they are sure, with rates.

        A sample is sure when its largest output leads the next by the margin; before all
        timesteps are over, by as much more as there are more of them: after a quarter, by four
        times the margin. A batch ends when all of its samples are sure.

        Parameters
        ----------
        x : array, or list or dict of arrays, shape (samples, *shape of the model's input)
            The samples.
        margin : float
            A lead that is enough after all timesteps, in the model's own units. The smaller, the
            earlier, and the more often wrong.

        Returns
        -------
        EarlyAnswers
            ``outputs`` of shape (samples, outputs), and ``steps`` of shape (samples,), how many of
            the timesteps each sample took.

        Raises
        ------
        ValueError
            If the samples have another shape, or the margin is no number from 0 up.
        Unsupported
            If the algorithm has an answer when all is over only, or there are several outputs, or
            one of one number.

        Examples
        --------
        >>> import numpy as np
        >>> import brian2eprop as b2e
        >>> layers = [b2e.ml.Input(name='x', shape=(2,)),
        ...           b2e.ml.Dense(name='y', inputs=('x',), kernel=np.eye(2))]
        >>> snn = b2e.ml.convert(layers, np.eye(2), algorithm='rate', timesteps=32)
        >>> snn.predict_early([[1., 0.], [.5, .25]], margin=0.25).steps.tolist()
        [8, 32]
        """
        samples = self._running.samples(x)
        return answer_early(self._running, samples, number("predict_early", "margin", margin))

    def predict_each_step(self, x: Any) -> Any:
        """What :meth:`predict` would give after each timestep.

        Parameters
        ----------
        x : array, or list or dict of arrays, shape (samples, *shape of the model's input)
            The samples.

        Returns
        -------
        array, or list or dict of arrays, shape (samples, timesteps, *shape of the output)
            Estimates after each step that the output counts; few-spike has the last one only.

        Raises
        ------
        ValueError
            If the samples have another shape.
        """
        running = self._running
        return running.ports.arranged(running.answers(running.samples(x)))

    def evaluate(self, x: Any, y: Any) -> Any:
        """How many samples are classified as they should be, after each timestep.

        Parameters
        ----------
        x : array, or list or dict of arrays, shape (samples, *shape of the model's input)
            The samples.
        y : array of int, or list or dict of them, shape (samples,)
            Their classes, arranged as the outputs.

        Returns
        -------
        array, or list or dict of arrays, shape (timesteps,)
            Accuracies, arranged as the outputs; few-spike has the last one only.

        Raises
        ------
        ValueError
            If the samples have another shape, or there are not as many classes.
        """
        running = self._running
        samples = running.samples(x)
        classes = running.classes(y, number_of(samples), "evaluate")
        found = {
            name: np.asarray((each.argmax(axis=-1) == classes[name][:, None]).mean(axis=0))
            for name, each in running.answers(samples).items()
        }
        return running.ports.arranged(found)

    def activations(self, x: Any) -> dict[str, Values]:
        """What the neurons of each layer have said, in the model's own units.

        Parameters
        ----------
        x : array, or list or dict of arrays, shape (samples, *shape of the model's input)
            The samples.

        Returns
        -------
        dict
            By name of the group, arrays of the shape (samples, *shape of the layer), to be compared
            with the model's activations after their ReLU.

        Raises
        ------
        ValueError
            If the samples have another shape.
        """
        found = self._running.activations(self._running.samples(x))
        for name in self._running.ports.output_names:
            del found[name]
        return found

    def diagnose(self, x: Any) -> Diagnosis:
        """Compare each layer with the model's, to find the one in which a conversion goes wrong.

        Parameters
        ----------
        x : array, or list or dict of arrays, shape (samples, *shape of the model's input)
            The samples, such as those that are classified otherwise than by the model.

        Returns
        -------
        Diagnosis
            A table when it is printed. ``layers`` has for each layer the correlation with the
            model's activations, the error from them, and the error of its own: from what the model
            would give of what reached it, in parts that are cut off and rounded. ``worst`` is the
            layer with the largest one, ``sentence`` says what to do.

        Raises
        ------
        ValueError
            If the samples have another shape.

        Examples
        --------
        >>> import numpy as np
        >>> import brian2eprop as b2e
        >>> layers = [b2e.ml.Input(name='x', shape=(2,)),
        ...           b2e.ml.Dense(name='hidden', inputs=('x',), kernel=np.eye(2)),
        ...           b2e.ml.ReLU(name='relu', inputs=('hidden',)),
        ...           b2e.ml.Dense(name='y', inputs=('relu',), kernel=np.eye(2))]
        >>> snn = b2e.ml.convert(layers, np.eye(2)/4, algorithm='rate', timesteps=32)
        >>> diagnosis = snn.diagnose(np.eye(2))
        >>> diagnosis.worst.name, diagnosis.worst.cut_off
        ('hidden', 0.75)
        """
        return diagnose(self._running, self._running.samples(x))

    def cost(self, x: Any) -> Cost:
        """Count spikes and additions for samples, and estimate energies.

        The kernels count each weight as it is added. A network of its own is built for this, on
        the device that is set; changes to ``network`` are not in it.

        Parameters
        ----------
        x : array, or list or dict of arrays, shape (samples, *shape of the model's input)
            The samples.

        Returns
        -------
        Cost
            A table when it is printed; ``layers``, ``spikes``, ``additions``,
            ``multiplications``, ``energy_nj`` and ``model_energy_nj`` are for one sample.

        Raises
        ------
        ValueError
            If the samples have another shape.

        Examples
        --------
        >>> import numpy as np
        >>> import brian2eprop as b2e
        >>> layers = [b2e.ml.Input(name='x', shape=(2,)),
        ...           b2e.ml.Dense(name='y', inputs=('x',), kernel=np.ones((2, 10)))]
        >>> snn = b2e.ml.convert(layers, np.eye(2), timesteps=4)
        >>> cost = snn.cost([[1., 0.]])
        >>> cost.spikes, cost.additions
        (4.0, 40.0)
        """
        return measure(self._running, self._running.samples(x))

    def summary(self, x: Any = None) -> str:
        """A table: neurons of each layer, synapses there are and weights that are stored.

        Parameters
        ----------
        x : array, shape (samples, *shape of the model's input), optional
            Samples; with them the table is that of :meth:`cost`.

        Returns
        -------
        str
            The table.

        Raises
        ------
        ValueError
            If the samples have another shape.
        """
        return str(sizes(self._running) if x is None else self.cost(x))

    def plot_accuracy(self, x: Any, y: Any, ax: Any = None) -> Any:
        """Draw the accuracy after each timestep, and that of the model, with Matplotlib.

        Parameters
        ----------
        x : array, or list or dict of arrays, shape (samples, *shape of the model's input)
            The samples.
        y : array of int, shape (samples,)
            Their classes.
        ax : matplotlib.axes.Axes, optional
            Where to; without, a new figure.

        Returns
        -------
        matplotlib.axes.Axes
            The axes.

        Raises
        ------
        ImportError
            If there is no Matplotlib.
        ValueError
            If the samples have another shape, or there are not as many classes.
        Unsupported
            If there are several outputs.
        """
        running = self._running
        output = running.only_output("plot_accuracy").stage
        stages = tuple(each.stage for each in running.stages)
        outputs = activations(stages, running.samples(x))[output.name]
        (classes,) = running.classes(y, len(outputs), "plot_accuracy").values()
        model = float((outputs.argmax(axis=-1) == classes).mean())
        accuracies = running.ports.by_output(self.evaluate(x, y))[output.name]
        return plot_accuracy(accuracies, running.algorithm.timesteps, model, ax)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the conversion into a file, for :func:`brian2eprop.ml.load`.

        What is written is what ``network`` was built of; changes to it are not.

        Parameters
        ----------
        path : path
            The file; an earlier one is replaced only by a complete one.

        Raises
        ------
        TypeError, ValueError
            If the path names no file.
        OSError
            If it cannot be written.
        """
        running = self._running
        write(path, running.stages, running.algorithm, running.ports)
