"""Do work in chunks on the workers of a cluster, in the order of the work and in bounded memory."""

from __future__ import annotations

import pickle
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import islice, takewhile
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

from swcl_cli import console
from swcl_cli.cluster.connecting import address_of, connected
from swcl_cli.cluster.terms import Terms, look_at, terms_of, unmet
from swcl_cli.errors import SwclError

if TYPE_CHECKING:
    from distributed import Client, Future

CHUNK = 16  # pieces: a chunk costs 2 to 7 ms of a core, most of it in the scheduler and the worker
AHEAD = 4  # chunks that may wait for each thread of a worker
NOTICE_SECONDS = 10.0  # without a result, after which it is looked whether any worker is left
Function = Callable[[list[Any]], list[Any]]
Lost = Callable[[Any, str], Any]  # what a piece becomes on which workers die, with the reason


class Cluster:
    """Do work on the workers of a cluster. All of a command's workers are checked, once, before they do any."""

    def __init__(self, client: Client, address: str, terms: Terms, step: str) -> None:
        self.client, self.terms, self.step = client, terms, step
        self.address = address
        self.number = 0
        self.is_gone = False  # the scheduler
        self.is_interrupted = False

    def require(self, files: Iterable[Path]) -> None:
        """Check all workers that are here. files: some that they have to see. Raises SwclError that names the host."""
        self.terms = replace(self.terms, files=look_at(files))
        self.wait_for_workers()
        answers = self.client.run(unmet, self.terms, on_error="return")
        for worker, answer in sorted(answers.items()):
            if isinstance(answer, OSError):
                continue  # it has ended meanwhile
            if isinstance(answer, Exception):
                raise SwclError(f"The worker {worker} can't run swcl {self.step}: {answer}.")
            if answer:
                raise SwclError(answer)

    def each(
        self, function: Function, work: Iterable[Any], lost: Lost | None = None, chunk: int = CHUNK
    ) -> Generator[Any]:
        """Yield the results of all pieces of work in their order. function: gives those of a chunk.

        lost: what a piece becomes on which, alone, workers die again and again; without it that is an error. Raises
        SwclError where the scheduler is gone, or a worker doesn't meet the terms.
        """
        pieces = iter(work)
        waiting: deque[tuple[Future[Any], list[Any]]] = deque()
        pace = _Pace(self)
        try:
            while True:
                while len(waiting) < AHEAD * pace.threads() and (part := list(islice(pieces, chunk))):
                    waiting.append((self._submit(function, part), part))
                if not waiting:
                    return
                for results in self._first_results([future for future, _ in waiting]):
                    found = self._one_by_one(function, waiting, lost) if results is None else results
                    waiting.popleft()
                    yield from found
        finally:
            if waiting:
                self.cancel([future for future, _ in waiting])

    def submit(self, function: Callable[..., Any], *given: Any, resources: dict[str, int] | None = None) -> Future[Any]:
        """Give function(terms, *given) to a worker. given: pickled work, read once the worker is known to be alike."""
        self.number += 1
        key = (f"{self.step}-{self.terms.secret[:8]}", self.number)
        with self.reached():
            return self.client.submit(function, self.terms, *given, key=key, pure=False, resources=resources)

    def _submit(self, function: Function, part: list[Any]) -> Future[Any]:
        return self.submit(perform, pickle.dumps((function, part)))

    def declared(self, resource: str) -> bool:
        """Return whether any worker declares a resource."""
        with self.reached():
            known = self.client.scheduler_info(n_workers=-1)["workers"].values()
        return any(resource in worker["resources"] for worker in known)

    def _first_results(self, futures: list[Future[Any]]) -> list[list[Any] | None]:
        """Wait for the results of the first chunk, and fetch those behind it that are there, too: all in one message.

        None for a chunk on which workers died; none behind it are fetched then.
        """
        from distributed import KilledWorker, TimeoutError, wait

        with self.reached():
            while not futures[0].done():
                try:
                    wait([futures[0]], timeout=NOTICE_SECONDS)
                except TimeoutError:
                    self.wait_for_workers()
            self.heed()
            if futures[0].status == "error" and isinstance(futures[0].exception(), KilledWorker):
                return [None]
            ready = list(takewhile(lambda future: future.status == "finished", futures)) or futures[:1]
            results: list[list[Any] | None] = self.client.gather(ready)
            return results

    def _one_by_one(
        self, function: Function, waiting: Sequence[tuple[Future[Any], list[Any]]], lost: Lost | None
    ) -> list[Any]:
        """Do the pieces of the first chunk each alone, while nothing else is done: so none dies with another one."""
        from distributed import wait

        with self.reached():
            wait([future for future, _ in waiting])
        results = []
        for piece in waiting[0][1]:
            [done] = self._first_results([self._submit(function, [piece])])
            if done is None:
                reason = "each worker died that worked on it, perhaps for want of memory"
                if lost is None:
                    raise SwclError(f"{piece}: {reason}.")
                done = [lost(piece, reason)]
            results += done
        return results

    def wait_for_workers(self) -> None:
        """Wait until there is a worker; after a while a warning says so. Heeds Ctrl-C, too."""
        told = False
        self.heed()
        with self.reached():
            while not self.client.scheduler_info(n_workers=0)["n_workers"]:
                if not told:
                    console.warn(f"{self.address} has no workers: waiting for some (dask worker {self.address}).")
                    told = True
                time.sleep(0.5)
                self.heed()

    def heed(self) -> None:
        """Raise KeyboardInterrupt where Ctrl-C arrived at a time at which Python would have lost it."""
        if self.is_interrupted:
            raise KeyboardInterrupt

    @contextmanager
    def heeding(self) -> Iterator[None]:
        """Remember Ctrl-C that arrives while an object is deleted: an exception there is printed, and ends nothing."""
        before = signal.getsignal(signal.SIGINT)
        if threading.current_thread() is not threading.main_thread() or before is not signal.default_int_handler:
            yield
            return

        def note(number: int, frame: FrameType | None) -> None:
            self.is_interrupted = True
            while frame:
                if frame.f_code.co_name == "__del__":
                    return
                frame = frame.f_back
            raise KeyboardInterrupt

        signal.signal(signal.SIGINT, note)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, before)

    def cancel(self, futures: list[Future[Any]]) -> None:
        """Drop work that is not wanted any more."""
        try:
            self.client.cancel(futures)
        except Exception:  # the scheduler may be gone: then there is nothing to cancel
            return

    @contextmanager
    def reached(self) -> Iterator[None]:
        """Turn the loss of the scheduler inside into a SwclError."""
        from distributed import CancelledError
        from distributed.comm.core import CommClosedError

        try:
            yield
        except (CancelledError, CommClosedError, OSError) as error:
            if isinstance(error, OSError) and self.client.status == "running":
                raise
            raise self._gone() from error
        except (RuntimeError, ValueError, AttributeError) as error:  # of a client that was closed meanwhile
            if self.client.status == "running":
                raise
            raise self._gone() from error

    def _gone(self) -> SwclError:
        self.is_gone = True
        return SwclError(
            f"The Dask scheduler at {self.address} is gone. Start it and its workers again: the same command goes on."
        )


class _Pace:
    """Ask now and then how many threads the workers have."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster, self.asked_at, self.known = cluster, 0.0, 1

    def threads(self) -> int:
        if time.monotonic() - self.asked_at > 1:
            with self.cluster.reached():
                self.known = max(self.cluster.client.scheduler_info(n_workers=0)["total_threads"], 1)
            self.asked_at = time.monotonic()
        return self.known


@contextmanager
def cluster(scheduler: str, workspace: Path, step: str) -> Iterator[Cluster]:
    """Connect a step to a cluster, for as long as the block runs. Raises SwclError."""
    with connected(scheduler) as client, terms_of(workspace) as terms:
        workers = Cluster(client, address_of(scheduler), terms, step)
        with workers.heeding():
            yield workers


def perform(terms: Terms, payload: bytes) -> list[Any]:
    """Do a chunk, on a worker. Raises SwclError where the worker does not meet the terms."""
    if reason := unmet(terms):
        raise SwclError(reason)
    function, part = pickle.loads(payload)
    results: list[Any] = function(part)
    return results
