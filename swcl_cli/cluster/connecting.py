"""Connect to a Dask scheduler, and tell in a line what is wrong where that can't be done."""

from __future__ import annotations

import ipaddress
import json
import logging
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from urllib.request import ProxyHandler, build_opener

from swcl_cli import console
from swcl_cli.errors import SwclError, UsageError

if TYPE_CHECKING:
    from distributed import Client

SECONDS = 4  # that a scheduler has to answer in, so that the command ends within 5
LOGGERS = (
    "distributed",
    "distributed.client",
    "distributed.core",
    "distributed.comm",
    "tornado.application",
    "asyncio",
)


@contextmanager
def connected(scheduler: str) -> Iterator[Client]:
    """Connect to a scheduler by its address or file, for as long as the block runs.

    Raises SwclError where packages are missing, nobody answers, or another version of Dask does.
    """
    address = address_of(scheduler)
    try:
        from distributed import Client
    except ImportError as error:
        raise SwclError("--scheduler needs packages that are not installed: pip install 'swcl[cluster]'") from error
    for name in LOGGERS:  # what they would tell is told in a line of ours
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    client = _client(address, Client)
    try:
        _require_version(client, address)
        _announce(client, address)
        yield client
    finally:
        with suppress(Exception):
            client.close(timeout=SECONDS)


def address_of(scheduler: str) -> str:
    """Return the address of a scheduler, which may stand in a scheduler file. Raises UsageError."""
    path = Path(scheduler)
    if "://" not in scheduler and path.is_file():
        try:
            return str(json.loads(path.read_text(encoding="utf-8"))["address"])
        except (ValueError, KeyError, TypeError, OSError) as error:
            raise UsageError(f"--scheduler {scheduler}: the file names no address of a scheduler.") from error
    parts = urlsplit(scheduler)
    with suppress(ValueError):
        if parts.scheme in ("tcp", "tls") and parts.hostname and parts.port:
            return scheduler
    raise UsageError(
        f"--scheduler {scheduler}: neither a scheduler file nor an address such as tcp://host:8786 or tls://host:8786."
    )


def _client(address: str, make: Callable[..., Client]) -> Client:
    """Make the client in a thread, since it waits for ever on a server that is no scheduler and says nothing."""
    made: list[Client | Exception] = []

    def start() -> None:
        try:
            made.append(make(address, timeout=SECONDS))
        except Exception as error:  # of any kind: other versions and servers answer in ways of their own
            made.append(error)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of other versions, which are an error below
        thread = threading.Thread(target=start, daemon=True)
        thread.start()
        thread.join(SECONDS + 1)
    if not made or isinstance(made[0], OSError):
        raise SwclError(f"No Dask scheduler answers at {address}. Start one with: dask scheduler --host HOST")
    if isinstance(made[0], Exception):
        raise SwclError(f"{address}: the Dask scheduler can't be used ({made[0]}).") from made[0]
    return made[0]


def _require_version(client: Client, address: str) -> None:
    """Raise SwclError where the scheduler has another version of Dask."""
    asked: Any = client.get_versions()
    theirs, ours = (asked[side]["packages"].get("distributed") for side in ("scheduler", "client"))
    if theirs != ours:
        raise SwclError(f"The scheduler at {address} has Dask {theirs}, this command {ours}: install equal ones.")


def _announce(client: Client, address: str) -> None:
    """Say what answers, and warn where it can be reached by others without encryption."""
    info = client.scheduler_info(n_workers=0)
    link = client.dashboard_link if "dashboard" in info["services"] else ""
    counts = f"{info['n_workers']:,} workers with {info['total_threads']:,} threads"
    console.say(f"Dask scheduler {address}: {counts}{f'; dashboard {link}' if _is_page(link) else ''}.")
    if address.startswith("tcp://") and not _is_loopback(urlsplit(address).hostname or ""):
        console.warn(
            f"{address} is neither encrypted nor asks who calls: whoever reaches it runs programs on the workers. "
            "Use it in a network of your own alone, or tls://."
        )


def _is_page(link: str) -> bool:
    """Return whether there is a page: schedulers name one even where they were started with --no-dashboard."""
    direct = build_opener(ProxyHandler({}))
    try:
        with direct.open(link, timeout=1) as answer:
            return bool(answer.status == 200)
    except (OSError, ValueError):
        return False


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
