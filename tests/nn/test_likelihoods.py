"""Likelihoods: against SciPy and formulas written out, gradients against finite differences, extreme values."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import integrate, stats
from scipy.special import expit, log_softmax

from cellixir.nn.likelihoods import (
    Counts,
    bernoulli,
    gaussian,
    kl_of_gaussians,
    kl_to_standard,
    negative_binomial,
    zero_inflated,
)

N, GENES = 4, 6
#: Cell 1 and gene 2 have no count.
X = np.array([[0, 3, 0, 1, 0, 12], [0, 0, 0, 0, 0, 0], [7, 0, 0, 0, 2, 0], [1, 1, 0, 400, 0, 0]], dtype=float)


def counts(x: np.ndarray, dtype: torch.dtype = torch.float64) -> Counts:
    row, gene = (torch.from_numpy(where) for where in np.nonzero(x))
    return Counts(row, gene, torch.from_numpy(x[np.nonzero(x)]).to(dtype))


def parameters(seed: int = 0) -> dict[str, torch.Tensor]:
    draw = torch.Generator().manual_seed(seed)
    shapes = {"logits": (N, GENES), "log_library": (N,), "log_theta": (GENES,), "lost": (N, GENES)}
    found = {name: torch.randn(shape, generator=draw, dtype=torch.float64) for name, shape in shapes.items()}
    found["log_library"] = found["log_library"] + 2
    return {name: value.requires_grad_() for name, value in found.items()}


def nb_table(given: dict[str, torch.Tensor]) -> np.ndarray:
    """Log probability of each count as SciPy has it."""
    at = {name: value.detach().numpy() for name, value in given.items()}
    mean = np.exp(log_softmax(at["logits"], axis=1) + at["log_library"][:, None])
    theta = np.exp(at["log_theta"])
    return stats.nbinom.logpmf(X, theta, theta / (theta + mean))


def test_the_negative_binomial_is_that_of_scipy():
    given = parameters()
    found = negative_binomial(given["logits"], given["log_library"], given["log_theta"], counts(X))
    np.testing.assert_allclose(found.detach().numpy(), nb_table(given).sum(axis=1), rtol=1e-10)


def test_zero_inflation_is_a_mixture_of_lost_and_counted():
    given = parameters(1)
    found = zero_inflated(given["logits"], given["log_library"], given["log_theta"], given["lost"], counts(X))
    lost = expit(given["lost"].detach().numpy())
    table = np.log(lost * (X == 0) + (1 - lost) * np.exp(nb_table(given)))
    np.testing.assert_allclose(found.detach().numpy(), table.sum(axis=1), rtol=1e-10)


def test_probabilities_of_all_counts_add_up_to_one():
    x = np.arange(400.0)[:, None]
    logits, log_library = torch.zeros(400, 1, dtype=torch.float64), torch.full((400,), 2.0, dtype=torch.float64)
    log_theta, lost = torch.zeros(1, dtype=torch.float64), torch.full((400, 1), -0.5, dtype=torch.float64)
    for found in (
        negative_binomial(logits, log_library, log_theta, counts(x)),
        zero_inflated(logits, log_library, log_theta, lost, counts(x)),
    ):
        assert float(found.exp().sum()) == pytest.approx(1, abs=1e-9)


def test_gradients_by_hand_are_those_of_finite_differences():
    given = parameters(2)
    three = tuple(given[name] for name in ("logits", "log_library", "log_theta"))
    assert torch.autograd.gradcheck(lambda *p: negative_binomial(*p, counts(X)), three)
    nothing = counts(np.zeros_like(X))
    assert torch.autograd.gradcheck(lambda *p: negative_binomial(*p, nothing), three)
    assert torch.autograd.gradcheck(lambda *p: zero_inflated(*p, counts(X)), (*three, given["lost"]))


def test_the_order_in_which_counts_are_listed_changes_nothing():
    given, listed = parameters(3), counts(X)
    order = torch.randperm(len(listed.value), generator=torch.Generator().manual_seed(0))
    three = [given[name] for name in ("logits", "log_library", "log_theta")]
    shuffled = Counts(*(part[order] for part in listed))
    torch.testing.assert_close(negative_binomial(*three, shuffled), negative_binomial(*three, listed))


@pytest.mark.parametrize("log_theta", [-8.0, 0.0, 8.0])
@pytest.mark.parametrize("log_library", [0.0, 9.0])
def test_extreme_values_stay_finite_in_single_precision(log_theta, log_library):
    logits = torch.zeros(3, 4)
    logits[0, 1], logits[1] = -60, torch.tensor([60.0, -60, 0, 0])
    x = np.array([[0, 10_000, 0, 1], [0, 10_000, 3, 0], [0, 0, 0, 0]], dtype=np.float32)
    given = [logits, torch.full((3,), log_library), torch.full((4,), log_theta), torch.tensor([[40.0, -40, 0, 5]] * 3)]
    given = [value.clone().requires_grad_() for value in given]
    for found in (
        negative_binomial(*given[:3], counts(x, torch.float32)),
        zero_inflated(*given, counts(x, torch.float32)),
    ):
        assert torch.isfinite(found).all()
        assert (found <= 1e-3).all()  # probabilities
        for gradient in torch.autograd.grad(found.sum(), given, allow_unused=True):
            assert gradient is None or torch.isfinite(gradient).all()


def test_single_precision_agrees_with_double():
    given = parameters(4)
    three = [given[name] for name in ("logits", "log_library", "log_theta")]
    single = negative_binomial(*(p.float() for p in three), counts(X, torch.float32))
    torch.testing.assert_close(single.double(), negative_binomial(*three, counts(X)), rtol=1e-5, atol=1e-4)


def test_the_gaussian_is_that_of_scipy():
    rng = np.random.default_rng(0)
    mean, x, log_sd = rng.normal(size=(5, 3)), rng.normal(size=(5, 3)), rng.normal(size=3)
    found = gaussian(torch.from_numpy(mean), torch.from_numpy(log_sd), torch.from_numpy(x))
    np.testing.assert_allclose(found.numpy(), stats.norm.logpdf(x, mean, np.exp(log_sd)).sum(axis=1))


def test_the_bernoulli_is_that_of_scipy_and_bears_certainty():
    rng = np.random.default_rng(0)
    logits, x = rng.normal(size=(5, 3)), rng.integers(0, 2, (5, 3))
    found = bernoulli(torch.from_numpy(logits), torch.from_numpy(x.astype(float)))
    np.testing.assert_allclose(found.numpy(), stats.bernoulli.logpmf(x, expit(logits)).sum(axis=1))
    sure = bernoulli(torch.tensor([[90.0, -90.0]]), torch.tensor([[0.0, 1.0]]))
    assert float(sure) == pytest.approx(-180)


def test_kl_divergences_have_their_closed_forms():
    zero = torch.zeros(1, dtype=torch.float64)
    assert float(kl_to_standard(zero, zero)) == 0
    # KL(N(m, s²) || N(0, 1)) = (m² + s² - 1) / 2 - log s
    mean, sd = torch.tensor([1.5], dtype=torch.float64), 0.3
    found = float(kl_to_standard(mean, torch.tensor([2 * math.log(sd)], dtype=torch.float64)))
    assert found == pytest.approx((1.5**2 + sd**2 - 1) / 2 - math.log(sd))
    one = torch.randn(7, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(kl_of_gaussians(one, -one, zero, zero), kl_to_standard(one, -one))
    torch.testing.assert_close(kl_of_gaussians(one, -one, one, -one), torch.zeros(7, dtype=torch.float64))


def test_kl_of_two_gaussians_is_the_integral():
    def integrand(x: float) -> float:
        return stats.norm.pdf(x, 0.5, 0.8) * (stats.norm.logpdf(x, 0.5, 0.8) - stats.norm.logpdf(x, -1, 1.7))

    given = [torch.tensor([v], dtype=torch.float64) for v in (0.5, 2 * math.log(0.8), -1, 2 * math.log(1.7))]
    assert float(kl_of_gaussians(*given)) == pytest.approx(integrate.quad(integrand, -12, 12)[0], rel=1e-6)
