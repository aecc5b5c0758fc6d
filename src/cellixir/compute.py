"""Independent pieces of work, in this process or in several.

The only place that may later know a cluster (Dask): who has a list of independent calls comes here.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from cellixir.exceptions import ConfigurationError

T = TypeVar("T")


@dataclass(frozen=True)
class Outcome(Generic[T]):
    """What one call gave back, or the error that it raised; ``index`` is its place in the list."""

    index: int
    value: T | None = None
    error: Exception | None = None


def compute(calls: Sequence[Callable[[], T]], *, jobs: int = 1) -> Iterator[Outcome[T]]:
    """Outcome of each call, as they end; an error of one call ends no other.

    Parameters
    ----------
    calls
        Functions without arguments. For several processes they and what they give back must be picklable
        (closures are: cloudpickle takes them along with their data).
    jobs
        Processes at a time; 1 is this process, one call after the other.

    Raises
    ------
    ConfigurationError
        If ``jobs`` is below 1.

    Examples
    --------
    >>> [outcome.value for outcome in compute([lambda: 1 + 1, lambda: 2 + 2])]
    [2, 4]
    """
    if jobs < 1:
        message = f"--jobs {jobs} is no number of processes; use 1 or more"
        raise ConfigurationError(message)
    if jobs == 1 or len(calls) < 2:
        return (_outcome(index, call) for index, call in enumerate(calls))
    return _in_processes(calls, min(jobs, len(calls)))


def _outcome(index: int, call: Callable[[], T]) -> Outcome[T]:
    try:
        return Outcome(index, call())
    except Exception as error:  # an interrupt is no Exception and ends everything
        return Outcome(index, error=error)


def _in_processes(calls: Sequence[Callable[[], T]], jobs: int) -> Iterator[Outcome[T]]:
    from joblib import Parallel, delayed

    # joblib says so from a thread of its own and starts another process; as an error (-W error) it would end that
    # thread, and the results would be waited for without end
    warnings.filterwarnings("ignore", "A worker stopped while some jobs were given", UserWarning)
    # one thread a process: two processes with two threads each would wait for one another on two cores
    pool = Parallel(n_jobs=jobs, return_as="generator_unordered", inner_max_num_threads=1)
    yield from pool(delayed(_outcome)(index, call) for index, call in enumerate(calls))
