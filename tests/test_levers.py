"""What recipes of our own pull at: schedule, augmentation, averaging, AdamW, smoothing; and the way without a compiler."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from kills import KillAt, Killed
from torch import nn
from torch.nn import functional as F

import budgetnet
from budgetnet import rundir, training
from budgetnet.augment import augment
from budgetnet.averaging import EVERY, Average
from budgetnet.errors import InputError
from budgetnet.loss import smoothed_loss
from budgetnet.optimizer import DecoupledAdam
from budgetnet.preparing import command_for
from budgetnet.recipe import Augmentation, Recipe
from budgetnet.schedule import rate_of_step

TINY = f"{Path(__file__).parent / 'networks' / 'tiny.py'}:Tiny"
LEVERS = [
    "validation=200",
    "optimizer=adamw",
    "weight_decay=0.05",
    "schedule=one-cycle",
    "averaging=0.9",
    "label_smoothing=0.1",
    "augmentation.rotation=8",
    "augmentation.elastic=0.5",
    "augmentation.last_plain=1",
    "augmentation.fading=true",
]


def ending(run: rundir.RunDirectory) -> tuple[bytes, bytes]:
    return run.read(rundir.WEIGHTS), run.read(rundir.LOG)


def test_images_move_less_from_epoch_to_epoch_where_the_recipe_fades() -> None:
    whole = Augmentation(rotation=12, scale=0.4, shear=0.2, shift=4, elastic=1, last_plain=2, fading=True)
    found = [whole.in_epoch(epoch, 6) for epoch in range(6)]
    assert [each.rotation for each in found] == [12, 9, 6, 3, 0, 0]
    assert [each.elastic for each in found] == [1, 0.75, 0.5, 0.25, 0, 0]
    assert [each.any for each in found] == [True] * 4 + [False] * 2
    steady = whole.model_copy(update={"fading": False})
    assert [steady.in_epoch(epoch, 6).shift for epoch in range(6)] == [4, 4, 4, 4, 0, 0]


def test_plain_epochs_alone_leave_every_image_as_it_is() -> None:
    assert not any(Augmentation(shift=4, last_plain=9, fading=fading).in_epoch(0, 6).any for fading in (True, False))


@pytest.mark.parametrize("steps", [3, 14, 25, 30])
def test_a_kill_changes_nothing_under_all_levers(tmp_path: Path, steps: int) -> None:
    arguments = {"data": "digits", "epochs": 3, "threads": 1, "settings": LEVERS, "checkpoint_seconds": 0.0}
    whole = training.train(TINY, out=tmp_path / "whole", **arguments)  # type: ignore[arg-type]
    with pytest.raises(Killed):
        training.train(TINY, out=tmp_path / "killed", progress=KillAt(steps), **arguments)  # type: ignore[arg-type]
    assert ending(training.resume(tmp_path / "killed")) == ending(whole)


def test_each_lever_reaches_the_training(tmp_path: Path) -> None:
    def weights(name: str, settings: list[str]) -> bytes:
        run = training.train(TINY, data="digits", epochs=1, threads=1, settings=["validation=200", *settings], out=tmp_path / name)
        return run.read(rundir.WEIGHTS)

    levers = [
        [],
        ["optimizer=adamw"],
        ["optimizer=adamw", "weight_decay=0.5"],
        ["schedule=one-cycle"],
        ["averaging=0.9"],
        ["label_smoothing=0.1"],
        ["augmentation.shift=1"],
    ]
    made = [weights(str(number), settings) for number, settings in enumerate(levers)]
    assert len(set(made)) == len(made)


def test_one_cycle_rises_to_its_rate_and_falls_to_nearly_nothing() -> None:
    recipe = Recipe(name="x", network="x", schedule="one-cycle", rate=0.02, epochs=10, warm_up=0.25)
    rates = [rate_of_step(recipe, step, 50) for step in range(500)]
    top = rates.index(max(rates))
    assert max(rates) == pytest.approx(0.02)
    assert 120 <= top <= 130
    assert rates[: top + 1] == sorted(set(rates[: top + 1]))
    assert rates[top:] == sorted(set(rates[top:]), reverse=True)
    assert 0 < rates[-1] < 0.0001


def blob() -> torch.Tensor:
    """A bright square off the middle, in 64 copies."""
    images = torch.zeros(64, 1, 28, 28)
    images[:, :, 6:12, 12:20] = 1
    return images


def centres(images: torch.Tensor) -> torch.Tensor:
    places = torch.arange(28.0)
    mass = images.sum((1, 2, 3))
    return torch.stack([(images.sum((1, 3)) * places).sum(1) / mass, (images.sum((1, 2)) * places).sum(1) / mass], 1)


def test_augmentation_draws_for_each_image_from_its_generator_alone() -> None:
    options = Augmentation(rotation=10, shift=2, elastic=1)
    first, second = (augment(blob(), options, torch.Generator().manual_seed(4)) for _ in range(2))
    assert torch.equal(first, second)
    assert first.shape == blob().shape
    assert len({tuple(image.flatten().tolist()) for image in first}) == 64
    assert torch.equal(augment(blob(), Augmentation(), torch.Generator()), blob())


def test_a_shift_stays_within_its_pixels() -> None:
    moved = centres(augment(blob(), Augmentation(shift=3), torch.Generator().manual_seed(0))) - centres(blob())
    assert float(moved.abs().max()) <= 3.01
    assert float(moved.abs().max()) > 2.5
    assert bool((moved.min(0).values < -2).all())
    assert bool((moved.max(0).values > 2).all())


def test_a_rotation_turns_about_the_middle_and_keeps_the_mass() -> None:
    turned = augment(blob(), Augmentation(rotation=45), torch.Generator().manual_seed(0))
    middle = torch.tensor([13.5, 13.5])
    before, after = (centres(images) - middle for images in (blob(), turned))
    torch.testing.assert_close(after.norm(dim=1), before.norm(dim=1), atol=0.1, rtol=0)
    angles = F.cosine_similarity(after, before).clamp(-1, 1).acos().rad2deg()
    assert 40 < float(angles.max()) <= 45.5
    assert float((turned.sum((1, 2, 3)) / 48 - 1).abs().max()) < 0.05


def test_elastic_bends_are_as_large_as_they_say() -> None:
    moved = centres(augment(blob(), Augmentation(elastic=1), torch.Generator().manual_seed(0))) - centres(blob())
    assert 0.3 < float(moved.std()) < 1.2


def test_an_average_follows_the_weights_and_gives_them_back() -> None:
    layer = nn.BatchNorm2d(2)
    average = Average(layer, 0.5)
    with torch.no_grad():
        layer.weight.fill_(3)
        assert layer.running_mean is not None
        layer.running_mean.fill_(5)
    for step in range(EVERY):
        average.after_step(step)
    with average.in_place():
        # The first update forgets the start: an average is young before it is old.
        assert layer.weight.tolist() == [3, 3]
    with torch.no_grad():
        layer.weight.fill_(7)
    for step in range(EVERY, 2 * EVERY):
        average.after_step(step)
    with average.in_place():
        share = (1 / 10) ** EVERY
        assert layer.weight.tolist() == pytest.approx([7 + (3 - 7) * share] * 2)
        assert layer.running_mean.tolist() == pytest.approx([5, 5])
    assert layer.weight.tolist() == [7, 7]


def test_decay_shrinks_kernels_and_leaves_scales_alone() -> None:
    network = nn.Sequential(nn.Conv2d(1, 4, 3, bias=False), nn.BatchNorm2d(4))
    before = [parameter.detach().clone() for parameter in network.parameters()]
    optimizer = DecoupledAdam(network.parameters(), rate=0.1, beta_1=0.9, beta_2=0.999, epsilon=1e-8, weight_decay=0.5)
    for parameter in network.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    kernel, scale, shift = (parameter.detach() for parameter in network.parameters())
    torch.testing.assert_close(kernel, before[0] * 0.95)
    torch.testing.assert_close([scale, shift], before[1:])


def test_smoothing_is_torch_s() -> None:
    logits, labels = torch.randn(6, 10), torch.arange(6)
    expected = F.cross_entropy(logits, labels, label_smoothing=0.2)
    torch.testing.assert_close(smoothed_loss(F.log_softmax(logits, 1), labels, 0.2), expected)


def test_augmentation_is_set_by_name_and_written_into_the_command() -> None:
    recipe = Recipe(name="code9", network="code9").with_settings(["augmentation.rotation=7", "augmentation.elastic=0.5"])
    assert recipe.augmentation == Augmentation(rotation=7, elastic=0.5)
    assert Recipe.model_validate_json(recipe.model_dump_json()) == recipe
    command = command_for(recipe, 0)
    assert "--set augmentation.rotation=7.0" in command
    assert "augmentation.shift" not in command
    with pytest.raises(InputError, match="Did you mean 'rotation'"):
        recipe.with_settings(["augmentation.rotatoin=7"])


def test_without_a_compiler_everything_runs_on_plain_torch_and_says_so(tmp_path: Path) -> None:
    words = ["train", TINY, "--data", "digits", "--epochs", "1", "--threads", "1", "--set", "validation=200", "--out"]
    plain = {**os.environ, "BUDGETNET_KERNELS": "plain"}
    command = [sys.executable, "-m", "budgetnet", *words, str(tmp_path / "plain")]
    subprocess.run(command, check=True, capture_output=True, env=plain)
    fast = training.train(TINY, data="digits", epochs=1, threads=1, settings=["validation=200"], out=tmp_path / "fast")
    slow = budgetnet.open_run(tmp_path / "plain")
    assert slow.fingerprint()["kernels"] == "plain torch"
    assert slow.fingerprint()["kernels"] != fast.fingerprint()["kernels"]
    (one,), (other,) = (list(map(json.loads, run.read(rundir.LOG).splitlines())) for run in (slow, fast))
    assert one["samples_seen"] == other["samples_seen"]
    assert one["loss"] == pytest.approx(other["loss"], rel=0.1)
