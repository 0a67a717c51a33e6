"""The family's tests: whoever joins the zoo passes them."""

import pytest
import torch
from torch.nn import functional as F

from budgetnet import zoo
from budgetnet.check import measure
from budgetnet.errors import InputError
from budgetnet.optimizer import make_optimizer
from budgetnet.randomness import generator_for
from budgetnet.zoo.blocks import BatchNormalization, Dropout

PUBLISHED = {
    "gap-1x1": (14_840, 14_588, 252),
    "code9": (14_864, None, None),
    "code9-gap": (11_504, None, None),
    "one-pool": (14_568, 14_292, 276),
    "high-lr": (None, None, None),
    "separable-gmp": (None, None, None),
    "separable-gap": (None, None, None),
    "accurate": (14_924, None, None),
    "small": (2_932, None, None),
    "tiny": (1_966, None, None),
    "fast": (9_640, None, None),
    "wide": (285_368, None, None),
}
"""Total, trainable, non-trainable as the documents print them, and of the project's own; None where they do not."""


@pytest.mark.parametrize("name", zoo.names())
def test_counts_are_the_published_ones(name: str) -> None:
    counts = measure(zoo.find(name).build(), name=name, input_shape=(1, 28, 28)).parameters
    measured = (counts.total, counts.trainable, counts.non_trainable)
    assert [count for count, known in zip(measured, PUBLISHED[name], strict=True) if known is not None] == [
        known for known in PUBLISHED[name] if known is not None
    ]
    assert (counts.total <= 15_000) == (name not in zoo.TEACHERS)
    assert counts.total == counts.trainable + counts.non_trainable == counts.with_hidden


@pytest.mark.parametrize("name", zoo.names())
def test_every_network_learns(name: str) -> None:
    torch.manual_seed(0)
    entry = zoo.find(name)
    network = entry.build()
    images, labels = torch.rand(64, 1, 28, 28), torch.arange(64) % 10
    optimizer = make_optimizer(entry.recipe, network.parameters())
    losses = []
    for _ in range(12):
        loss = F.cross_entropy(network.logits(images), labels)
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        optimizer.step()
        losses.append(float(loss.detach()))
    assert sum(losses[-3:]) < 0.9 * sum(losses[:3])


@pytest.mark.parametrize("name", zoo.names())
def test_answers_are_probabilities_of_ten_classes(name: str) -> None:
    network = zoo.find(name).build().eval()
    with torch.no_grad():
        answer = network(torch.rand(3, 1, 28, 28))
        logits = network.logits(torch.rand(3, 1, 28, 28))
    assert answer.shape == logits.shape == (3, 10)
    torch.testing.assert_close(answer.sum(1), torch.ones(3))


def test_recipes_are_the_documents() -> None:
    recipes = {name: zoo.find(name).recipe for name in zoo.names() if name not in (*zoo.OWN, *zoo.TEACHERS)}
    assert {name: recipe.epochs for name, recipe in recipes.items() if recipe.epochs != 20} == {"one-pool": 18}
    assert {name: recipe.rate for name, recipe in recipes.items() if recipe.rate != 0.003} == {"high-lr": 0.3}
    assert all(recipe.watch == "test" and recipe.validation == 0 and recipe.strategy for recipe in recipes.values())


@pytest.mark.parametrize("name", zoo.OWN)
def test_own_recipes_keep_code9_s_rules_and_never_look_at_the_test_split(name: str) -> None:
    entry = zoo.find(name)
    facts = measure(entry.build(), name=name, input_shape=(1, 28, 28))
    assert entry.recipe.watch == "nothing"
    assert entry.recipe.epochs_in_all <= 20
    assert entry.recipe.validation == 0
    assert entry.claim is None
    assert (facts.fully_connected, facts.fully_connected_equivalent, facts.biases, facts.hidden) == ((), (), (), ())
    assert facts.forward_passes == 1


def test_an_unknown_name_is_refused_with_the_closest_one() -> None:
    with pytest.raises(InputError, match="Did you mean 'one-pool'"):
        zoo.find("one-pol")


@pytest.mark.parametrize(("rate", "share"), [(0.1, 26 / 256), (0.2, 51 / 256), (0.5, 0.5)])
def test_dropout_zeroes_its_share_and_keeps_the_mean(rate: float, share: float) -> None:
    layer = Dropout(rate)
    layer.generator = generator_for(0, 0, "dropout")
    ones = torch.ones(64, 16, 26, 26).contiguous(memory_format=torch.channels_last)
    output = layer.train()(ones)
    assert float((output == 0).float().mean()) == pytest.approx(share, abs=0.002)
    assert float(output.mean()) == pytest.approx(1, abs=0.004)
    assert sorted(set(output.unique().tolist())) == [0.0, pytest.approx(1 / (1 - share))]


def test_dropout_passes_gradients_where_it_passes_values_and_is_off_in_evaluation() -> None:
    layer = Dropout(0.3)
    layer.generator = generator_for(0, 0, "dropout")
    images = torch.rand(8, 4, 6, 6).add_(0.5).requires_grad_()
    output = layer.train()(images)
    output.sum().backward()
    assert images.grad is not None
    torch.testing.assert_close(images.grad * images.detach(), output.detach())
    assert layer.eval()(images) is images


def test_dropout_masks_come_from_its_generator_alone() -> None:
    layer = Dropout(0.5)
    images = torch.ones(2, 3, 5, 7)  # 210 elements, no multiple of eight
    outputs = []
    for global_seed in (1, 2):
        torch.manual_seed(global_seed)
        layer.generator = generator_for(9, 4, "dropout")
        outputs.append(layer.train()(images))
    assert torch.equal(*outputs)
    layer.generator = generator_for(9, 5, "dropout")
    assert not torch.equal(outputs[0], layer.train()(images))


def test_batch_normalization_equals_torch_s_but_for_the_running_variance() -> None:
    ours, reference = BatchNormalization(5), torch.nn.BatchNorm2d(5, eps=1e-3, momentum=0.01)
    images = torch.randn(6, 5, 4, 4) * 3 + 1
    ours_in, reference_in = images.clone().requires_grad_(), images.clone().requires_grad_()
    ours_out, reference_out = ours.train()(ours_in), reference.train()(reference_in)
    torch.testing.assert_close(ours_out, reference_out)
    weight = torch.randn_like(images)
    (ours_out * weight).sum().backward()
    (reference_out * weight).sum().backward()
    torch.testing.assert_close(ours_in.grad, reference_in.grad)
    torch.testing.assert_close(ours.running_mean, reference.running_mean)
    biased = images.var((0, 2, 3), unbiased=False) * 0.01 + 0.99
    torch.testing.assert_close(ours.running_var, biased)
