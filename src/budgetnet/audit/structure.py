"""Layer tables and parameter counts: do they add up, do they have what the text says they have not?

What a table shows without contradicting anyone (a convolution that sees its whole map) is a note, not a finding: the field's
assignment allows it, and a contract may forbid it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from budgetnet.audit.handin import HandIn, same_at_printed_digits
from budgetnet.audit.tables import Table, TableRow
from budgetnet.audit.words import Claim, Found, Value

NEAR = 8
SUMMARY = "The layer table as `summary()` prints it, or the file that builds the network."
SEVERAL = re.compile(
    r"from|earlier|previous|before|experiment|iteration|model\s?\d|first|second|instead|reduc|old|new", re.IGNORECASE
)

PRINTED = re.compile(r"[\W_]{0,8}(?:total|trainable|non[- ]?trainable) param(?:eter)?s?\s{0,3}[:=]", re.IGNORECASE)
"""A line of a printed summary, whose table may not be there."""


def structure_findings(hand_in: HandIn) -> Iterator[Found]:
    """Yield the contradictions of counts and tables."""
    for table in hand_in.tables:
        yield from _sums(hand_in, table)
        yield from _against_words(hand_in, table)
    yield from _counts_in_text(hand_in)


def _sums(hand_in: HandIn, table: Table) -> Iterator[Found]:
    counts = {name: count for name, (count, _) in table.totals.items()}
    if "total" not in counts:
        return
    line = table.totals["total"][1]
    network = counts["total"] - counts.get("optimizer", 0)
    if not table.partial and table.sum not in {network, counts["total"]}:
        yield hand_in.found(
            f"The layer table contradicts its total: its rows sum to {table.sum:,}, below stands {counts['total']:,}.",
            f"Total params: {counts['total']:,}",
            line,
            SUMMARY,
        )
    if {"trainable", "non-trainable"} <= counts.keys() and counts["trainable"] + counts["non-trainable"] not in {
        network,
        counts["total"],
    }:
        both = counts["trainable"] + counts["non-trainable"]
        yield hand_in.found(
            f"The counts contradict each other: {counts['trainable']:,} trainable and {counts['non-trainable']:,} non-trainable "
            f"are {both:,}, not {counts['total']:,}.",
            f"Total params: {counts['total']:,}",
            line,
            SUMMARY,
        )
    normalization = sum(row.count for row in table.rows if row.kind == "normalization")
    statistics = normalization // 2
    if table.keras and not table.partial and counts.get("non-trainable", statistics) < statistics:
        yield hand_in.found(
            f"The counts contradict each other: BatchNormalization's rows hold {statistics:,} running statistics, and only "
            f"{counts['non-trainable']:,} parameters are non-trainable.",
            f"Non-trainable params: {counts['non-trainable']:,}",
            line,
            SUMMARY,
        )


def _against_words(hand_in: HandIn, table: Table) -> Iterator[Found]:
    biased = [row for row in table.rows if row.bias]
    if biased and hand_in.no_bias:
        yield hand_in.found(
            f"The text says or asks «no biases» (line {hand_in.no_bias.number}), and {len(biased)} of the table's layers have one: "
            f"{_why_biased(biased[0])}.",
            biased[0].text,
            biased[0].line,
            "The layer table of a network without them, or the file that builds it.",
        )
    connected = [row for row in table.rows if row.fully_connected]
    if connected and hand_in.no_dense:
        yield hand_in.found(
            f"The text says or asks «no fully connected layer» (line {hand_in.no_dense.number}), and the table has "
            f"{len(connected)}.",
            connected[0].text,
            connected[0].line,
            SUMMARY,
        )


def _why_biased(row: TableRow) -> str:
    channels = row.shape[-1]
    return f"{row.count:,} numbers are {row.count - channels:,} of a kernel and {channels} biases"


def _counts_in_text(hand_in: HandIn) -> Iterator[Found]:
    claims = [claim for claim in hand_in.claims if claim.kind == "parameters" and claim.label not in {"target", "other"}]
    totals = [claim for claim in claims if claim.label == "total" and claim.unit <= 1]
    named = [claim for claim in totals if "total" in claim.text.lower()]
    for total in named or totals:
        parts = {claim.label: claim for claim in claims if abs(claim.line - total.line) <= NEAR and claim.unit <= 1}
        trainable, fixed = parts.get("trainable"), parts.get("non-trainable")
        if trainable and fixed and trainable.value + fixed.value != total.value:
            yield hand_in.found(
                f"The counts contradict each other: {trainable.value:,.0f} trainable and {fixed.value:,.0f} non-trainable are "
                f"{trainable.value + fixed.value:,.0f}, not {total.value:,.0f}.",
                total.text,
                total.line,
                SUMMARY,
            )
            break
    exact = [claim for claim in claims if claim.label == "total" and claim.unit <= 1 and "total" in claim.text.lower()]
    single = len(hand_in.logs) <= 1 and len(hand_in.tables) <= 1 and not any(SEVERAL.search(claim.text) for claim in exact)
    if single and len({claim.value for claim in exact}) > 1:
        other = next(claim for claim in exact if claim.value != exact[0].value)
        yield hand_in.found(
            f"Two totals of parameters for one network: {exact[0].value:,.0f} (line {exact[0].line}) and {other.value:,.0f}.",
            other.text,
            other.line,
            SUMMARY,
        )
        return
    if single and not hand_in.tables and (lone := _against_print(claims)):
        yield hand_in.found(*lone, SUMMARY)
        return
    if len(hand_in.tables) == 1 and not hand_in.tables[0].partial:
        for claim in claims:
            if not _fits(claim, hand_in.tables[0]) and not _of_another(claim, hand_in.tables[0]):
                yield hand_in.found(
                    f"The text says {claim.value:,.0f} parameters{' at most' if claim.label == 'limit' else ''}, the layer table "
                    f"sums to {hand_in.tables[0].sum:,}.",
                    claim.text,
                    claim.line,
                    SUMMARY,
                )
                return


def _against_print(claims: list[Claim]) -> tuple[str, str, int] | None:
    """Return what the one count of the text says against the one that a summary printed, where neither is of another network."""
    printed = [claim for claim in claims if PRINTED.match(claim.text) and claim.unit <= 1]
    told = [claim for claim in claims if not PRINTED.match(claim.text) and claim.label == "total" and claim.unit <= 1]
    totals = {claim.value for claim in printed if claim.label == "total"}
    if len(totals) != 1 or len({claim.value for claim in told}) != 1:
        return None
    total, claim = totals.pop(), told[0]
    alike = any(claim.value == other.value for other in printed) or not total / 3 <= claim.value <= 3 * total
    if alike or any(SEVERAL.search(one.text) for one in told):
        return None
    return f"The text says {claim.value:,.0f} parameters, the summary's total is {total:,.0f}.", claim.text, claim.line


def _of_another(claim: Claim, table: Table) -> bool:
    """Return whether a count is told of another network: in a story of changes, or a round figure of another size."""
    rough = claim.unit > 1 and not table.sum / 3 <= claim.value <= 3 * table.sum
    return rough or bool(SEVERAL.search(claim.text))


def _fits(claim: Claim, table: Table) -> bool:
    if claim.label == "limit":
        return table.sum <= claim.value or any(word in claim.text.lower() for word in ("more than", "over", "above", ">"))
    known = [table.sum, *(count for count, _ in table.totals.values())]
    return any(same_at_printed_digits(claim.number, Value(count, 1.0)) for count in known)


def parameter_states(hand_in: HandIn) -> dict[int, str]:
    """Return the state of each claimed count by its place: shown where a layer table has it."""
    states: dict[int, str] = {}
    for place, claim in enumerate(hand_in.claims):
        if claim.kind != "parameters":
            continue
        if claim.label in {"target", "other"}:
            states[place] = "not held"
        elif hand_in.tables:
            fits = any(_fits(claim, table) for table in hand_in.tables)
            states[place] = "shown" if fits else "contradicted" if len(hand_in.tables) == 1 else "not held"
    return states


def structure_notes(hand_in: HandIn) -> Iterator[Found]:
    """Yield what the tables show and nobody denied."""
    for table in hand_in.tables:
        for row in table.rows:
            if row.sees_all:
                height, width = row.inputs[:2]
                yield hand_in.found(
                    f"A convolution sees its whole {height}×{width} map: it computes what a fully connected layer computes, which "
                    "the assignment's wording allows and a contract may forbid.",
                    row.text,
                    row.line,
                    "",
                )
        biased = [row for row in table.rows if row.bias]
        if biased and not hand_in.no_bias:
            yield hand_in.found(
                f"{len(biased)} layers of the table have a bias: {_why_biased(biased[0])}.", biased[0].text, biased[0].line, ""
            )
        connected = [row for row in table.rows if row.fully_connected]
        if connected and not hand_in.no_dense:
            yield hand_in.found("The table has a fully connected layer.", connected[0].text, connected[0].line, "")


def structure_unproven(hand_in: HandIn) -> Iterator[Found]:
    """Yield what is said of the network and cannot be seen without its layer table."""
    if hand_in.tables:
        return
    claims = [claim for claim in hand_in.claims if claim.kind == "parameters" and claim.label not in {"target", "other"}]
    for claim in {claim.value: claim for claim in reversed(claims) if claim.label in {"total", "limit"}}.values():
        under = "under " if claim.label == "limit" else ""
        yield hand_in.found(
            f"{under}{claim.value:,.0f} parameters: no layer table shows them.".capitalize(), claim.text, claim.line, SUMMARY
        )
    if hand_in.logs and not any(claim.label in {"total", "limit"} for claim in claims):
        first = hand_in.logs[0]
        yield hand_in.found("The parameters: neither a count nor a layer table is shown.", first.rows[0].text, first.line, SUMMARY)
    if hand_in.logs or claims:
        said = hand_in.no_bias or hand_in.no_dense
        line, text = (
            (said.number, said.text)
            if said
            else (hand_in.logs[0].line, hand_in.logs[0].rows[0].text)
            if hand_in.logs
            else (claims[0].line, claims[0].text)
        )
        yield hand_in.found("No biases, no fully connected layer: without a layer table neither can be seen.", text, line, SUMMARY)
