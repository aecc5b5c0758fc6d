"""What a verdict says about its own uncertainty."""

from __future__ import annotations

from cellixir.synthesis.verdicts import Row, verdict


def row(value: float, low: float, high: float, ceiling: float = 0.5, ceiling_low: float = 0.1) -> Row:
    return {"value": value, "low": low, "high": high, "ceiling": ceiling, "ceiling_low": ceiling_low, "floor": 0.5}


def test_a_wide_interval_is_no_proof_of_privacy() -> None:
    wide = {"dcr_share": row(0.58, 0.39, 0.79), "membership": row(0.52, 0.46, 0.58)}
    found = verdict("Private", wide)
    assert found.answer == "yes"
    assert "So few samples do not rule out Closer to training of 0.79: hold out more." in found.sentence
    both = verdict("Private", wide | {"membership": row(0.6, 0.45, 0.75)})
    assert "rule out Closer to training of 0.79 and Membership inference of 0.75" in both.sentence


def test_a_narrow_interval_or_one_above_chance_needs_no_such_words() -> None:
    assert "rule out" not in verdict("Private", {"dcr_share": row(0.51, 0.45, 0.57)}).sentence
    copied = verdict("Private", {"dcr_share": row(0.9, 0.8, 1.0)})
    assert copied.answer == "no"
    assert "rule out" not in copied.sentence


def test_the_ratio_of_two_noises_is_not_judged() -> None:
    noise = {"correlation": row(0.01, -0.05, 0.07, ceiling=0.04, ceiling_low=-0.02)}
    found = verdict("Faithful", noise)
    assert found.answer == "not judged"
    assert found.sentence.endswith(
        "Correlation of genes 0.01 is not judged: that of real data, 0.04, is not clear of 0 (lower end −0.02)."
    )
    both = verdict("Faithful", noise | {"precision": row(0.9, 0.8, 1.0, ceiling=0.9)})
    assert both.answer == "yes"
    assert "Correlation of genes 0.01 is not judged" in both.sentence
    # a small number is judged where that of real data is clear, a large one is not where that of real data is not
    assert verdict("Faithful", {"correlation": row(0.001, -0.01, 0.01, ceiling=0.015, ceiling_low=0.01)}).answer == "no"
    assert verdict("Useful", {"lfc_slope": row(0.2, 0.1, 0.3, ceiling=0.6, ceiling_low=-0.1)}).answer == "not judged"


def test_copies_by_chance_are_judged_by_the_interval_and_others_by_their_share() -> None:
    for low, answer in ((0.40, "yes"), (0.415, "partly"), (0.45, "no")):
        assert verdict("Private", {"copies": row(0.46, low, 0.5, ceiling=0.41)}).answer == answer
    nan = float("nan")
    for share, answer in ((0.0, "yes"), (0.005, "partly"), (0.02, "no")):
        assert verdict("Private", {"copies": row(share, nan, nan, ceiling=0.0)}).answer == answer
    for low, answer in ((0.0, "yes"), (0.005, "partly"), (0.02, "no")):
        assert verdict("Private", {"near_copies": row(0.03, low, 0.03, ceiling=0.0)}).answer == answer


def test_who_is_not_answered_yes_is_told_what_to_do() -> None:
    leak = verdict("Private", {"dcr_share": row(0.9, 0.8, 1.0)})
    assert "fit on more samples, on fewer genes, merge rare groups" in leak.advice
    assert verdict("Private", {"dcr_share": row(0.5, 0.4, 0.6)}).advice == ""
