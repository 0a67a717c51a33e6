"""Statistics over seeds: scipy's own answers, known differences found again, and sentences that say what was found."""

import math

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as scipy_stats

from budgetnet import stats

SIMULATIONS = 2_000


def by_seed(values: list[float]) -> dict[int, float]:
    return dict(enumerate(values))


def test_a_summary_is_scipy_s() -> None:
    values = [0.9941, 0.9950, 0.9945, 0.9938, 0.9947]
    summary = stats.summarise(values)
    expected = scipy_stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert summary.n == 5
    assert summary.mean == pytest.approx(numpy.mean(values))
    assert summary.std == pytest.approx(numpy.std(values, ddof=1))
    assert summary.interval == pytest.approx((expected.low, expected.high))


@pytest.mark.parametrize("values", [[], [0.99]])
def test_too_few_values_have_no_spread(values: list[float]) -> None:
    summary = stats.summarise(values)
    assert (summary.std, summary.interval) == (None, None)
    assert summary.mean == (values[0] if values else None)


def test_pairs_are_compared_as_scipy_compares_them() -> None:
    first, second = [0.9941, 0.9950, 0.9945, 0.9949], [0.9940, 0.9943, 0.9941, 0.9938]
    result, expected = stats.compare(by_seed(first), by_seed(second)), scipy_stats.ttest_rel(first, second)
    bounds = expected.confidence_interval(0.95)
    assert (result.method, result.n) == ("paired", 4)
    assert result.p == pytest.approx(expected.pvalue)
    assert result.interval == pytest.approx((bounds.low, bounds.high))


def test_only_the_seeds_in_common_are_paired() -> None:
    first, second = {0: 0.5, 1: 0.6, 2: 0.1, 7: 0.0}, {0: 0.4, 1: 0.3, 2: 0.2, 9: 1.0}
    result = stats.compare(first, second)
    assert result.n == 3
    assert result.difference == pytest.approx((0.1 + 0.3 - 0.1) / 3)


def test_without_seeds_in_common_welch_compares() -> None:
    first, second = {0: 0.9941, 1: 0.9950, 2: 0.9945}, {5: 0.9940, 6: 0.9943, 7: 0.9941, 8: 0.9939}
    expected = scipy_stats.ttest_ind(list(first.values()), list(second.values()), equal_var=False)
    bounds = expected.confidence_interval(0.95)
    result = stats.compare(first, second)
    assert (result.method, result.n) == ("welch", 3)
    assert result.p == pytest.approx(expected.pvalue)
    assert result.interval == pytest.approx((bounds.low, bounds.high))


def test_one_run_of_each_is_no_test() -> None:
    result = stats.compare({0: 0.99}, {0: 0.98})
    assert (result.method, result.interval, result.p) == ("none", None, None)
    assert "cannot be compared yet" in stats.difference_in_words("a", "b", result, result.p)


@pytest.mark.parametrize("n", [2, 3, 5])
def test_equal_pairs_are_not_taken_for_certainty(n: int) -> None:
    result = stats.compare(dict.fromkeys(range(n), 0.75), dict.fromkeys(range(n), 0.5))
    assert result.p == 2.0 ** (1 - n)
    assert stats.compare(dict.fromkeys(range(n), 0.75), dict.fromkeys(range(n), 0.75)).p == 1.0


@pytest.mark.parametrize(("n", "paired"), [(5, True), (10, True), (5, False)])
def test_the_interval_covers_a_known_difference_in_95_of_100_studies(n: int, paired: bool) -> None:
    random = numpy.random.default_rng(2026 + n)
    truth, covered = 0.0005, 0
    for _ in range(SIMULATIONS):
        luck = random.normal(0, 0.0004, n)  # of the seed, for both recipes alike where they share it
        first = 0.9945 + luck + random.normal(0, 0.0006, n)
        second = 0.9940 + (luck if paired else random.normal(0, 0.0004, n)) + random.normal(0, 0.0009, n)
        seeds = range(n) if paired else range(100, 100 + n)
        result = stats.compare(by_seed(list(first)), dict(zip(seeds, second, strict=True)))
        assert result.method == ("paired" if paired else "welch")
        assert result.interval is not None
        covered += result.interval[0] <= truth <= result.interval[1]
    assert 0.93 <= covered / SIMULATIONS <= 0.97


def test_a_study_without_a_difference_finds_one_in_5_of_100() -> None:
    random = numpy.random.default_rng(7)
    found = 0
    for _ in range(SIMULATIONS):
        first, second = random.normal(0.994, 0.0006, (2, 5))
        p = stats.compare(by_seed(list(first)), by_seed(list(second))).p
        found += p is not None and p < 0.05
    assert 0.03 <= found / SIMULATIONS <= 0.07


def test_holm_is_holm_s_own_procedure() -> None:
    # Steps by hand: 4 × 0.005, then 3 × 0.01, then 2 × 0.03, and 0.04 is lifted to the one before it.
    assert stats.holm([0.01, 0.04, None, 0.03, 0.005]) == pytest.approx([0.03, 0.06, None, 0.06, 0.02])
    assert stats.holm([0.7, 0.6]) == [1.0, 1.0]
    assert stats.holm([]) == []


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_lies_between_no_correction_and_bonferroni_s(values: list[float]) -> None:
    for value, corrected in zip(values, stats.holm(list(values)), strict=True):
        assert corrected is not None
        assert value <= corrected <= min(1.0, value * len(values)) + 1e-12


def test_a_share_has_scipy_s_intervals() -> None:
    five_of_five = stats.share(5, 5)
    assert five_of_five.share == 1.0
    assert five_of_five.interval == pytest.approx((0.5655, 1.0), abs=1e-4)
    assert stats.share(5, 5, method="exact").interval == pytest.approx((0.025 ** (1 / 5), 1.0))
    assert stats.share(0, 0).share is None


def test_wilson_covers_about_95_of_100_where_the_textbook_s_interval_fails() -> None:
    n, truth = 10, 0.8
    probabilities = scipy_stats.binom.pmf(range(n + 1), n, truth)
    covered = 0.0
    for count in range(n + 1):
        interval = stats.share(count, n).interval
        assert interval is not None
        covered += probabilities[count] * (interval[0] <= truth <= interval[1])
    assert 0.93 <= covered <= 0.98


def test_images_are_told_apart_by_those_that_only_one_run_got_wrong() -> None:
    result = stats.images_told_apart({1, 2, 3, 4, 5, 6, 7, 8, 9}, {9, 10})
    assert (result.only_first_wrong, result.only_second_wrong) == (8, 1)
    assert result.p == pytest.approx(2 * (1 + 9) / 2**9)
    assert stats.images_told_apart({1, 2}, {1, 2}).p == 1.0


@pytest.mark.parametrize(("effect", "expected"), [(0.2, 199), (0.5, 34), (0.8, 15)])
def test_seeds_needed_are_those_of_the_power_tables(effect: float, expected: int) -> None:
    """The table for a paired t-test, two-sided 5 %, power 80 % (Cohen's small, medium and large effect)."""
    assert stats.seeds_needed(effect, 1.0) == expected


@pytest.mark.parametrize("seeds", [2, 3, 5, 40])
def test_the_detectable_difference_is_found_in_80_of_100(seeds: int) -> None:
    difference = stats.detectable_difference(seeds, 0.0007)
    assert difference is not None
    assert stats.power(seeds, difference, 0.0007) == pytest.approx(0.8, abs=1e-6)
    assert stats.seeds_needed(difference * 1.000001, 0.0007) == seeds


def test_a_difference_can_be_too_small_for_any_study() -> None:
    assert stats.seeds_needed(1e-7, 0.001) is None
    assert stats.seeds_needed(0.0, 0.001) is None
    assert stats.detectable_difference(1, 0.001) is None
    assert math.isclose(stats.power(1, 0.01, 0.001), 0)


def words(first: list[float], second: list[float]) -> str:
    result = stats.compare(by_seed(first), by_seed(second))
    return stats.difference_in_words("global max", "global average", result, result.p)


def test_the_sentence_says_who_is_better_and_by_how_much() -> None:
    said = words([0.9946, 0.9945, 0.9947, 0.9946], [0.9941, 0.9940, 0.9940, 0.9942])
    assert said == "global max is better than global average by 0.05 ± 0.02 points (n = 4, p = 0.004)"
    turned = words([0.9941, 0.9940, 0.9940, 0.9942], [0.9946, 0.9945, 0.9947, 0.9946])
    assert turned == "global average is better than global max by 0.05 ± 0.02 points (n = 4, p = 0.004)"


def test_the_sentence_says_what_a_difference_would_take() -> None:
    said = words([0.9946, 0.9940, 0.9944, 0.9938, 0.9945], [0.9941, 0.9943, 0.9940, 0.9940, 0.9934])
    assert said == "no difference between global max and global average can be seen with 5 seeds; 0.03 points would need about 31"


def test_a_corrected_p_decides_the_sentence() -> None:
    result = stats.compare(by_seed([0.9946, 0.9945, 0.9947]), by_seed([0.9941, 0.9940, 0.9940]))
    assert result.p is not None
    assert " is better than " in stats.difference_in_words("a", "b", result, result.p)
    assert "no difference between a and b" in stats.difference_in_words("a", "b", result, 0.06)
