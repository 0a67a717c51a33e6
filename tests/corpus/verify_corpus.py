"""Hold the corpus against itself: `python tests/corpus/verify_corpus.py`, some seconds.

Counts each network by walking its dictionaries (never by `parameters()`, which a network can override), watches which numbers
enter its forward pass from elsewhere, calls it alone, twice and in company, and compares all that with `networks.toml`; then reads
the logs and looks whether each answer of `logs.toml` stands where it says. It uses nothing of the checker, so that both can be
wrong only apart.
"""

import ast
import importlib.util
import json
import re
import sys
import tomllib
import warnings
from pathlib import Path

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

HERE = Path(__file__).resolve().parent
STATES = {"met", "broken", "unproven"}
CLAUSES = ("parameters", "fully_connected", "biases", "forward_passes")
LIMIT = 15_000


def value_of(arithmetic):
    """Return what a sum of products of whole numbers makes."""
    tree = ast.parse(arithmetic, mode="eval")
    assert all(isinstance(node, ast.Expression | ast.BinOp | ast.Add | ast.Mult | ast.Constant) for node in ast.walk(tree))
    return compute(tree.body)


def compute(node):
    if isinstance(node, ast.Constant):
        return node.value
    left, right = compute(node.left), compute(node.right)
    return left + right if isinstance(node.op, ast.Add) else left * right


def all_modules(network, seen=None):
    seen = {} if seen is None else seen
    if id(network) not in seen:
        seen[id(network)] = network
        for child in network.__dict__["_modules"].values():
            if child is not None:
                all_modules(child, seen)
    return list(seen.values())


def count(network):
    """Return trainable, statistics, frozen numbers, and the numbers in other buffers."""
    parameters, statistics, buffers = {}, {}, {}
    for module in all_modules(network):
        for parameter in module.__dict__["_parameters"].values():
            if parameter is not None:
                parameters[id(parameter)] = parameter
        for name, buffer in module.__dict__["_buffers"].items():
            if buffer is None or name == "num_batches_tracked":
                continue
            (statistics if name in {"running_mean", "running_var"} else buffers)[id(buffer)] = buffer
    trainable = sum(p.numel() for p in parameters.values() if p.requires_grad)
    frozen = sum(p.numel() for p in parameters.values() if not p.requires_grad)
    return trainable, sum(b.numel() for b in statistics.values()), frozen, sum(b.numel() for b in buffers.values())


class Sources(TorchDispatchMode):
    """Collects tensors that enter a computation and are neither its input, nor registered, nor computed from those; no indices."""

    def __init__(self, known):
        super().__init__()
        self.known = {tensor.untyped_storage().data_ptr(): tensor for tensor in known}
        self.foreign = {}

    def __torch_dispatch__(self, function, types, arguments=(), keywords=None):
        inputs = [leaf for leaf in tree_leaves((arguments, keywords or {})) if isinstance(leaf, torch.Tensor)]
        for tensor in inputs:
            self.add(tensor, foreign=True)
        result = function(*arguments, **(keywords or {}))
        for leaf in tree_leaves(result):
            if isinstance(leaf, torch.Tensor):
                varied = leaf.numel() > 1 and not bool((leaf == leaf.flatten()[0]).all())
                self.add(leaf, foreign=not inputs and (varied or "empty" in function.name()) and "arange" not in function.name())
        return result

    def add(self, tensor, *, foreign):
        """Keeps the tensor alive, so that its address stays its own."""
        place = tensor.untyped_storage().data_ptr()
        if foreign and place not in self.known:
            self.foreign[place] = tensor
        self.known.setdefault(place, tensor)


def foreign_numbers(network, images):
    registered = [t for m in all_modules(network) for t in (*m._parameters.values(), *m._buffers.values()) if t is not None]
    with torch.no_grad(), Sources([*registered, images]) as sources:
        network(images)
    return sum(tensor.numel() for tensor in sources.foreign.values())


def load(target):
    file, _, rest = target.partition(":")
    spec = importlib.util.spec_from_file_location("corpus_" + file.removesuffix(".py"), HERE / "networks" / file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    name, _, arguments = (rest or {"alone.py": "Classifier", "guarded.py": "Net"}[file]).partition("(")
    call = ast.parse(f"f({arguments or ')'}", mode="eval").body
    given = [ast.literal_eval(a) for a in call.args], {k.arg: ast.literal_eval(k.value) for k in call.keywords}
    torch.manual_seed(0)
    return getattr(module, name)(*given[0], **given[1]).eval()


def answers(network, images, seed):
    torch.manual_seed(seed)
    with torch.no_grad():
        result = network(images)
    if isinstance(result, dict):
        result = result["logits"]
    return result[0] if isinstance(result, tuple) else result


def observed_behaviours(network, images):
    """Return what calling it shows, and the shape of its answer for four images."""
    found = set()
    first, second, other = answers(network, images, 1), answers(network, images, 1), answers(network, images, 2)
    if not torch.equal(first, second):
        found.add("keeps_state")
    elif not torch.equal(first, other):
        found.add("random_in_eval")
    else:
        alone = answers(network, images[:1], 1)
        if not torch.allclose(alone.float(), first[:1].float(), atol=1e-4, rtol=1e-3):
            found.add("depends_on_batch")
    if first.flatten(1).shape != (4, 10) if first.ndim > 1 else True:
        found.add("wrong_output")
    return found


def check_network(entry):
    """Return what does not fit, in words."""
    wrong = []
    parts = {key: value_of(text) for key, text in entry["arithmetic"].items()}
    total = parts["trainable"] + parts["statistics"] + parts["frozen"]
    if (entry["total"], entry["trainable"], entry["with_hidden"]) != (total, parts["trainable"], total + parts["hidden"]):
        wrong.append("its arithmetic gives other numbers")
    if not all(entry[clause] in STATES for clause in CLAUSES):
        wrong.append("it has an unknown state")
    over = max(entry["total"], entry["with_hidden"]) > LIMIT
    debated = entry.get("also_defensible", {})
    if (entry["parameters"] == "broken") != over and "parameters" not in debated:
        wrong.append("its state and its count contradict each other")
    clean = all(entry[clause] == "met" for clause in CLAUSES) and not entry.get("behaviours")
    if entry["honest"] and not clean:
        wrong.append("it is called honest and has something to object to")
    if entry.get("debatable", False) != bool(debated) or entry.get("debatable", False) != bool(entry.get("reason")):
        wrong.append("what is debatable needs a reason and an alternative")

    network, untouched = load(entry["target"]), load(entry["target"])
    images = torch.rand(4, *map(int, entry["input"].split("x")), generator=torch.Generator().manual_seed(4))
    expected = set(entry.get("behaviours", ())) - {"unused_parameters", "trains_at_import"}
    seen = set()
    try:
        seen = observed_behaviours(untouched, images)
        network(images)  # what is built in the first call is there in the second
        foreign = 0 if "random_in_eval" in seen else foreign_numbers(network, images)
    except (RuntimeError, TypeError) as error:
        foreign, seen = 0, {"raises_in_eval"}
        if "raises_in_eval" not in expected:
            raise RuntimeError(entry["target"]) from error
    trainable, statistics, frozen, buffers = count(network)
    if (trainable, statistics, frozen) != (parts["trainable"], parts["statistics"], parts["frozen"]):
        wrong.append(f"counted trainable, statistics, frozen = {trainable}, {statistics}, {frozen}")
    accepted = {entry["with_hidden"], *debated.get("with_hidden", ())}
    if total + buffers + foreign not in accepted:
        wrong.append(f"counted with hidden {total + buffers + foreign} (buffers {buffers}, foreign {foreign})")
    if seen != expected:
        wrong.append(f"behaves as {sorted(seen)}")
    return wrong


def check_networks():
    manifest = tomllib.loads((HERE / "networks.toml").read_text(encoding="utf-8"))
    failures = 0
    for entry in manifest["network"]:
        for sentence in check_network(entry):
            failures += 1
            print(f"{entry['target']}: {sentence}")
    entries = manifest["network"]
    targets = [entry["target"] for entry in entries]
    assert len(targets) == len(set(targets))
    honest = sum(entry["honest"] for entry in entries)
    print(f"{len(entries)} networks, {honest} honest, {sum(entry.get('debatable', False) for entry in entries)} debatable")
    return failures


VALUES = re.compile(
    r"val_acc(?:uracy)?[:=] ?(?P<fraction>0\.\d+)|Accuracy: (?P<count>\d+)/(?P<images>\d+)|[^_]test_acc=(?P<named>0\.\d+)"
    r"|test loss [\d.]+ acc (?P<percent>[\d.]+)%|^\| \d+ \|.* (?P<cell>\d\d\.\d\d) ?%? \|$"
)


def accuracies(lines):
    """Return the test accuracies that stand in these lines, one for each epoch, as fractions."""
    found = []
    for line in lines:
        for match in VALUES.finditer(line):
            given = {name: float(value) for name, value in match.groupdict().items() if value}
            found.append(
                round(given["count"] / given["images"], 4)
                if "count" in given
                else next(iter(given.values())) / (100 if {"percent", "cell"} & given.keys() else 1)
            )
    return found


def check_log(log, lines):
    """Return what does not fit between a log's answer and the lines from its first result on."""
    opening, result = log["line_range"]
    values = accuracies(lines[result - 1 :])[: log["epochs"]]
    last = values[-5:]
    wrong = []
    if not opening <= log["line"] <= result:
        wrong.append("its line lies outside its range")
    if len(accuracies([lines[result - 1]])) == 0:
        wrong.append("no accuracy stands in the line of its first result")
    expected = (log["epochs"], log["final"], log["best"], log["last5"], log["last5_min"])
    read = (len(values), values[-1], max(values), sum(last) / len(last), min(last))
    if any(abs(one - other) > 2e-6 for one, other in zip(expected, read, strict=True)):
        wrong.append(f"answers {expected}, reads {read}")
    return wrong


def check_logs():
    """Return how many answers do not stand where they should."""
    manifest = tomllib.loads((HERE / "logs.toml").read_text(encoding="utf-8"))
    documents = manifest["document"]
    wrong = []
    for entry in documents:
        path = HERE / "logs" / entry["file"]
        text = path.read_bytes().decode()
        if path.suffix == ".ipynb":
            json.loads(text)
        lines = [line.removesuffix("\r") for line in text.split("\n")]
        logs, findings = entry.get("log", []), entry.get("finding", [])
        for log in logs:
            wrong += [f"{entry['file']}:{log['line']}: {sentence}" for sentence in check_log(log, lines)]
        for finding in findings:
            places = [finding["line"], *finding.get("also_lines", [])]
            wrong += [f"{entry['file']}: no line {place}" for place in places if not 0 < place <= len(lines)]
            if not lines[finding["line"] - 1].strip():
                wrong.append(f"{entry['file']}:{finding['line']}: nothing stands here")
        if entry["honest"] == bool(findings) or entry["count"] != len(logs):
            wrong.append(f"{entry['file']}: its findings or its count of logs do not fit")
    assert {path.name for path in (HERE / "logs").iterdir()} == {entry["file"] for entry in documents}
    print(*wrong, sep="\n", end="\n" if wrong else "")
    print(f"{len(documents)} documents, {sum(entry['honest'] for entry in documents)} honest")
    return len(wrong)


def main():
    warnings.simplefilter("error")
    warnings.filterwarnings("ignore", message="Lazy modules are a new feature")
    torch.set_num_threads(1)
    return min(1, check_networks() + (check_logs() if (HERE / "logs.toml").exists() else 0))


if __name__ == "__main__":
    sys.exit(main())
