"""What a drug does to a cell: honest models from expression and genomic data to a served prediction."""

from __future__ import annotations

from importlib.metadata import version as _version
from typing import TYPE_CHECKING

from cellixir.doors import doors

if TYPE_CHECKING:
    from cellixir import embedding, perturbation, response, synthesis, tables
    from cellixir.data.gctx.read import read_gctx
    from cellixir.data.gctx.write import write_gctx
    from cellixir.data.gene_sets import read_gene_sets
    from cellixir.data.inputs import read_inputs
    from cellixir.data.response_data import ResponseData
    from cellixir.data.simulate.kinds import simulate
    from cellixir.embedding.pca import PCA
    from cellixir.embedding.vae import VAE
    from cellixir.estimator import load
    from cellixir.response.network.predictor import ResponsePredictor
    from cellixir.runs import read_manifest
    from cellixir.runs.validation import cross_validate, grid_search
    from cellixir.sources.expression import read_expression
    from cellixir.sources.gdsc import load_gdsc_v17
    from cellixir.synthesis.copula import CopulaGenerator
    from cellixir.synthesis.gan import GANGenerator
    from cellixir.synthesis.gaussian import GaussianGenerator
    from cellixir.synthesis.vae import ConditionalVAEGenerator, VAEGenerator
    from cellixir.synthesis.wgan import WGANGPGenerator

__version__ = _version("cellixir")

__all__ = [
    "PCA",
    "VAE",
    "ConditionalVAEGenerator",
    "CopulaGenerator",
    "GANGenerator",
    "GaussianGenerator",
    "ResponseData",
    "ResponsePredictor",
    "VAEGenerator",
    "WGANGPGenerator",
    "__version__",
    "cross_validate",
    "embedding",
    "grid_search",
    "load",
    "load_gdsc_v17",
    "perturbation",
    "read_expression",
    "read_gctx",
    "read_gene_sets",
    "read_inputs",
    "read_manifest",
    "response",
    "simulate",
    "synthesis",
    "tables",
    "write_gctx",
]

_HOMES = {
    "ConditionalVAEGenerator": "cellixir.synthesis.vae",
    "CopulaGenerator": "cellixir.synthesis.copula",
    "GANGenerator": "cellixir.synthesis.gan",
    "GaussianGenerator": "cellixir.synthesis.gaussian",
    "PCA": "cellixir.embedding.pca",
    "ResponseData": "cellixir.data.response_data",
    "ResponsePredictor": "cellixir.response.network.predictor",
    "VAE": "cellixir.embedding.vae",
    "VAEGenerator": "cellixir.synthesis.vae",
    "WGANGPGenerator": "cellixir.synthesis.wgan",
    "cross_validate": "cellixir.runs.validation",
    "embedding": "cellixir.embedding",
    "grid_search": "cellixir.runs.validation",
    "load": "cellixir.estimator",
    "load_gdsc_v17": "cellixir.sources.gdsc",
    "perturbation": "cellixir.perturbation",
    "read_expression": "cellixir.sources.expression",
    "read_gctx": "cellixir.data.gctx.read",
    "read_gene_sets": "cellixir.data.gene_sets",
    "read_inputs": "cellixir.data.inputs",
    "read_manifest": "cellixir.runs",
    "response": "cellixir.response",
    "simulate": "cellixir.data.simulate.kinds",
    "synthesis": "cellixir.synthesis",
    "tables": "cellixir.tables",
    "write_gctx": "cellixir.data.gctx.write",
}
__getattr__, __dir__ = doors(__name__, _HOMES, ["__version__"])
