"""Keras's `fit` for one whole recipe, an epoch for each request, with the test split looked at after it as the published hand-in did.

The request names the epoch's rate and where to keep the state that is reached (weights, statistics, optimizer); the task may name a state to
go on from. Dropout's random numbers are not in it: a resumed training goes on equally well, not to the same bits.
"""

import os
import time
from pathlib import Path

from asked import answer, asked, begin

task = begin()
os.environ["KERAS_BACKEND"] = task["backend"]
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import importlib  # noqa: E402

import keras  # noqa: E402
import numpy  # noqa: E402
from keras_network import keras_network  # noqa: E402

if task["backend"] == "tensorflow":
    threading = importlib.import_module("tensorflow").config.threading
    threading.set_intra_op_parallelism_threads(task["threads"])
    threading.set_inter_op_parallelism_threads(task["threads"])

with numpy.load(task["data"]) as arrays:
    parts = {part: (arrays[f"x_{part}"].astype("float32")[..., None] / 255, arrays[f"y_{part}"]) for part in ("train", "test")}
images, labels = parts["train"]
keras.utils.set_random_seed(task["seed"] * 1000 + task["epochs_done"])
if task["state"]:
    network = keras.models.load_model(task["state"])
else:
    network = keras_network(task["network"], images.shape[1:])
    network.compile(optimizer=keras.optimizers.Adam(), loss="sparse_categorical_crossentropy", metrics=["accuracy"])

answer(ready=True, versions={"keras": keras.__version__, task["backend"]: importlib.import_module(task["backend"]).__version__})
while (request := asked()) is not None:
    network.optimizer.learning_rate = request["rate"]
    started = time.perf_counter()
    history = network.fit(images, labels, batch_size=task["batch"], epochs=1, verbose=0).history
    seconds = time.perf_counter() - started
    loss, accuracy = network.evaluate(*parts["test"], batch_size=500, verbose=0)
    temporary = Path(request["keep"]).with_suffix(f".{os.getpid()}.keras")
    network.save(temporary)
    temporary.replace(request["keep"])
    answer(
        seconds=seconds,
        training_loss=history["loss"][0],
        training_accuracy=history["accuracy"][0],
        test_loss=float(loss),
        test_accuracy=float(accuracy),
    )
