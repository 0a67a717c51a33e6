"""Checkpoints that watch the test split are found, in any framework's words; a validation part of the training images is honest."""

from pathlib import Path

import pytest
from pasted_logs import Row, course_loop, figures, keras, verbose2_old

from budgetnet.audit import Document, audit_file


def audited(folder: Path, text: str) -> Document:
    (folder / "README.md").write_text(text, encoding="utf-8")
    return audit_file(folder / "README.md")


def lightning(name: str, rows: list[Row] | None = None, kept: bool = True) -> str:
    best, out = 0.0, []
    steps = 430 if name == "val" else 469  # of 128 images: 55,000 or all
    for e, a, b, _, d in rows or figures():
        out.append(
            f"Epoch {e - 1}: 100%|██████████| {steps}/{steps} [00:06<00:00, 75.00it/s, v_num=0, train_loss={a:.4f}, train_acc={b:.4f}, "
            f"{name}_acc={d:.4f}]"
        )
        if kept and d > best:
            best = d
            out.append(
                f"Epoch {e - 1}, global step {steps * e}: '{name}_acc' reached {d:.5f} (best {d:.5f}), saving model to 'a.ckpt' as top 1"
            )
    return "\n".join(out)


def code(text: str) -> str:
    return f"```python\n{text}\n```\n\n"


LOOP = """best = 0
for epoch in range(15):
    train(model, train_loader, optimizer)
    {name} = {source}
    if {name} > best:
        best = {name}
        {keeps}
"""
TEST_CHOSEN = {
    "lightning's lines": lightning("test"),
    "lightning's callback": code('trainer = Trainer(callbacks=[ModelCheckpoint(monitor="test_acc", mode="max")])')
    + lightning("test", kept=False),
    "over lines": code('checkpoint = ModelCheckpoint(\n    dirpath="a",\n    monitor="test_acc",\n    save_top_k=1,\n)')
    + lightning("test", kept=False),
    "the best path": code('ModelCheckpoint(monitor="test_acc")\nmodel = Net.load_from_checkpoint(checkpoint.best_model_path)')
    + lightning("test", kept=False),
    "torch.save": code(
        LOOP.format(name="test_acc", source="evaluate(model, test_loader)", keeps='torch.save(model.state_dict(), "a.pt")')
    )
    + course_loop(),
    "a name that says nothing": code(
        LOOP.format(name="acc", source="evaluate(model, test_loader)", keeps="kept = copy.deepcopy(model.state_dict())")
    )
    + course_loop(),
    "two values": code(
        LOOP.format(name="acc", source="0", keeps="torch.save(model, 'a.pt')").replace(
            "acc = 0", "loss, acc = test(model, device, test_loader)"
        )
    )
    + course_loop(),
    "keras": code("ModelCheckpoint('a.h5', monitor='val_acc', save_best_only=True)") + keras(),
    "keras over lines": code("ModelCheckpoint(\n    'a.h5',\n    monitor='val_acc',\n    save_best_only=True,\n)") + keras(),
    "transformers": code("TrainingArguments(load_best_model_at_end=True, metric_for_best_model='test_accuracy')") + course_loop(),
    "said in the loop": course_loop().replace("(99.53%)\n", "(99.53%)\nNew best test accuracy, model saved\n"),
    "in words": "The weights of the epoch with the best test accuracy: we saved the best model by test accuracy.\n\n"
    + course_loop(),
}
VALIDATED = verbose2_old().replace("Train on 60000", "Train on 50000")
SPLIT = "train, val = random_split(MNIST('.', train=True), [55000, 5000])\n"
HONEST = {
    "lightning on a validation part": code(SPLIT + 'ModelCheckpoint(monitor="val_acc", mode="max")')
    + lightning("val")
    + "\n\ntest_acc: 0.9931\n",
    "a subset": code("val = Subset(MNIST('.', train=True), range(55000, 60000))\nModelCheckpoint(monitor='val_acc')")
    + lightning("val"),
    "lightning without code": lightning("val"),
    "torch.save on a validation part": code(
        SPLIT + LOOP.format(name="val_acc", source="evaluate(model, val_loader)", keeps="torch.save(model.state_dict(), 'a.pt')")
    )
    + lightning("val", kept=False),
    "keras on a validation part": code("ModelCheckpoint('a.h5', monitor='val_acc', save_best_only=True)") + VALIDATED,
    "every epoch kept": code("ModelCheckpoint('a-{epoch}.h5', monitor='val_acc', verbose=1)") + keras(),
    "every epoch kept by lightning": code("ModelCheckpoint(monitor='test_acc', save_top_k=-1)") + lightning("test", kept=False),
    "kept by the training loss": code("ModelCheckpoint('a.h5', monitor='loss', save_best_only=True)") + keras(),
    "only noted": code(LOOP.format(name="test_acc", source="evaluate(model, test_loader)", keeps="print('best so far', best)"))
    + course_loop(),
    "saved at the end": code("for epoch in range(15):\n    train(model)\ntorch.save(model.state_dict(), 'last.pt')")
    + course_loop(),
    "kept by training accuracy": code(
        LOOP.format(name="train_acc", source="train(model, train_loader)", keeps="torch.save(model.state_dict(), 'a.pt')")
    )
    + course_loop(),
    "both splits in a table": code("ModelCheckpoint(monitor='val_acc', mode='max')")
    + "| epoch | train acc | val acc | test acc |\n| --- | --- | --- | --- |\n"
    + "\n".join(f"| {e} | {b} | {d - 0.001:.4f} | {d} |" for e, a, b, c, d in figures()),
    "not done": "No checkpoint of the best test accuracy was kept; the last epoch counts.\n\n" + course_loop(),
}


@pytest.mark.parametrize("name", TEST_CHOSEN)
def test_a_choice_by_the_test_split_is_found(name: str, tmp_path: Path) -> None:
    found = [item.what for item in audited(tmp_path, TEST_CHOSEN[name] + "\n").findings]
    assert any("test accuracy was used" in what for what in found), found


@pytest.mark.parametrize("name", HONEST)
def test_a_choice_by_anything_else_is_none(name: str, tmp_path: Path) -> None:
    assert [item.what for item in audited(tmp_path, HONEST[name] + "\n").findings] == []
