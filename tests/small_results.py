"""Results of runs that nobody trained, for tests of what is made from results."""

from collections.abc import Sequence

from budgetnet.facts import Facts, NetworkFacts, ParameterCounts, TrainingFacts
from budgetnet.study.entries import Result

IMAGES = 10_000


def made_up(
    accuracy: float,
    *,
    parameters: int = 12_000,
    seconds: float = 600.0,
    wrong: Sequence[int] | None = None,
    by_epoch: tuple[float, ...] = (),
    threads: int = 1,
) -> Result:
    """A finished run of MNIST's size with this final accuracy; `by_epoch` ends with it where test accuracy was watched."""
    counts = ParameterCounts(
        total=parameters, trainable=parameters - 100, non_trainable=100, with_hidden=parameters, non_zero=parameters
    )
    network = NetworkFacts(
        name="made-up",
        input_shape=(1, 28, 28),
        classes=10,
        parameters=counts,
        layers=(),
        multiply_accumulates=10**6,
        fully_connected=(),
        fully_connected_equivalent=(),
        biases=(),
        forward_passes=1,
    )
    training = TrainingFacts(
        data="mnist",
        seed=0,
        training_images=60_000,
        samples_seen=120_000,
        complete=True,
        accuracy=accuracy,
        loss=0.02,
        test_images=IMAGES,
        accuracy_by_epoch=by_epoch or None,
        forward_passes=1,
    )
    epochs = by_epoch or (accuracy - 0.01, accuracy)
    return Result(
        facts=Facts(network=network, training=training),
        seconds=seconds,
        curve=tuple((0.1, reached - 0.002, reached if by_epoch else None) for reached in epochs),
        wrong=tuple(wrong if wrong is not None else range(round((1 - accuracy) * IMAGES))),
        weights_sha256="0" * 64,
        fingerprint={"threads": threads, "data_sha256": "the same"},
    )
