"""Widths, encoders and training of the response network, with defaults for each question."""

from __future__ import annotations

from dataclasses import dataclass

from cellixir.response.models.model import Known
from cellixir.training import TrainingConfig


@dataclass(frozen=True)
class Architecture:
    """Encoders, widths and dropout of the two towers.

    Parameters
    ----------
    latent
        Width in which samples and drugs meet.
    encoder
        Hidden width of each encoder.
    head
        Hidden width of the head; 0 leaves the inner product alone.
    view_dropout
        Probability with which a view is masked in training, where there are several.
    sample_encoder
        One of ``SAMPLE_ENCODERS`` for every view, or ``VIEW=NAME,VIEW=NAME``.
    drug_encoder
        One of ``DRUG_ENCODERS``.
    linear
        Whether the wide part holds a linear model where one side is new; False leaves its naive effects.
    """

    latent: int = 64
    encoder: int = 256
    head: int = 256
    dropout: float = 0.2
    input_dropout: float = 0.2
    view_dropout: float = 0.0
    sample_encoder: str = "dense"
    drug_encoder: str = "fingerprint"
    linear: bool = True


@dataclass(frozen=True)
class Preset:
    """Defaults of one question, chosen on inner validation rows of GDSC v17 (docs/benchmarks/response.md)."""

    architecture: Architecture
    training: TrainingConfig
    members: int


PRESETS: dict[str, Preset] = {
    "LPO": Preset(Architecture(), TrainingConfig(max_epochs=25, patience=6), members=4),
    "LCO": Preset(
        Architecture(encoder=256, head=0, dropout=0.6, input_dropout=0.5),
        TrainingConfig(max_epochs=40, learning_rate=3e-3, batch_size=8192),
        members=5,
    ),
    "LDO": Preset(
        Architecture(latent=8, encoder=256, head=0, dropout=0.5, input_dropout=0.5),
        TrainingConfig(max_epochs=15, learning_rate=5e-4, batch_size=8192),
        members=5,
    ),
}
PRESETS["LTO"] = PRESETS["LCO"]


def preset_of(split: str) -> Preset:
    """Defaults of a split.

    Raises
    ------
    ConfigurationError
        If there is no such split.
    """
    Known.under(split)
    return PRESETS[split]
