"""Work spread over the cores.

Judging candidates is a long row of short numpy calls, between which threads of one interpreter wait
for each other; processes do not. They are forked, so that the work need not be importable or
picklable; where a system cannot fork safely, threads do the work.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from multiprocessing.connection import wait
from typing import Any

Submit = Callable[..., "Future[Any]"]


def cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@contextmanager
def spread(work: Callable[..., Any], workers: int, threads: bool = False) -> Iterator[Submit]:
    """Yield a function that starts `work` on some arguments and returns its future.

    One worker works at once, in this process. What is still waiting at the end is given up.
    threads: for work that does not hold the interpreter's lock.
    """
    if workers == 1:
        yield lambda *arguments: _done(work, arguments)
        return
    pool: Executor
    if sys.platform == "linux" and not threads:
        fork = multiprocessing.get_context("fork")
        pool = ProcessPoolExecutor(workers, fork, initializer=_adopt, initargs=(work,))
        submit: Submit = lambda *arguments: pool.submit(_call, *arguments)  # noqa: E731
    else:
        pool = ThreadPoolExecutor(workers)
        submit = lambda *arguments: pool.submit(work, *arguments)  # noqa: E731
    try:
        yield submit
    finally:
        pool.shutdown(cancel_futures=True)


def _done(work: Callable[..., Any], arguments: tuple[Any, ...]) -> Future[Any]:
    future: Future[Any] = Future()
    future.set_result(work(*arguments))
    return future


_work: Callable[..., Any]


def _adopt(work: Callable[..., Any]) -> None:
    """Make a new process a worker: it leaves interrupts to its parent, and does not outlive it."""
    global _work
    _work = work
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent.sentinel,), daemon=True).start()


def _end_with(sentinel: int) -> None:
    wait([sentinel])
    os._exit(1)


def _call(*arguments: Any) -> Any:
    return _work(*arguments)
