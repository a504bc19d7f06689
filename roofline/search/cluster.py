"""Work spread over many machines by Dask: an optional extra, `pip install 'roofline[cluster]'`.

A cluster offers what `workers.spread` does for one machine: a function that starts some work and
returns its future. Dask runs the work of a worker that died again on another, so that nothing is
lost; the order of results is the caller's, so that nothing depends on who did what.
"""

from __future__ import annotations

import logging
import pickle
import platform
import re
import socket
import time
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import BrokenExecutor
from contextlib import contextmanager
from importlib import import_module
from typing import Any

from roofline.search.workers import cores, spread
from spec_files import SpecError, short

LOCAL = "local"
PATIENCE = 5.0
"""Seconds that a scheduler has to answer, and then to name a worker."""
_LOOK_AGAIN = 5.0  # seconds after which the number of workers may have changed
_ADDRESS = re.compile(r"(tcp|tls)://(\[[^\]]+\]|[^\s:/]+):\d+/?")


class ClusterLost(BrokenExecutor):
    """The scheduler is gone, or its workers died again and again; the sentence says which."""


class Cluster:
    """A Dask cluster that this process is connected to; see `connected`."""

    def __init__(self, client: Any, where: str):
        self.client, self.where = client, where
        self._width, self._looked = 1, -_LOOK_AGAIN

    @property
    def width(self) -> int:
        """How many tasks can run at once, at least one; workers may come and go."""
        if time.monotonic() - self._looked >= _LOOK_AGAIN:
            with self._named():
                self._width = max(1, sum(self.client.nthreads().values()))
            self._looked = time.monotonic()
        return self._width

    @contextmanager
    def spread(self, work: Callable[..., Any]) -> Iterator[Callable[..., Any]]:
        """Yield a function that starts `work` on some arguments and returns its future.

        The work is sent once, as a task of its own, which Dask repeats wherever it was lost. What
        is still waiting at the end is given up. Raises ClusterLost where tasks killed several
        workers, or the scheduler is gone.
        """
        # By cloudpickle, which comes with Dask: a function of a script or notebook goes by value.
        packed = import_module("cloudpickle").dumps(work)
        with self._named():
            # Not pure: another search of the same problem is other work.
            shared = self.client.submit(pickle.loads, packed, pure=False)
            yield lambda *arguments: _Result(
                self, self.client.submit(_call, shared, *arguments, pure=False)
            )

    @contextmanager
    def _named(self) -> Iterator[None]:
        """Say in one sentence what became of a cluster."""
        from distributed.client import FutureCancelledError
        from distributed.comm.core import CommClosedError
        from distributed.scheduler import KilledWorker

        try:
            yield
        except KilledWorker as killed:
            raise ClusterLost(
                f"a task ended {killed.allowed_failures + 1} workers of {self.where}, one after "
                "another: they may have too little memory"
            ) from None
        except (FutureCancelledError, CommClosedError, TimeoutError) as lost:
            raise ClusterLost(f"lost the scheduler {self.where} ({lost})") from None


class _Result:
    """A future of Dask; the only thing that is asked of it is its result."""

    def __init__(self, cluster: Cluster, future: Any):
        self._cluster, self._future = cluster, future

    def result(self) -> Any:
        with self._cluster._named():
            return self._future.result()


def _call(work: Callable[..., Any], *arguments: Any) -> Any:
    return work(*arguments)


@contextmanager
def connected(scheduler: str | None, workers: int | None = None) -> Iterator[Cluster | None]:
    """Yield a cluster: that of a scheduler's address, or one of this machine's cores for `local`.

    None yields None. workers: of a local cluster, one process each. Raises SpecError within seconds
    where Dask is not installed, no scheduler answers, it has no workers, or they run another
    version of Python, Dask, numpy or this package.
    """
    if scheduler is None:
        yield None
        return
    if scheduler != LOCAL and not _ADDRESS.fullmatch(scheduler):
        raise SpecError(
            f"--scheduler: read {short(scheduler)} where {LOCAL!r} or an address belongs, e.g. "
            "tcp://192.168.0.5:8786"
        )
    try:
        distributed = import_module("distributed")
    except ModuleNotFoundError as absent:
        raise SpecError(
            f"--scheduler needs Dask, and {absent.name} is not installed: "
            "pip install 'roofline[cluster]'"
        ) from None
    with _quiet():
        if scheduler == LOCAL:
            with (
                _processes(distributed, workers or cores()) as machines,
                distributed.Client(machines) as client,
            ):
                yield Cluster(client, "of this machine")
            return
        client = _client(distributed.Client, scheduler)
        with client:
            _check_workers(client, scheduler)
            yield Cluster(client, scheduler)


def spread_tasks(
    function: Callable[..., Any],
    arguments: Iterable[tuple[Any, ...]],
    scheduler: str | Cluster | None = None,
    workers: int | None = None,
) -> Iterator[Any]:
    """Yield function(*each) for each of some arguments, in their order.

    scheduler: as of `connected`, or a cluster; None spreads over workers of this machine, by
    default one a core. Two tasks a worker are under way at any time, and so many results are held
    at most; arguments are taken as late as that allows, so they may depend on results. On a cluster
    the function and its arguments must pickle.
    """
    here = max(1, workers or cores())
    if isinstance(scheduler, Cluster):
        yield from _in_order(scheduler.spread(function), arguments, lambda: scheduler.width)
        return
    with connected(scheduler, workers) as cluster:
        if cluster is None:
            yield from _in_order(spread(function, here), arguments, lambda: here)
        else:
            yield from _in_order(cluster.spread(function), arguments, lambda: cluster.width)


def _in_order(
    spreading: Any, arguments: Iterable[tuple[Any, ...]], width: Callable[[], int]
) -> Iterator[Any]:
    waiting = iter(arguments)
    running: deque[Any] = deque()
    with spreading as submit:
        while True:
            while len(running) < 2 * width() and (each := next(waiting, None)) is not None:
                running.append(submit(*each))
            if not running:
                return
            yield running.popleft().result()


def _processes(distributed: Any, workers: int) -> Any:
    """Start worker processes on this machine; SpecError where they do not start."""
    try:
        return distributed.LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            dashboard_address=None,
            silence_logs=logging.CRITICAL,
        )
    except RuntimeError as failed:
        # A worker begins by importing the script that starts it, and must not start workers itself.
        raise SpecError(
            f"--scheduler: no worker process starts here ({failed}); a script of your own must "
            "start them under if __name__ == '__main__'"
        ) from None


def _client(client: Callable[..., Any], scheduler: str) -> Any:
    """Connect to a scheduler; SpecError where none answers."""
    protocol, _, rest = scheduler.rstrip("/").partition("://")
    host, _, port = rest.rpartition(":")
    try:
        # What refuses does so at once, where Dask would try again until its patience ends; and for
        # a greeting, the length of a message, Dask waits for ever or takes any number.
        with socket.create_connection((host.strip("[]"), int(port)), timeout=PATIENCE) as line:
            if protocol == "tcp" and not 0 < int.from_bytes(line.recv(8), "little") < 2**20:
                raise OSError("what listens there is none")
        return client(scheduler, timeout=PATIENCE)
    except (OSError, ValueError, TypeError, RuntimeError, ImportError, OverflowError) as failed:
        why = str(failed).partition("\n")[0] or type(failed).__name__
        raise SpecError(f"--scheduler: no Dask scheduler answers at {scheduler}: {why}") from None


def _check_workers(client: Any, scheduler: str) -> None:
    """Raise SpecError where a cluster has no workers, or such as would answer differently."""
    try:
        client.wait_for_workers(1, timeout=PATIENCE)
    except TimeoutError:
        raise SpecError(
            f"--scheduler: {scheduler} has no workers; start some: dask worker {scheduler}"
        ) from None
    ours = versions()
    try:
        theirs = client.run(versions)
    except Exception as failed:  # whatever a worker raises where the package is none or another
        why = str(failed).partition("\n")[0]
        raise SpecError(
            f"--scheduler: the workers of {scheduler} cannot run roofline {ours['roofline']}: {why}"
        ) from None
    for worker, found in theirs.items():
        for name, version in ours.items():
            if found.get(name) != version:
                raise SpecError(
                    f"--scheduler: worker {worker} has {name} {found.get(name)}, and here it is "
                    f"{version}; the front would not be the same"
                )


def versions() -> dict[str, str]:
    """Return the versions that must be the same on all machines, by name."""
    from importlib.metadata import version

    names = ("roofline", "numpy", "scipy", "dask", "distributed")
    return {"Python": platform.python_version()} | {name: version(name) for name in names}


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep Dask's log off the terminal: what matters of it is raised."""
    log = logging.getLogger("distributed")
    before = log.level
    log.setLevel(logging.CRITICAL + 1)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        log.setLevel(before)
