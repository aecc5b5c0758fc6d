"""Matrices of the Connectivity Map: GCT text (1.2, 1.3) and GCTX (HDF5), read by parts and written."""

from cellixir.data.gctx.kind import gct_kind
from cellixir.data.gctx.read import read_gctx
from cellixir.data.gctx.write import write_gctx

__all__ = ["gct_kind", "read_gctx", "write_gctx"]
