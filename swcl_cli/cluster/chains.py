"""Do long work on the workers of a cluster, each piece in a process of its own: stages that follow each other."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from swcl_cli.cluster.apart import Done, do_apart
from swcl_cli.cluster.mapping import NOTICE_SECONDS, Cluster
from swcl_cli.cluster.terms import Terms, unmet
from swcl_cli.errors import SwclError

if TYPE_CHECKING:
    from distributed import Future

GPU = "GPU"
Chain = Iterator[Sequence[Any]]  # stages of pieces; the next one is asked for when all of a stage are done


class Ended(NamedTuple):
    """Tell how a piece of a chain ended."""

    chain: int
    piece: Any
    outcome: Done | SwclError


def follow_chains(
    cluster: Cluster, function: Callable[[Any], Any], chains: Sequence[Chain], threads: int
) -> Iterator[Ended]:
    """Do the pieces of all chains, and yield each as it ends. A chain of which a piece fails has no next stage.

    function(piece) works in a process of so many threads; where workers declare GPUs, on one of those with one to
    spare. An error that a chain raises itself ends it, too. Raises SwclError where the scheduler is gone.
    """
    from distributed import KilledWorker, wait

    resources = {GPU: 1} if cluster.declared(GPU) else None
    waiting: dict[Future[Any], tuple[int, Any]] = {}
    open_pieces, failed = [0] * len(chains), set[int]()

    def advance(number: int) -> Iterator[Ended]:
        try:
            pieces = next(chains[number], None)
            while pieces is not None and not pieces:
                pieces = next(chains[number], None)
        except SwclError as error:
            yield Ended(number, None, error)
            return
        for piece in pieces or ():
            payload = pickle.dumps((function, piece))
            future = cluster.submit(perform_apart, payload, threads, resources=resources)
            waiting[future] = (number, piece)
        open_pieces[number] = len(pieces or ())

    try:
        for number in range(len(chains)):
            yield from advance(number)
        while waiting:
            with cluster.reached():
                try:
                    ready = wait(list(waiting), timeout=NOTICE_SECONDS, return_when="FIRST_COMPLETED").done
                except TimeoutError:
                    cluster.wait_for_workers()
                    continue
            cluster.heed()
            for future in ready:
                number, piece = waiting.pop(future)
                outcome: Done | SwclError
                try:
                    with cluster.reached():
                        outcome = future.result()
                except SwclError as error:
                    if cluster.is_gone:
                        raise
                    outcome = error
                except KilledWorker:
                    outcome = SwclError("each worker died that worked on it, perhaps for want of memory.")
                if isinstance(outcome, SwclError):
                    failed.add(number)
                yield Ended(number, piece, outcome)
                open_pieces[number] -= 1
                if not open_pieces[number] and number not in failed:
                    yield from advance(number)
    finally:
        if waiting:
            cluster.cancel(list(waiting))


def perform_apart(terms: Terms, payload: bytes, threads: int) -> Done:
    """Do a piece, on a worker. Raises SwclError where the worker does not meet the terms."""
    from distributed import Reschedule, get_worker

    if reason := unmet(terms):
        raise SwclError(reason)
    worker = get_worker()
    key = worker.get_current_task()

    def unwanted() -> bool:
        task = worker.state.tasks.get(key)
        return task is None or task.state == "cancelled" or worker.status.name != "running"

    function, piece = pickle.loads(payload)
    done = do_apart(function, piece, threads, unwanted)
    if done is None:
        raise Reschedule  # to another worker, where this one ends; nobody waits where the work was cancelled
    return done
