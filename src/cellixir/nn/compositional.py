"""A compositional VAE of perturbation effects (after CPA; Lotfollahi et al., Mol Syst Biol 2023)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import nn

from cellixir.nn.dropout import Dropout
from cellixir.nn.vae import VAENetwork, VAEShape

if TYPE_CHECKING:
    from torch import Tensor

    from cellixir.nn.vae import Posterior


@dataclass(frozen=True)
class CompositionalShape:
    """Sizes of a network.

    Parameters
    ----------
    vae
        Of the encoder of the control state and of the decoder.
    n_bits
        Width of a drug's fingerprint; 0 for none.
    n_drugs, n_lines
        Drugs and cell lines with a vector of their own; 0 for none.
    interaction
        Rank of what two drugs do beyond their sum; 0 for none.
    """

    vae: VAEShape
    n_bits: int = 0
    n_drugs: int = 0
    n_lines: int = 0
    interaction: int = 8


class Treatments(NamedTuple):
    """Drugs of the rows of a batch, one entry a drug: its row, number (-1 unknown), bits, and log10 dose."""

    row: Tensor
    drug: Tensor
    bits: Tensor
    dose: Tensor


class CompositionalVAE(nn.Module):
    """Control state + sum of drug effects, each with a dose curve + what two drugs do together, decoded to a change.

    The change of a gene is ``decode(z + shift) - decode(z)``: nothing changes without a drug.
    """

    def __init__(self, shape: CompositionalShape) -> None:
        super().__init__()
        self.shape = shape
        latent = shape.vae.latent
        self.vae = VAENetwork(shape.vae)
        self.drugs = nn.Embedding(shape.n_drugs + 1, latent, padding_idx=0)
        nn.init.zeros_(self.drugs.weight)
        if shape.n_bits:
            self.structure = nn.Sequential(Dropout(0.2), nn.Linear(shape.n_bits, 64), nn.ReLU(), nn.Linear(64, latent))
        self.curve = nn.Linear(latent, 2)  # log slope and log10 EC50 of a drug, about those of all
        self.slope, self.middle = nn.Parameter(torch.zeros(())), nn.Parameter(torch.tensor(-0.5))
        nn.init.zeros_(self.curve.weight)
        nn.init.zeros_(self.curve.bias)
        self.gain = nn.Linear(latent, latent)
        nn.init.zeros_(self.gain.weight)
        nn.init.zeros_(self.gain.bias)
        self.lines = nn.Embedding(shape.n_lines + 1, latent, padding_idx=0)
        nn.init.zeros_(self.lines.weight)
        if shape.interaction:
            self.sides = nn.Linear(latent, shape.interaction, bias=False)
            self.joint = nn.Linear(shape.interaction, latent, bias=False)
            nn.init.zeros_(self.joint.weight)

    def shift(self, z: Tensor, treated: Treatments, line: Tensor) -> Tensor:
        """Shift of each row's latent state by its drugs, shape ``(n, latent)``."""
        effect = self.drugs(treated.drug + 1)
        if self.shape.n_bits:
            effect = effect + self.structure(treated.bits)
        slope, middle = self.curve(effect).unbind(dim=1)
        reached = torch.sigmoid((self.slope + slope).clamp(-3, 3).exp() * 2.3 * (treated.dose - self.middle - middle))
        effect = reached[:, None] * effect
        total = torch.zeros_like(z).index_add(0, treated.row, effect)
        if self.shape.interaction:
            side = self.sides(effect)
            summed = z.new_zeros(len(z), side.shape[1]).index_add(0, treated.row, side)
            squares = z.new_zeros(len(z), side.shape[1]).index_add(0, treated.row, side.square())
            total = total + self.joint(summed.square() - squares)  # the products of different drugs
        return total * (1 + torch.tanh(self.gain(z) + self.lines(line + 1)))

    def change(self, z: Tensor, shift: Tensor) -> tuple[Tensor, Tensor]:
        """Change of each gene, and the control state decoded, each ``(n, n_genes)``."""
        both = torch.cat([z + shift, z])
        treated, control = self.vae.decode(both, both.new_ones(len(both), 1))[0].chunk(2)
        return treated - control, control

    def forward(self, control: Tensor, treated: Treatments, line: Tensor) -> tuple[Tensor, Tensor, Posterior]:
        """Change of each gene, the control state decoded, and its posterior; the mean of it when evaluating."""
        posterior = self.vae.encode(control)
        z = posterior.draw() if self.training else posterior.mean
        change, decoded = self.change(z, self.shift(z, treated, line))
        return change, decoded, posterior
