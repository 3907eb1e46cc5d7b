"""Which workers of a cluster may be sent runs: those whose Python, packages, lock and kdlib are the driver's.

They are asked before anything is sent, and those that join later before a run goes to them; one that turns out to
have no room for a run gets no other. The processor may differ: another one gives another rounding, and a run's
manifest says which it was.
"""

import time

from kdlib.report import manifest
from kdlib.report.plan import RequestError

LOCK = "requirements.txt"
KINDS = "*.py", "*.mplstyle", "templates/*"  #: of kdlib's files that a run or its page depends on
PATIENCE = 30.0  #: seconds without a worker, after which there is no point in waiting


def fingerprint() -> dict[str, str]:
    """What must be the same where a run happens: versions, and the hash of each file."""
    environment = manifest.environment()
    root = manifest.PACKAGE.parent
    files = sorted([root / LOCK, *(path for kind in KINDS for path in manifest.PACKAGE.rglob(kind))])
    hashes = {path.relative_to(root).as_posix(): manifest.digest(path.read_bytes()) for path in files if path.is_file()}
    return {"Python": environment["python"]} | environment["versions"] | hashes


def differs(there: dict | BaseException, here: dict) -> str:
    """What a worker has otherwise, for people; empty if nothing."""
    if isinstance(there, BaseException):
        return f"it cannot import kdlib: {' '.join(str(there).split())}"
    found = []
    for name in (name for name in here | there if here.get(name) != there.get(name)):
        if name == LOCK and not {name} <= here.keys() & there.keys():
            continue  # kdlib was installed without its checkout
        if "/" in name or name == LOCK:
            found.append(f"{name} differs")
        else:
            found.append(f"{name} {there.get(name, 'missing')} instead of {here.get(name, 'none')}")
    return ", ".join(found[:4]) + (f" and {len(found) - 4} more" if len(found) > 4 else "")


class Crew:
    """The workers of a client's cluster; each is asked until it answers."""

    def __init__(self, client, say):
        self.client, self.say = client, say
        self.here = fingerprint()
        self.answers = {}  #: address -> why it is of no use, empty if it is
        self.none_since = None

    def look(self) -> dict[str, int]:
        """Threads of the workers that fit, by address. One that does not ends the request; late, it is left out."""
        threads = self.client.nthreads()
        silent = {}
        if new := [address for address in threads if address not in self.answers]:
            silent = self._ask(new)
        fit = {address: count for address, count in threads.items() if self.answers.get(address) == ""}
        if fit:
            self.none_since = None
            return fit
        self.none_since = self.none_since or time.monotonic()
        why = "; ".join(f"{worker}: {self.answers.get(worker, silent.get(worker))}" for worker in threads)
        if why and self.client.cluster is not None:  # our own: there will be no other
            raise RequestError(f"this machine cannot hold a run ({why}): make room, and the same command does the rest")
        if time.monotonic() - self.none_since > PATIENCE:
            address = self.client.scheduler.address
            raise RequestError(
                f"scheduler: {address!r} has had no worker {f'of use ({why}) ' if why else ''}for {PATIENCE:.0f} s; "
                f"start one with `dask worker {address}`, and the same command does what is left"
            )
        return fit

    def leave_out(self, address: str, why: str) -> None:
        """From now on no run goes to a worker that could not hold one."""
        if not self.answers[address]:
            self.answers[address] = why
            self.say(f"worker {address} cannot hold a run: {why}; it is left out")

    def _ask(self, workers: list[str]) -> dict[str, str]:
        """Adds to the answers; returns the errors of workers that could not be reached."""
        early = not self.answers
        answers = self.client.run(fingerprint, workers=workers, on_error="return")
        silent = {address: f"no answer: {answer}" for address, answer in answers.items() if isinstance(answer, OSError)}
        told = {address: differs(answer, self.here) for address, answer in answers.items() if address not in silent}
        self.answers |= told
        lines = [f"worker {address} has not what is here: {what}" for address, what in told.items() if what]
        if early and lines:
            raise RequestError(
                f"scheduler: {'; '.join(lines)}; give it the same checkout, lock and Python, then try again"
            )
        for line in lines:
            self.say(f"{line}; it is left out")
        return silent
