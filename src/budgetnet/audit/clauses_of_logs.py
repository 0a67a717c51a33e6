"""What a log shows, held against a contract's clauses on epochs, accuracy and parameters: met, broken or unproven.

A pasted log is its author's word. *Met* means that the log shows it, *broken* that the log itself denies it; where what is
watched is not the test split, the weights did not start fresh, or the log is not whole, it is unproven, with the reason.
"""

from __future__ import annotations

from budgetnet.audit.handin import HandIn
from budgetnet.audit.starts import goes_on, warm
from budgetnet.audit.structure import parameter_states
from budgetnet.clauses import ClauseResult, Contract, State
from budgetnet.judging import COUNTING

SLACK = 1e-9


def clauses_of_log(hand_in: HandIn, place: int, contract: Contract) -> tuple[ClauseResult, ...]:
    """Return the clauses that a log can speak to; the others of the contract need the network."""
    results: list[ClauseResult] = []
    if contract.parameters:
        results.append(parameters_clause(hand_in, contract.parameters.at_most, contract.parameters.count))
    if contract.epochs:
        results.append(_epochs(hand_in, place, contract.epochs.at_most))
    if contract.accuracy:
        results.append(_accuracy(hand_in, place, contract.accuracy.at_least, 1, "accuracy"))
    if contract.sustained_accuracy:
        limit = contract.sustained_accuracy
        results.append(_accuracy(hand_in, place, limit.at_least, limit.last, "sustained_accuracy"))
    return tuple(results)


def parameters_clause(hand_in: HandIn, limit: int, count: str) -> ClauseResult:
    """Return the clause on parameters, by the hand-in's layer table, else by its words."""

    def result(state: State, measured: int | None, why: str) -> ClauseResult:
        return ClauseResult(name="parameters", state=state, measured=measured, limit=limit, why=why)

    if len(hand_in.tables) == 1 and not hand_in.tables[0].partial and count in {"total", "trainable"}:
        table = hand_in.tables[0]
        measured = table.sum if count == "total" else table.totals.get("trainable", (None, 0))[0]
        if measured is not None:
            state: State = "met" if measured <= limit else "broken"
            return result(state, measured, f"The layer table shows {measured:,}, {COUNTING[count]}.")
    states = parameter_states(hand_in)
    said = [
        int(claim.value)
        for number, claim in enumerate(hand_in.claims)
        if claim.kind == "parameters" and claim.label == "total" and states.get(number) != "not held"
    ]
    if said and min(said) > limit and count == "total":
        return result("broken", min(said), f"The text itself says {min(said):,}.")
    return result("unproven", None, "No layer table shows the parameters" + (f"; the text says {said[0]:,}." if said else "."))


def _epochs(hand_in: HandIn, place: int, limit: float) -> ClauseResult:
    def result(state: State, measured: int | None, why: str) -> ClauseResult:
        return ClauseResult(name="epochs", state=state, measured=measured, limit=limit, why=why)

    log = hand_in.logs[place]
    reached = log.reached
    chained = place
    while chained and goes_on(hand_in.logs[chained - 1], hand_in.logs[chained]):
        chained -= 1
        reached += hand_in.logs[chained].reached
    if reached > limit:
        return result("broken", reached, f"The log shows {reached} epochs on these weights, {reached - limit:g} more than allowed.")
    if warm(hand_in.logs[chained]):
        return result("unproven", None, "The log does not start from fresh weights: the epochs before it are not shown.")
    if log.first > 1 or len(log.rows) < log.epochs:
        return result("unproven", None, "The log is not whole.")
    return result("met", reached, f"The log shows {reached} epochs.")


def _accuracy(hand_in: HandIn, place: int, limit: float, last: int, name: str) -> ClauseResult:
    def result(state: State, measured: float | None, why: str) -> ClauseResult:
        return ClauseResult(name=name, state=state, measured=measured, limit=limit, why=why)

    log, evaluated = hand_in.logs[place], hand_in.belongs.get(place)
    if last == 1 and evaluated is not None and hand_in.watched[place] != "test":
        value = evaluated.accuracy.value
        return result("met" if value >= limit - SLACK else "broken", value, f"The result of evaluate is {value:.4f}.")
    if hand_in.watched[place] != "test":
        return result("unproven", None, "The log does not show that what it watches is the test split.")
    if log.planned is not None and log.reached < log.planned:
        return result("unproven", None, f"The log ends after epoch {log.last} of {log.planned}.")
    values = [value.value for _, value in log.watched()][-last:]
    lowest = min(values)
    where = "in the last epoch" if last == 1 else f"at least, in the last {last} epochs"
    if lowest < limit - SLACK:
        return result("broken", lowest, f"The log shows {lowest:.4f} {where}, {100 * (limit - lowest):.2f} points under the limit.")
    if len(values) < last:
        return result("unproven", None, f"The log shows only {len(values)} epochs.")
    return result("met", lowest, f"The log shows {lowest:.4f} {where}.")
