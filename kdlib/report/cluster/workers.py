"""Which workers of a cluster may get runs: those whose Python, packages, lock and kdlib are the driver's.

They are asked before anything is sent, and those that join later before they get a run; one that turns out to have no
room for a run gets no other. The processor may differ: a run's manifest records it, and its pins.

Dask checks versions too, but of Python, NumPy, pandas and itself only, not of TensorFlow, the lock or kdlib; and it
warns, where a worker must be refused.
"""

import time
from collections.abc import Callable

from kdlib.report import manifest
from kdlib.report.request import RequestError

LOCK = "requirements.txt"
FILE_PATTERNS = "*.py", "*.mplstyle", "templates/*"  #: of kdlib's files that a run or its page depends on
MAX_WAIT = 30.0  #: seconds without a usable worker


def fingerprint() -> dict[str, str]:
    """What must be the same where a run happens: versions, and the hash of each file."""
    environment = manifest.environment()
    root = manifest.PACKAGE.parent
    files = [root / LOCK, *(path for pattern in FILE_PATTERNS for path in manifest.PACKAGE.rglob(pattern))]
    names = [path.relative_to(root).as_posix() for path in files]
    return {"Python": environment["python"]} | environment["versions"] | manifest.code_digests(names)


def describe_differences(worker: dict | BaseException, driver: dict) -> str:
    """How a worker's fingerprint, or the error instead of it, differs from the driver's; empty if it does not."""
    if isinstance(worker, BaseException):
        return f"it cannot import kdlib: {' '.join(str(worker).split())}"
    found = []
    for name in (name for name in driver | worker if driver.get(name) != worker.get(name)):
        if name == LOCK and not (name in driver and name in worker):
            continue  # one of them has kdlib installed, without a checkout
        if "/" in name or name == LOCK:
            found.append(f"{name} differs")
        else:
            found.append(f"{name} {worker.get(name, 'missing')} instead of {driver.get(name, 'none')}")
    return ", ".join(found[:4]) + (f" and {len(found) - 4} more" if len(found) > 4 else "")


class WorkerPool:
    """The workers of a client's cluster; each is checked once.

    log: called with a line when a worker is excluded.
    """

    def __init__(self, client, log: Callable[[str], None]):
        self.client, self.log = client, log
        self._driver = fingerprint()
        self._objections = {}  # why a worker may not get runs, by its address; "" if it may
        self._none_since = None

    def available(self) -> dict[str, int]:
        """Threads of the workers that may get runs, by address.

        Raises RequestError if one that is there from the start differs from the driver (later ones are excluded), or if
        there has been none for too long.
        """
        threads = self.client.nthreads()
        unreachable = {}
        if new := [address for address in threads if address not in self._objections]:
            unreachable = self._check(new)
        available = {address: count for address, count in threads.items() if self._objections.get(address) == ""}
        if available:
            self._none_since = None
            return available
        self._none_since = self._none_since or time.monotonic()
        why = "; ".join(f"{worker}: {self._objections.get(worker, unreachable.get(worker))}" for worker in threads)
        if why and self.client.cluster is not None:  # a local cluster gets no other workers
            raise RequestError(f"this machine cannot hold a run ({why}): make room, then run the same command again")
        if time.monotonic() - self._none_since > MAX_WAIT:
            address = self.client.scheduler.address
            raise RequestError(
                f"scheduler: {address!r} has had no {'usable ' if why else ''}worker for {MAX_WAIT:.0f} s"
                f"{f' ({why})' if why else ''}; start one with `dask worker {address}`, then run the same command again"
            )
        return available

    def exclude(self, address: str, why: str) -> None:
        """From now on a worker that could not hold a run gets none."""
        if not self._objections[address]:
            self._objections[address] = why
            self.log(f"worker {address} cannot hold a run: {why}; it is excluded")

    def _check(self, workers: list[str]) -> dict[str, str]:
        """Records objections to new workers; returns the errors of those that could not be reached."""
        at_start = not self._objections
        answers = self.client.run(fingerprint, workers=workers, on_error="return")
        unreachable = {
            worker: f"no answer: {answer}" for worker, answer in answers.items() if isinstance(answer, OSError)
        }
        checked = {
            worker: describe_differences(answer, self._driver)
            for worker, answer in answers.items()
            if worker not in unreachable
        }
        self._objections |= checked
        lines = [f"worker {worker} differs from the driver: {why}" for worker, why in checked.items() if why]
        if at_start and lines:
            raise RequestError(
                f"scheduler: {'; '.join(lines)}; give it the same checkout, lock and Python, then try again"
            )
        for line in lines:
            self.log(f"{line}; it is excluded")
        return unreachable
