"""Every generator, by name."""

from __future__ import annotations

import inspect
from difflib import get_close_matches
from importlib import import_module
from typing import TYPE_CHECKING, Any

from cellixir.exceptions import ConfigurationError
from cellixir.synthesis.generator import Generator

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

#: Module and class of each; imported when asked for, since the networks bring torch along.
GENERATORS = {
    "gaussian": ("gaussian", "GaussianGenerator"),
    "copula": ("copula", "CopulaGenerator"),
    "vae": ("vae", "VAEGenerator"),
    "cvae": ("vae", "ConditionalVAEGenerator"),
    "gan": ("gan", "GANGenerator"),
    "wgan-gp": ("wgan", "WGANGPGenerator"),
}


def generator_class(name: str) -> type[Generator]:
    """Class of a generator.

    Raises
    ------
    ConfigurationError
        If there is none of this name; says which is near.
    """
    if name not in GENERATORS:
        message = f"there is no generator {name!r}{_nearest(name, GENERATORS)}; choose among {', '.join(GENERATORS)}"
        raise ConfigurationError(message)
    module, class_name = GENERATORS[name]
    found: type[Generator] = getattr(import_module(f"cellixir.synthesis.{module}"), class_name)
    return found


def make_generator(name: str, **settings: Any) -> Generator:
    """Generator that has not been fitted.

    Parameters
    ----------
    name
        One of `GENERATORS`.
    settings
        Parameters of its class.

    Returns
    -------
    Generator
        Of the class that the name stands for.

    Raises
    ------
    ConfigurationError
        If there is no such generator or setting, or a value is not possible; says which name is near.

    Examples
    --------
    >>> make_generator("gaussian", seed=1)
    GaussianGenerator(seed=1)
    """
    kind = generator_class(name)
    known = [setting for setting in inspect.signature(kind).parameters]
    for setting in settings:
        if setting not in known:
            near = _nearest(setting, known)
            message = f"the generator {name!r} has no setting {setting!r}{near}; it has {', '.join(known)}"
            raise ConfigurationError(message)
    return kind(**settings)


def load_generator(path: Path | str) -> Generator:
    """Fitted generator of a bundle, whichever it is.

    Parameters
    ----------
    path
        Folder that ``save`` of a generator wrote.

    Returns
    -------
    Generator
        Of the class that the bundle names, ready to sample from.

    Raises
    ------
    BundleError
        If there is no bundle, it is damaged, or it is not one of a generator.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> real = np.random.default_rng(0).normal(size=(20, 4))
    >>> load_generator(make_generator("gaussian", seed=1).fit(real).save(tempfile.mkdtemp()))
    GaussianGenerator(seed=1)
    """
    return Generator.load(path)


def _nearest(name: str, known: Collection[str]) -> str:
    close = get_close_matches(name, known, n=1, cutoff=0.5)
    return f" (did you mean {close[0]!r}?)" if close else ""
