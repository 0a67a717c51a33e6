"""Keras models: what a `.keras` file may hold, and the facts of honest and dishonest ones."""

import io
import json
import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("KERAS_BACKEND", "torch")

import keras
import pytest
from keras import layers

from budgetnet.check import keras_config, keras_graph
from budgetnet.errors import InputError
from budgetnet.facts import NetworkFacts
from budgetnet.targets import check_target

# Keras's own, when it saves: not of this package's making.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning")


def convolution(filters: int, size: int, **options: Any) -> Any:
    return layers.Conv2D(filters, size, use_bias=False, **options)


def sequential(*parts: Any, shape: tuple[int, ...] = (28, 28, 1)) -> Any:
    return keras.Sequential([keras.Input(shape), *parts])


def honest() -> Any:
    return sequential(
        convolution(8, 3, activation="relu"),
        layers.BatchNormalization(),
        layers.MaxPooling2D(),
        layers.Dropout(0.1),
        convolution(10, 1),
        layers.GlobalAveragePooling2D(),
        layers.Softmax(),
    )


def facts_of(model: Any) -> NetworkFacts:
    shape = keras_graph.image_shape(model)
    assert shape is not None
    facts = keras_graph.facts_of(model, name="model", input_shape=shape)
    counts = facts.parameters
    assert counts.total == model.count_params() == sum(row.parameters for row in facts.layers)
    assert counts.trainable == sum(row.trainable for row in facts.layers)
    return facts


def words(facts: NetworkFacts) -> tuple[int | None, ...]:
    groups = (facts.fully_connected, facts.fully_connected_equivalent, facts.biases)
    return (*(None if group is None else len(group) for group in groups), facts.forward_passes)


def test_the_facts_of_an_honest_model() -> None:
    facts = facts_of(honest())
    assert (facts.parameters.total, facts.parameters.trainable, facts.parameters.frozen) == (72 + 32 + 80, 72 + 16 + 80, 0)
    assert words(facts) == (0, 0, 0, 1)
    assert [shift.numbers for shift in facts.normalization_shifts] == [8]
    assert facts.input_shape == (1, 28, 28)
    assert facts.classes == 10
    assert [row.output_shape for row in facts.layers][:3] == [(None, 26, 26, 8), (None, 26, 26, 8), (None, 13, 13, 8)]
    assert facts.layers[0].multiply_accumulates == 26 * 26 * 72
    assert [row.receptive_field for row in facts.layers] == [3, 3, 4, 4, 4, None, None]
    assert facts.notes == ()


def functional(build: Callable[[Any], Any]) -> Any:
    image = keras.Input((28, 28, 1))
    return keras.Model(image, build(image))


def twice(image: Any) -> Any:
    shared = sequential(convolution(8, 3), layers.GlobalMaxPooling2D())
    return layers.Average()([shared(image), shared(layers.Rescaling(0.5)(image))])


def side_by_side(image: Any) -> Any:
    both = layers.Concatenate(axis=0)([image, layers.Rescaling(0.5)(image)])
    return layers.GlobalMaxPooling2D()(convolution(10, 3)(both))


def residual(image: Any) -> Any:
    first = convolution(8, 3, padding="same")(image)
    return layers.GlobalAveragePooling2D()(layers.Add()([first, convolution(8, 3, padding="same")(first)]))


def attention(image: Any) -> Any:
    tokens = layers.Reshape((196, 8))(convolution(8, 2, strides=2)(image))
    return layers.GlobalAveragePooling1D()(layers.MultiHeadAttention(2, 4, use_bias=False)(tokens, tokens))


def tokens() -> list[Any]:
    """The 49 places of a map in a row, and then as the channels of what follows."""
    return [layers.Reshape((49, 8)), layers.ReLU(), layers.Permute((2, 1))]


GAP = layers.GlobalAveragePooling2D


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        (lambda: sequential(convolution(2, 3), layers.Flatten(), layers.Dense(10, use_bias=False)), (1, 0, 0, 1)),
        (lambda: sequential(convolution(2, 3), layers.Flatten(), layers.Dense(10)), (1, 0, 1, 1)),
        (lambda: sequential(layers.Conv2D(2, 3), GAP()), (0, 0, 1, 1)),
        (lambda: sequential(layers.SeparableConv2D(2, 3), layers.DepthwiseConv2D(3), GAP()), (0, 0, 2, 1)),
        (lambda: sequential(convolution(2, 3), convolution(10, 26), layers.Flatten()), (0, 1, 0, 1)),
        (lambda: sequential(convolution(2, 3), convolution(10, 51, padding="same"), GAP()), (0, 1, 0, 1)),
        (lambda: sequential(convolution(2, 3), convolution(10, 25), GAP()), (0, 0, 0, 1)),
        (lambda: sequential(convolution(2, 3), layers.Reshape((1, 1, 1352)), convolution(10, 1), layers.Flatten()), (0, 1, 0, 1)),
        (lambda: sequential(convolution(2, 3), layers.GlobalAveragePooling2D(keepdims=True), convolution(10, 1)), (0, 1, 0, 1)),
        (lambda: sequential(layers.EinsumDense("bhwc,cd->bhwd", (28, 28, 4)), GAP()), (1, 0, 0, 1)),
        (lambda: sequential(layers.Reshape((28, 28)), layers.LSTM(8)), (1, 0, 1, 1)),
        (lambda: sequential(convolution(8, 4, strides=4), *tokens(), layers.Conv1D(9, 1, use_bias=False)), (0, 1, 0, 1)),
        (lambda: sequential(convolution(8, 4, strides=4), tokens()[0], layers.Conv1D(9, 1, use_bias=False)), (0, 0, 0, 1)),
        (lambda: functional(twice), (0, 0, 0, 2)),
        (lambda: functional(side_by_side), (0, 0, 0, 2)),
        (lambda: functional(residual), (0, 0, 0, 1)),
        (lambda: functional(attention), (1, 0, 0, 1)),
        (lambda: functional(lambda x: keras.ops.mean(convolution(4, 3)(x) + convolution(4, 3)(x), (1, 2))), (0, 0, 0, 1)),
        (lambda: sequential(layers.Lambda(lambda x: x), convolution(2, 3), GAP()), (None, None, None, None)),
    ],
)
def test_layers_are_told_by_what_they_compute(model: Callable[[], Any], expected: tuple[int | None, ...]) -> None:
    assert words(facts_of(model())) == expected


def test_frozen_unused_and_shared_weights_are_counted() -> None:
    model = sequential(convolution(2, 3), convolution(2, 3), GAP())
    model.layers[0].trainable = False
    assert facts_of(model).parameters.frozen == 18
    shared = convolution(4, 3, padding="same")
    first = convolution(4, 3)
    assert facts_of(functional(lambda x: GAP()(shared(shared(first(x)))))).parameters.total == 36 + 144


class Scaled(layers.Layer):  # type: ignore[misc]
    """A layer of a hand-in's own."""

    def call(self, x: Any) -> Any:
        return x * 2.0


def test_a_layer_of_one_s_own_leaves_the_clauses_open() -> None:
    facts = facts_of(sequential(convolution(2, 3), Scaled(), GAP()))
    assert words(facts) == (None, None, None, None)
    assert "Scaled" in " ".join(facts.notes)


# --- files --------------------------------------------------------------------------------------------------------------------


def saved(path: Path, model: Any) -> Path:
    model.save(path)
    return path


def changed(source: Path, path: Path, change: Callable[[dict[str, Any]], None], **extra: bytes) -> Path:
    """A copy of the file whose configuration was changed by hand."""
    with zipfile.ZipFile(source) as archive:
        contents = {name: archive.read(name) for name in archive.namelist()}
    config = json.loads(contents["config.json"])
    change(config)
    contents["config.json"] = json.dumps(config).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in {**contents, **extra}.items():
            archive.writestr(name.replace("__", "/"), content)
    return path


def layer(config: dict[str, Any], place: int) -> dict[str, Any]:
    found: dict[str, Any] = config["config"]["layers"][place]
    return found


def test_a_keras_file_is_checked_with_its_answers(tmp_path: Path) -> None:
    facts = check_target(str(saved(tmp_path / "net.keras", honest()))).facts.network
    assert facts.parameters.total == 184
    assert facts.output is not None
    assert facts.output.kind == "probabilities"
    assert (facts.depends_on_batch, facts.random_in_evaluation, facts.depends_on_calls) == (False, False, False)
    assert facts.peak_activation_bytes is not None
    assert facts.peak_activation_bytes >= 26 * 26 * 8 * 4
    # A file beside which Keras's own loader would run code is refused before that.
    lambdas = saved(tmp_path / "lambda.keras", sequential(layers.Lambda(lambda x: x), convolution(2, 3), GAP()))
    with pytest.raises(InputError, match="holds a Lambda layer"):
        check_target(str(lambdas))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda c: layer(c, 1).update(class_name="Lambda"), "Lambda"),
        (lambda c: layer(c, 1).update(module="os", class_name="system"), "none of Keras's own plain layers"),
        (lambda c: layer(c, 1).update(module="keras.src.layers.core.lambda_layer"), "none of Keras's own plain layers"),
        (lambda c: layer(c, 1).update(registered_name="Mine>Conv2D"), "registered class 'Mine>Conv2D'"),
        (lambda c: layer(c, 1).update(class_name="TorchModuleWrapper"), "TorchModuleWrapper"),
        (lambda c: layer(c, 1)["config"].update(activation={"class_name": "__lambda__", "config": {}}), "Lambda"),
        (
            lambda c: layer(c, 1)["config"].update(
                kernel_initializer={"module": "builtins", "class_name": "function", "config": "x"}
            ),
            "function",
        ),
        (lambda c: layer(c, 1)["config"].update(filters=10**12), "asks for more than"),
        (lambda c: layer(c, 1)["config"].update(kernel_size=[10**5, 10**5]), "asks for more than"),
        (lambda c: c.update(class_name="Mine", module="hand_in"), "is custom code"),
        (lambda c: c["config"].update(deep=json.loads("[" * 80 + "]" * 80)), "nested too deeply"),
        (
            lambda c: c["config"].update(x={"class_name": "__numpy__", "config": {"value": [1], "dtype": "float32"}}),
            "array of numbers",
        ),
    ],
)
def test_a_configuration_with_anything_unknown_is_refused_by_name(
    tmp_path: Path, change: Callable[[dict[str, Any]], None], sentence: str
) -> None:
    source = saved(tmp_path / "net.keras", honest())
    keras_config.examine(source, "net")
    with pytest.raises(InputError) as raised:
        keras_config.examine(changed(source, tmp_path / "other.keras", change), "net")
    assert sentence in str(raised.value)


def test_an_archive_of_anything_else_is_refused(tmp_path: Path) -> None:
    source = saved(tmp_path / "net.keras", honest())
    assets = changed(source, tmp_path / "a.keras", lambda _: None, assets__x=b"")
    with pytest.raises(InputError, match="brings 'assets/x' along"):
        keras_config.examine(assets, "net")
    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("config.json", bytes(17 * 2**20))
    for content in (b"", b"PK\x03\x04" + bytes(50), source.read_bytes()[:500], bomb.getvalue()):
        (tmp_path / "b.keras").write_bytes(content)
        with pytest.raises(InputError, match=r"^net: "):
            keras_config.examine(tmp_path / "b.keras", "net")


def test_a_keras_hand_in_in_python_is_read_as_such(tmp_path: Path) -> None:
    path = tmp_path / "hand-in.py"
    path.write_text(
        "from keras.models import Sequential\nfrom keras.layers import Convolution2D, Flatten, Activation\n"
        "from keras.datasets import mnist\n(x, y), _ = mnist.load_data()\n"
        "model = Sequential()\nmodel.add(Convolution2D(4, 3, use_bias=False, input_shape=(28, 28, 1)))\n"
        "model.add(Convolution2D(10, 26))\nmodel.add(Flatten())\nmodel.add(Activation('softmax'))\n"
        "model.compile(loss='categorical_crossentropy', optimizer='adam')\nmodel.fit(x, y)\n"
    )
    checked = check_target(str(path))
    assert checked.facts.network.parameters.total == 36 + 26 * 26 * 40 + 10
    assert words(checked.facts.network) == (0, 1, 1, 1)
    assert any("were left out" in note for note in checked.notes)
