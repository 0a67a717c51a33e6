"""Keras 3's `fit` on the backend that the task names, as its guides and the published hand-ins use it; a round is one epoch of `fit`."""

import os
import time

from asked import begin, serve

task = begin()
os.environ["KERAS_BACKEND"] = task["backend"]
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import importlib  # noqa: E402

import keras  # noqa: E402
import numpy  # noqa: E402
from keras_network import keras_network  # noqa: E402

if task["backend"] == "torch":
    importlib.import_module("torch").set_num_threads(task["threads"])
if task["backend"] == "tensorflow":
    threading = importlib.import_module("tensorflow").config.threading
    threading.set_intra_op_parallelism_threads(task["threads"])
    threading.set_inter_op_parallelism_threads(task["threads"])
# JAX has no such setting: it takes as many threads as the process may use processors, and `begin` has pinned it.

keras.utils.set_random_seed(0)
with numpy.load(task["data"]) as arrays:
    images = (arrays["x_train"].astype("float32") / 255)[..., None]
    labels = arrays["y_train"].astype("int64")
network = keras_network(task["network"], images.shape[1:])
network.compile(optimizer=keras.optimizers.Adam(learning_rate=0.003), loss="sparse_categorical_crossentropy", metrics=["accuracy"])


def play() -> tuple[float, int]:
    """Train for one epoch."""
    started = time.perf_counter()
    network.fit(images, labels, batch_size=task["batch"], epochs=1, verbose=0)
    return time.perf_counter() - started, len(images)


serve({"keras": keras.__version__, task["backend"]: importlib.import_module(task["backend"]).__version__}, play)
