"""A hand-in's verdict: what its most telling log and its layer table show of each clause of a contract. Pure; no torch.

Of several logs the one counts that breaks least, then leaves least open, then ends highest. A text is its author's word: *met* means that
it shows the clause, not that the clause was measured, and what no text can show is unproven.
"""

from __future__ import annotations

from collections.abc import Sequence

from budgetnet.audit.clauses_of_logs import parameters_clause
from budgetnet.audit.handin import HandIn
from budgetnet.audit.tables import Table
from budgetnet.audit.words import LogSummary, TextFacts
from budgetnet.clauses import CLAUSES, BiasRule, ClauseResult, Contract, FullyConnectedRule, State

NOTHING_SHOWS = {
    "epochs": "No log shows the epochs.",
    "accuracy": "No log shows the accuracy.",
    "sustained_accuracy": "No log shows the accuracy.",
    "fully_connected": "No layer table shows the layers.",
    "biases": "No layer table shows the layers.",
    "forward_passes": "A text cannot show it: check the network.",
}


def most_telling(logs: Sequence[LogSummary]) -> LogSummary | None:
    """Return the log that shows most of the contract; of logs that were not judged, the one that ends highest."""

    def order(log: LogSummary) -> tuple[float, ...]:
        states = [clause.state for clause in log.clauses]
        return (states.count("broken"), states.count("unproven"), -(log.final if log.final is not None else -1.0))

    return min(logs, key=order, default=None)


def facts_of(hand_in: HandIn, logs: Sequence[LogSummary]) -> TextFacts:
    """Return what the hand-in shows of one network: the figures of its most telling log, and its layer table's."""
    log, table = most_telling(logs), _only_table(hand_in)
    totals = {name: count for name, (count, _) in table.totals.items()} if table else {}
    return TextFacts(
        log=log.line if log else None,
        epochs=log.epochs if log else None,
        final=log.final if log else None,
        best=log.best if log else None,
        last5=log.last5 if log else None,
        last5_min=log.last5_min if log else None,
        evaluated=log.evaluated if log else None,
        schedule=log.schedule if log else None,
        parameters=table.sum if table else None,
        trainable=totals.get("trainable"),
        non_trainable=totals.get("non-trainable"),
        biased_layers=sum(bool(row.bias) for row in table.rows) if table else None,
        fully_connected_layers=sum(row.fully_connected for row in table.rows) if table else None,
        layers_over_their_whole_map=sum(row.sees_all for row in table.rows) if table else None,
    )


def judged(hand_in: HandIn, logs: Sequence[LogSummary], contract: Contract) -> tuple[State, tuple[ClauseResult, ...]]:
    """Return the whole verdict, and each clause that `contract` asks."""
    log = most_telling(logs)
    shown = {clause.name: clause for clause in log.clauses} if log else {}
    table = _only_table(hand_in)
    if table and contract.fully_connected:
        shown["fully_connected"] = _fully_connected(table, contract.fully_connected)
    if table and contract.biases:
        shown["biases"] = _biases(table, contract.biases)
    if contract.parameters and "parameters" not in shown:
        shown["parameters"] = parameters_clause(hand_in, contract.parameters.at_most, contract.parameters.count)
    results: list[ClauseResult] = []
    for name in CLAUSES:
        rule = getattr(contract, name)
        if rule is not None:
            limit = getattr(rule, "at_most", getattr(rule, "at_least", None))
            nothing = ClauseResult(name=name, state="unproven", measured=None, limit=limit, why=NOTHING_SHOWS.get(name, ""))
            results.append(shown.get(name, nothing))
    states = {clause.state for clause in results}
    return "broken" if "broken" in states else "unproven" if "unproven" in states else "met", tuple(results)


def _only_table(hand_in: HandIn) -> Table | None:
    """Return the hand-in's layer table, where it has one alone and each of its lines could be read."""
    return hand_in.tables[0] if len(hand_in.tables) == 1 and not hand_in.tables[0].partial else None


def _fully_connected(table: Table, rule: FullyConnectedRule) -> ClauseResult:
    def result(state: State, measured: int, why: str) -> ClauseResult:
        return ClauseResult(name="fully_connected", state=state, measured=measured, limit=None, why=why)

    named, whole = sum(row.fully_connected for row in table.rows), sum(row.sees_all for row in table.rows)
    if rule.allowed:
        return result("met", named, "The contract allows it.")
    if named:
        return result("broken", named, f"The layer table has {named} fully connected layer{'' if named == 1 else 's'}.")
    if whole and rule.equivalent == "forbidden":
        return result("broken", whole, "A convolution of the layer table sees its whole map, which this contract forbids.")
    return result("unproven", 0, "The layer table has none; what the forward pass computes between its layers it cannot show.")


def _biases(table: Table, rule: BiasRule) -> ClauseResult:
    def result(state: State, measured: int, why: str) -> ClauseResult:
        return ClauseResult(name="biases", state=state, measured=measured, limit=None, why=why)

    biased = sum(bool(row.bias) for row in table.rows)
    unread = sum(row.count > 0 and row.bias is None and row.kind != "normalization" for row in table.rows)
    if rule.allowed:
        return result("met", biased, "The contract allows them.")
    if biased:
        return result("broken", biased, f"By their counts, {biased} layers of the layer table have a bias.")
    if unread or rule.normalization_shift == "forbidden":
        return result("unproven", 0, "The counts of the layer table do not tell of each layer whether it has a bias.")
    return result("met", 0, "By its count, no layer of the layer table has a bias.")
