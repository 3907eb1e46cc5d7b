"""A real cluster for the tests: `dask scheduler` and `dask worker` processes, each in a folder of its own."""

import os
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import psutil


class Cluster:
    """A scheduler and its workers, ended with the `with` block.

    places: of the processes, in a `Network`.
    """

    def __init__(self, folder: Path, workers: int = 0, protocol="tcp", places=(), **environment):
        self.folder, self.protocol, self.places, self.environment = folder, protocol, places, environment
        self.file = folder / "scheduler.json"
        self.processes = []
        folder.mkdir(parents=True)
        self.scheduler = self.start(
            "scheduler", "--port=0", "--no-dashboard", f"--scheduler-file={self.file}",
            f"--protocol={protocol}",
        )  # fmt: skip
        wait_for(self.file.exists, "scheduler's file")
        self.workers = [self.worker() for _ in range(workers)]

    def worker(self, *more, command=(), **environment):
        """Starts a worker and waits until it is registered."""
        options = [*more, f"--scheduler-file={self.file}", "--nthreads=1", "--no-dashboard"]
        return self.start("worker", *options, f"--protocol={self.protocol}", command=command, **environment)

    def start(self, *arguments, command=(), **environment):
        """Starts `dask` with some arguments, or another command, in a folder of its own."""
        number = len(self.processes)
        prefix, host = self.places[number] if self.places else ((), "127.0.0.1")
        name = f"{number}-{arguments[0]}"
        private = self.folder / name
        private.mkdir()
        with (self.folder / f"{name}.log").open("wb") as log:
            process = psutil.Popen(
                [*prefix, *(command or [sys.executable, "-m", "dask"]), *arguments, f"--host={host}"],
                cwd=private, stdout=log, stderr=log, stdin=subprocess.DEVNULL,
                env=os.environ | {"TMPDIR": str(private)} | self.environment | environment,
            )  # fmt: skip
        process.log = self.folder / f"{name}.log"
        process.private = private
        self.processes.append(process)
        if arguments[0] == "worker":
            wait_for(lambda: "Registered to" in process.log.read_text() or process.poll(), f"{name} at the scheduler")
            assert process.poll() is None, self.logs()
        return process

    def logs(self) -> str:
        """What all processes have printed."""
        return "\n".join(f"{p.log.name}:\n{p.log.read_text()}" for p in self.processes)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        end(self.processes[::-1])


def end(processes):
    """Kills processes and all that they started."""
    children = [child for process in processes for child in children_of(process)]
    for process in [*processes, *children]:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(processes, timeout=5)


def children_of(process) -> list[psutil.Process]:
    """All processes below a process; none if it has ended."""
    with suppress(psutil.NoSuchProcess):
        return process.children(recursive=True)
    return []


def kernels_of(process) -> list[psutil.Process]:
    """The kernels below a process."""
    found = []
    for child in children_of(process):
        with suppress(psutil.Error):
            if "ipykernel_launcher" in child.cmdline():
                found.append(child)
    return found


def wait_for(condition, what: str, seconds: float = 60):
    """Waits until `condition()` returns something true, and returns that."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, f"no {what} after {seconds} s"
        time.sleep(0.05)
    return found


class Network:
    """Network namespaces, joined by a bridge; each is a place: a command prefix to run there, and an address."""

    def __init__(self, count: int):
        self.names = [f"kd{os.getpid()}-{number}" for number in range(count)]
        self.hub = f"kd{os.getpid()}-hub"
        self.places = [(["ip", "netns", "exec", n], f"10.213.0.{number}") for number, n in enumerate(self.names, 1)]

    def cut(self, number: int):
        """Drops silently what is sent from or to a place."""
        ip("-n", self.hub, "link", "set", f"to{number}", "down")

    def __enter__(self):
        try:
            ip("netns", "add", self.hub)
            ip("-n", self.hub, "link", "add", "bridge", "type", "bridge")
            ip("-n", self.hub, "link", "set", "bridge", "up")
            for number, (name, (_, address)) in enumerate(zip(self.names, self.places, strict=True)):
                ip("netns", "add", name)
                ip("-n", name, "link", "set", "lo", "up")
                ip("-n", self.hub, "link", "add", f"to{number}", "type", "veth", "peer", "name", "eth", "netns", name)
                ip("-n", self.hub, "link", "set", f"to{number}", "master", "bridge", "up")
                ip("-n", name, "addr", "add", f"{address}/24", "dev", "eth")
                ip("-n", name, "link", "set", "eth", "up")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for name in [*self.names, self.hub]:
            subprocess.run(["ip", "netns", "del", name], capture_output=True)


def ip(*arguments):
    subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True)
