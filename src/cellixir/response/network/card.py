"""The model card of a response bundle."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cellixir.data.splits import SPLIT_MEANING

if TYPE_CHECKING:
    from cellixir.response.network.predictor import ResponsePredictor


def model_card(model: ResponsePredictor) -> str:
    """Return what the model is, what it learned from, what it may be used for, in Markdown."""
    shape, training, members = model.preset
    views = ", ".join(f"{name} ({len(view.inputs):,} features)" for name, view in model.sample_features_.views.items())
    annotations = ", ".join(model.sample_features_.onehot.levels) or "none"
    best = [h["validation_loss"].min() for _, h in model.history_.groupby("member")] if len(model.history_) else []
    losses = ", ".join(f"{loss:.3f}" for loss in best) or "not recorded"
    encoders = ", ".join(f"{view} {name}" for view, name in model.sample_encoding_.encoders.items()) or "none"
    ninety = model.conformal_.half_width(np.array(["any"]), 0.9)[0]
    return f"""# Drug response: two-tower network

| | |
|---|---|
| question | {model.split}: {SPLIT_MEANING[model.split]} |
| predicts | {model.measure_} {f"({model.unit_})" if model.unit_ else ""} |
| learned from | {model.n_pairs_:,} measurements of {model.n_samples_:,} samples and {len(model.drugs_):,} drugs |
| data fingerprint | `{model.fingerprint_}` |
| views | {views or "none"} |
| annotation used | {annotations} |
| drug features | {len(model.drug_features_.names):,} columns |
| encoders of samples | {encoders} |
| encoder of drugs | {model.drug_encoding_.encoder} |
| network | latent {shape.latent}, encoder {shape.encoder}, head {shape.head}, {members} members |
| training | at most {training.max_epochs} epochs, batch {training.batch_size}, seed {model.seed} |
| validation loss of each member | {losses} (1 is the naive effects alone) |
| share of the deep part beside the linear one | {model.share_:.2f} |
| typical error on held-out rows | {model.typical_error_[""]:.3f} {model.unit_} |
| half width of a 90 % interval | {ninety:.2f} {model.unit_}, for a {model.known_side} without errors of its own |

## Use

Rank drugs for samples that resemble the training samples, for research. Predicted differences are small beside the
differences between drugs: read a prediction beside the drug's own mean, and `cellixir response benchmark` for how
well the question can be answered at all.

## Limits

Not for clinical decisions. Cell lines are not patients. `typical_error` is the root mean square error on held-out
rows of the training data; samples unlike those, flagged in the column `in_domain`, may be missed by more. The training
data keep their own terms (GDSC: no commercial use).
"""
