"""Options and data that do not go together, refused before anything is fitted or written."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cellixir.data.audit.identity import molecule_groups
from cellixir.data.drugs import morgan_fingerprints
from cellixir.data.gene_layout import pathway_tokens
from cellixir.data.preprocess.grammar import chains_of_views, parse_preprocess
from cellixir.data.tables import as_text
from cellixir.exceptions import ConfigurationError, DataError, counted, examples
from cellixir.response.models.drug_features import DrugFeatures
from cellixir.response.network.encoders import DrugEncoding, encoders_of_views
from cellixir.response.network.predictor import ResponsePredictor

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cellixir.data.response_data import ResponseData
    from cellixir.response.cross_validation.models import ModelSpec, Options
    from cellixir.response.network.architecture import Architecture
    from cellixir.response.network.encoders import GeneSets


def check_options(data: ResponseData, specs: Sequence[ModelSpec], split: str, options: Options) -> list[str]:
    """What encoders lack of some drugs, in words; options that a model cannot follow with these data are refused.

    Raises
    ------
    ConfigurationError
        If a view that is named is not there, an encoder of drugs has nothing to read, or only networks could follow.
    DataError
        If all responses are equal.
    GeneMismatch
        If gene sets hold no feature of a view.
    InvalidValues
        If a SMILES does not parse.
    """
    if np.ptp(data.response) == 0:
        message = f"every response is {data.response[0]:g}: there is nothing to predict; give responses that differ"
        raise DataError(message)
    if options.preprocess.strip():
        chains_of_views(parse_preprocess(options.preprocess), data.views)
    made = [spec.make(split, 0, options) for spec in specs if spec.kind == "network"]
    shapes = [model.preset.architecture for model in made if isinstance(model, ResponsePredictor)]
    if not shapes:
        _refuse_idle(options)
    lacking = [note for shape in shapes for note in check_architecture(data, shape)]
    notes = [*_twin_notes(data, split), *(lacking or _structure_notes(data))]
    if any(spec.kind in ("tree", "network") for spec in specs):
        check_structures(data)
    if options.gene_sets is not None:
        check_gene_sets(data, shapes, options.gene_sets)
    return list(dict.fromkeys(notes))


def _structure_notes(data: ResponseData) -> list[str]:
    """Drugs without a structure where others have one."""
    drugs = data.drugs.iloc[np.unique(data.drug_index)]
    lacking = drugs.index[as_text(drugs["smiles"]).isna()] if "smiles" in drugs else drugs.index[:0]
    few = 0 < len(lacking) < len(drugs)
    return [f"{len(lacking):,} of {len(drugs):,} drugs have no SMILES: {examples(lacking)}"] if few else []


def _twin_notes(data: ResponseData, split: str) -> list[str]:
    """Ids that are one molecule, where molecules are dealt out."""
    drugs = data.drugs.iloc[np.unique(data.drug_index)]
    groups = drugs.index.to_series().groupby(molecule_groups(drugs)).apply(list)
    twins = [" = ".join(map(str, ids)) for ids in groups if len(ids) > 1] if split in ("LPO", "LDO") else []
    why = "by structure without salt and stereochemistry, PubChem id or name: never parted"
    return [f"{counted(len(twins), 'molecule')} under several ids ({examples(twins)}), {why}"] if twins else []


def check_architecture(data: ResponseData, shape: Architecture) -> list[str]:
    """What the encoder of drugs lacks of some, in words.

    An encoder of a view that is not there, or of drugs of which nothing is known that it reads, is refused.
    """
    encoders_of_views(shape.sample_encoder, list(data.views))
    drugs = data.drugs.iloc[np.unique(data.drug_index)]
    return DrugEncoding.fit(DrugFeatures(), drugs, shape.drug_encoder).notes(drugs)


def check_structures(data: ResponseData) -> None:
    """Refuse a SMILES that does not parse, of a drug that was measured."""
    if "smiles" in data.drugs:
        morgan_fingerprints(as_text(data.drugs["smiles"].iloc[np.unique(data.drug_index)]))


def check_gene_sets(data: ResponseData, shapes: Sequence[Architecture], gene_sets: GeneSets) -> None:
    """Refuse gene sets that no transformer reads, or that hold no feature of the view that it reads."""
    chosen = [encoders_of_views(shape.sample_encoder, list(data.views)) for shape in shapes]
    read = {view for encoders in chosen for view, encoder in encoders.items() if encoder == "transformer"}
    if not read:
        message = "--gene-sets are tokens of a transformer, and no view has one; add --encoder transformer"
        raise ConfigurationError(message)
    for view in sorted(read):
        pathway_tokens(list(data.views[view].var_names), gene_sets)


def _refuse_idle(options: Options) -> None:
    given = {
        "--interval": options.interval is not None,
        "--encoder": options.encoder != "dense",
        "--drug-encoder": options.drug_encoder != "fingerprint",
        "--gene-sets": options.gene_sets is not None,
    }
    idle = [name for name, there in given.items() if there]
    if idle:
        message = f"{idle[0]} is for networks, and none is to be run; add network to --models, or leave {idle[0]} out"
        raise ConfigurationError(message)
