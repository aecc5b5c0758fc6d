"""A bundle holds all of a VAE; a checkpoint goes on to the same bits, and only for the same fit."""

from __future__ import annotations

from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest

from cellixir.embedding.vae import VAE
from cellixir.exceptions import ConfigurationError

SMALL = {"latent": 4, "hidden": 16, "max_epochs": 3, "device": "cpu"}


def test_a_bundle_embeds_to_identical_numbers(cells, model, tmp_path):
    loaded = VAE.load(model.save(tmp_path / "bundle"))
    assert np.array_equal(loaded.transform(cells), model.transform(cells))
    assert np.array_equal(loaded.elbo(cells), model.elbo(cells))
    pd.testing.assert_frame_equal(loaded.loadings(), model.loadings())
    pd.testing.assert_frame_equal(loaded.history_, model.history_)
    assert loaded.card() == model.card()


def test_a_bundle_keeps_head_batches_and_pathways(cells, tmp_path):
    sets = {"one": list(cells.var_names[:20]), "two": list(cells.var_names[30:60])}
    fitted = VAE(**SMALL, batch_key="batch", label_key="cell_type", gene_sets=sets, library="learned").fit(cells)
    loaded = VAE.load(fitted.save(tmp_path / "bundle"))
    pd.testing.assert_frame_equal(loaded.predict(cells), fitted.predict(cells))
    pd.testing.assert_frame_equal(loaded.embed(cells), fitted.embed(cells))
    assert np.array_equal(loaded.elbo(cells), fitted.elbo(cells))


def test_paths_may_be_text(cells, tmp_path: Path):
    fitted = VAE(**SMALL | {"max_epochs": 1}).fit(cells, checkpoint=tmp_path / "run")
    assert (tmp_path / "run").is_file()
    assert VAE.load(str(fitted.save(str(tmp_path / "bundle")))).genes_ == fitted.genes_


class Killed(Exception):
    """Stands for the end of the process."""


@pytest.mark.parametrize("settings", [{}, {"kl_warmup": 0.5, "label_key": "cell_type"}])
def test_a_killed_run_goes_on_to_the_same_bits(cells, tmp_path, settings):
    asked = SMALL | {"max_epochs": 4} | settings

    def kill(member, epoch, n_epochs) -> None:
        assert n_epochs == 4
        if epoch.epoch == 1:
            raise Killed

    with pytest.raises(Killed):
        VAE(**asked).fit(cells, checkpoint=tmp_path / "run", on_epoch=kill)
    seen = []
    resumed = VAE(**asked).fit(
        cells, checkpoint=tmp_path / "run", on_epoch=lambda _, epoch, n: seen.append(epoch.epoch)
    )
    whole = VAE(**asked).fit(cells)
    assert seen == [2, 3]
    arrays = whole.state()[0]
    assert all(np.array_equal(array, arrays[name]) for name, array in resumed.state()[0].items())
    pd.testing.assert_frame_equal(resumed.history_.drop(columns="seconds"), whole.history_.drop(columns="seconds"))
    with pytest.raises(ConfigurationError, match="other settings or data"):
        VAE(**asked | {"hidden": 17}).fit(cells, checkpoint=tmp_path / "run")


def test_a_checkpoint_of_other_labels_is_refused(tmp_path: Path) -> None:
    cells = ad.AnnData(np.random.default_rng(0).poisson(2.0, (60, 20)).astype(np.float32))
    cells.obs["type"] = ["a", "b"] * 30
    settings = {"latent": 2, "hidden": 8, "max_epochs": 2, "label_key": "type"}
    VAE("nb", **settings).fit(cells, checkpoint=tmp_path / "checkpoint")
    cells.obs["type"] = ["a"] * 30 + ["b"] * 30
    with pytest.raises(ConfigurationError, match="other settings or data"):
        VAE("nb", **settings).fit(cells, checkpoint=tmp_path / "checkpoint")
