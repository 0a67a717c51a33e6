"""Parameters in their four meanings, and the table whose rows add up to them.

Every declared number is claimed once, by the first row that uses it; what no row uses gets rows at the end, because a declared
parameter counts whether it is used or not. Hidden numbers are those that the image meets and that no count of parameters sees.
"""

from __future__ import annotations

from torch import Tensor, nn

from budgetnet.check import declared
from budgetnet.check.evidence import MANY_SCALARS, Evidence, Findings
from budgetnet.check.rows import Row, number_names, word_of
from budgetnet.check.sources import Census, Source, count_non_zero, hidden_numbers, is_plain_pattern, is_statistic
from budgetnet.facts import Finding, LayerRow, ParameterCounts

FEW_SCALARS = 8
"""Single constants (an epsilon, a temperature) are no weights; more of them than this are counted."""


def count(network: nn.Module, evidence: Evidence, used: frozenset[int]) -> tuple[tuple[LayerRow, ...], ParameterCounts]:
    """Return the rows and the counts; say in the findings what is hidden, frozen, or never used (no number of `used`)."""
    first, found = evidence.first, evidence.findings
    sources = first.sources.all[: first.sources.declared]
    for source in sources:
        if source.kind == "statistic" and not source.alone and not is_statistic(source.owner, source.tensor):
            source.kind, source.helps = "buffer", True
    counted = [source for source in sources if _is_counted(source)]
    census = Census(source.tensor for source in counted if source.trainable)
    rows = list(first.rows.rows)
    claims = [_claim(census, _held_by(row, counted)) for row in rows]
    unused = _unused_rows(network, census, counted, claims)
    _say_unused(network, [source for source in counted if source.kind == "parameter" and source.number not in used], found)
    rows += unused
    number_names(rows)
    table = tuple(
        _layer_row(row, numbers, trainable, evidence.batch) for row, (numbers, trainable) in zip(rows, claims, strict=True)
    )
    total, trainable = sum(row.parameters for row in table), sum(row.trainable for row in table)
    statistics = Census()
    moving = sum(statistics.claim(source.tensor)[0] for source in counted if source.kind == "statistic")
    frozen = max(total - trainable - moving, 0)
    if frozen:
        found.say(f"{frozen:,} weights are frozen: no optimizer changes them, and they count in the total.")
    return table, ParameterCounts(
        total=total,
        trainable=trainable,
        non_trainable=total - trainable,
        with_hidden=total + _hidden(evidence),
        non_zero=count_non_zero([source.tensor for source in counted]),
        frozen=frozen,
    )


def _is_counted(source: Source) -> bool:
    """Return whether Keras's total holds it: every parameter, and running statistics that a normalization uses."""
    return source.kind == "parameter" or (source.kind == "statistic" and (source.met or is_statistic(source.owner, source.tensor)))


def _held_by(row: Row, counted: list[Source]) -> list[Tensor]:
    """Return the tensors that a row shows: all that its module holds, and what else it used."""
    if row.module is None:
        return [source.tensor for source in row.sources if source.kind in {"parameter", "statistic"}]
    own = {id(tensor) for tensor in declared.tensors(row.module)}
    own_memory = {tensor.data_ptr() for tensor in declared.tensors(row.module) if tensor.numel()}
    held = [source for source in counted if id(source.tensor) in own or source.tensor.data_ptr() in own_memory]
    return [source.tensor for source in (*held, *row.sources) if source.kind in {"parameter", "statistic"}]


def _claim(census: Census, tensors: list[Tensor]) -> tuple[int, int]:
    claims = [census.claim(tensor) for tensor in tensors]
    return sum(numbers for numbers, _ in claims), sum(trainable for _, trainable in claims)


def _unused_rows(network: nn.Module, census: Census, counted: list[Source], claims: list[tuple[int, int]]) -> list[Row]:
    """Claim what is left, by module, for rows at the end of the table."""
    left: dict[int, tuple[Row, int, int]] = {}
    paths = {id(module): path for path, module in declared.modules(network)}
    for source in counted:
        numbers, trainable = census.claim(source.tensor)
        if numbers == 0:
            continue
        module = source.owner
        own_code = module is None or module is network
        row = Row("Parameter" if own_code or module is None else word_of(module), None, path=paths.get(id(module), ""))
        kept, before, before_trainable = left.get(id(module), (row, 0, 0))
        left[id(module)] = kept, before + numbers, before_trainable + trainable
    for _, numbers, trainable in left.values():
        claims.append((numbers, trainable))
    return [row for row, _, _ in left.values()]


def _say_unused(network: nn.Module, unused: list[Source], found: Findings) -> None:
    """Say for each module how many of its parameters no answer depends on, in evaluation or in training mode."""
    paths = {id(module): path for path, module in declared.modules(network)}
    for module in dict.fromkeys(source.owner for source in unused):
        census = Census()
        numbers = sum(census.claim(source.tensor)[0] for source in unused if source.owner is module)
        path = paths.get(id(module), "")
        word = word_of(module) if module is not None else ""
        where = f"{path!r} ({word})" if path else "the network itself"
        counted_words = f"{numbers:,} parameter{'s' * (numbers > 1)}"
        what = f"Declared in {where} and never used in a forward pass: {counted_words}, counted all the same."
        found.say(what)
        found.unused.append(Finding(what=what, layer=path or word, numbers=numbers))


def _hidden(evidence: Evidence) -> int:
    """Return how many numbers no count sees, and name where they are."""
    found = evidence.findings
    total, scalars = 0, 0
    for source in evidence.first.sources.hidden():
        if source.number in evidence.noise:
            continue
        numbers = hidden_numbers(source)
        if numbers == 1:
            scalars += 1
            continue
        total += numbers
        place = f"the buffer {source.name!r}" if source.kind == "buffer" else "a tensor that is declared nowhere"
        line = f" ({source.file}, line {source.line})" if source.file else ""
        what = f"{numbers:,} numbers that meet the image are hidden in {place}"
        if is_plain_pattern(source):
            found.say(f"{what}{line}: a mask or a plain pattern, which holds next to nothing.")
            continue
        if source.helps:
            found.say(f"{what}{line}: training moves them, and weights are computed with them, as spectral normalization does.")
            continue
        found.say(f"{what}{line}.")
        found.hidden.append(Finding(what=f"{what}.", layer=source.name, numbers=numbers, file=source.file, line=source.line))
    written_out = len(evidence.first.scalars)
    if written_out > MANY_SCALARS:
        total += written_out  # its note is in the evidence
        what = f"{written_out:,} different Python numbers meet the image: they may be weights written out."
        found.hidden.append(Finding(what=what, layer="", numbers=written_out))
    if scalars > FEW_SCALARS:
        found.say(f"{scalars:,} single constants meet the image.")
        found.hidden.append(Finding(what=f"{scalars:,} single constants meet the image.", layer="", numbers=scalars))
        total += scalars
    return total


def _layer_row(row: Row, numbers: int, trainable: int, batch: int) -> LayerRow:
    shape: list[int | None] = list(row.output_shape)
    if shape and row.output_shape[0] % batch == 0:
        shape[0] = None
    if len(shape) > 3:
        shape = [shape[0], *shape[2:], shape[1]]  # Keras puts channels last
    field = max(row.geometry.field) if row.geometry and row.geometry.field else None
    jump = max(row.geometry.jump) if row.geometry and row.geometry.jump else None
    return LayerRow(
        name=row.name,
        type=row.word,
        output_shape=tuple(shape),
        parameters=numbers,
        trainable=trainable,
        multiply_accumulates=row.multiply_accumulates // batch,
        receptive_field=None if field is None else round(field),
        jump=round(jump) if jump is not None and float(jump).is_integer() else None,
    )
