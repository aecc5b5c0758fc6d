"""What a verdict says about its own uncertainty."""

from __future__ import annotations

from cellixir.synthesis.verdicts import Row, verdict


def row(value: float, low: float, high: float, ceiling: float = 0.5) -> Row:
    return {"value": value, "low": low, "high": high, "ceiling": ceiling, "floor": 0.5}


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
