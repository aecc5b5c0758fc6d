r"""Likelihoods of the data of a cell, given the output of a decoder.

Counts are 90 to 95 % zeros, and a zero needs neither of the two gamma functions of the negative binomial: with mean
:math:`\mu` and inverse dispersion :math:`\theta` its log probability is :math:`-\theta\log(1 + \mu/\theta)`. So
that term is taken over the whole table and everything else over the counts that are there, with gradients written out
by hand: two passes over the table a step where automatic differentiation makes dozens.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch.nn import functional

if TYPE_CHECKING:
    from torch import Tensor

LOG_2PI = math.log(2 * math.pi)
#: Below this a share of a cell's counts is rounding: its logarithm stays a number.
TINY = 1e-30


class Counts(NamedTuple):
    """Counts above zero of some cells: row, column (gene) and value of each, shape ``(n_counts,)``."""

    row: Tensor
    gene: Tensor
    value: Tensor


def negative_binomial(logits: Tensor, log_library: Tensor, log_theta: Tensor, counts: Counts) -> Tensor:
    """Log probability of each cell's counts, shape ``(n,)``.

    The mean is ``library * softmax(logits)``; parametrisation by mean and inverse dispersion as in scVI (Lopez et al.,
    Nature Methods 2018, eq. 3).

    Parameters
    ----------
    logits
        Shape ``(n, n_genes)``.
    log_library, log_theta
        Shapes ``(n,)`` and ``(n_genes,)``, natural logarithms.
    """
    found: Tensor = _NegativeBinomial.apply(logits, log_library, log_theta, *counts)  # type: ignore[no-untyped-call]
    return found


class _NegativeBinomial(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, logits: Tensor, log_library: Tensor, log_theta: Tensor, row: Tensor, gene: Tensor, x: Tensor
    ) -> Tensor:
        theta = log_theta.exp()
        share = logits.softmax(dim=1)
        ratio = share * log_library.exp()[:, None]
        ratio.div_(theta)  # mean over theta
        log1p = ratio.log1p()
        place = torch.add(gene, row, alpha=logits.shape[1])
        ratio_x, log1p_x = (table.view(-1).index_select(0, place) for table in (ratio, log1p))
        # x log(mean / (mean + theta)) = x (log ratio - log(1 + ratio))
        seen = ratio_x.clamp_min(TINY).log_().sub_(log1p_x).mul_(x)
        theta_x = theta.index_select(0, gene)
        seen += torch.lgamma(x + theta_x).sub_(torch.lgamma(theta).index_select(0, gene)).sub_(torch.lgamma(x + 1))
        found = torch.mv(log1p, theta).neg_()
        found.index_add_(0, row, seen)
        part = ratio.div_(ratio + 1)  # mean / (mean + theta)
        by_theta = log1p.sub_(part)
        ctx.save_for_backward(share, part, by_theta, theta, theta_x, row, gene, x, x / (1 + ratio_x), place)
        return found

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        share, part, zeros_by_theta, theta, theta_x, row, gene, x, x_rest, place = ctx.saved_tensors
        seen = torch.digamma(x + theta_x) - torch.digamma(theta).index_select(0, gene) - x_rest / theta_x
        by_theta = torch.mv(zeros_by_theta.t(), grad).neg_()
        by_theta.index_add_(0, gene, seen.mul_(grad.index_select(0, row)))
        by_log_mean = part * -theta
        by_log_mean.view(-1).index_add_(0, place, x_rest)
        total = by_log_mean.sum(dim=1)
        by_logits = by_log_mean.addcmul_(share, total[:, None], value=-1.0).mul_(grad[:, None])
        return by_logits, total * grad, by_theta.mul_(theta), None, None, None


def zero_inflated(
    logits: Tensor, log_library: Tensor, log_theta: Tensor, dropout_logits: Tensor, counts: Counts
) -> Tensor:
    """Log probability of each cell's counts where some are lost, shape ``(n,)`` (Lopez et al. 2018, eq. 4).

    Parameters
    ----------
    dropout_logits
        Logits of the probability that a count was lost, shape ``(n, n_genes)``.
    """
    theta = log_theta.exp()
    zero = -theta * torch.log1p(torch.softmax(logits, dim=1) * log_library.exp()[:, None] / theta)
    # log(p + (1 - p) e^zero) with p the sigmoid of the dropout logits
    if_zero = functional.softplus(zero - dropout_logits) - functional.softplus(-dropout_logits)
    place = counts.row * logits.shape[1] + counts.gene
    kept = -dropout_logits - functional.softplus(-dropout_logits)
    correction = (kept + zero - if_zero).view(-1)[place]
    by_cell = if_zero.sum(dim=1) - zero.sum(dim=1)
    by_cell = by_cell.index_add(0, counts.row, correction)
    return by_cell + negative_binomial(logits, log_library, log_theta, counts)


def gaussian(mean: Tensor, log_sd: Tensor, x: Tensor) -> Tensor:
    """Log density of each cell's values, shape ``(n,)``; ``log_sd`` of each gene, shape ``(n_genes,)``."""
    residual = (x - mean) * torch.exp(-log_sd)
    return -0.5 * residual.square().sum(dim=1) - log_sd.sum() - 0.5 * x.shape[1] * LOG_2PI


def bernoulli(logits: Tensor, x: Tensor) -> Tensor:
    """Log probability of each cell's zeros and ones, shape ``(n,)``."""
    return -functional.binary_cross_entropy_with_logits(logits, x, reduction="none").sum(dim=1)


def kl_to_standard(mean: Tensor, log_variance: Tensor) -> Tensor:
    """KL divergence of ``N(mean, variance)`` from ``N(0, 1)`` by dimension, the shape of ``mean`` (Kingma 2014, B)."""
    return 0.5 * (mean.square() + log_variance.exp() - log_variance - 1)


def kl_of_gaussians(mean: Tensor, log_variance: Tensor, to_mean: Tensor, to_log_variance: Tensor) -> Tensor:
    """KL divergence of one Gaussian from another, by dimension."""
    spread = (log_variance - to_log_variance).exp()
    return 0.5 * (to_log_variance - log_variance + spread + (mean - to_mean).square() / to_log_variance.exp() - 1)
