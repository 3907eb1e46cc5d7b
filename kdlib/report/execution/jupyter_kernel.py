"""A papermill engine with a kernel of its own: this interpreter, one thread, no personal configuration.

Papermill's default engine takes whichever kernel Jupyter finds under the notebook's kernel name, and cannot set its
environment. This one can, and also reports how far a training is and how the kernel's process ended.
"""

import asyncio
import os
import sys
import time
from pathlib import Path

from jupyter_client.kernelspec import KernelSpec, KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from jupyter_core.utils import ensure_event_loop, run_sync
from papermill.clientwrap import PapermillNotebookClient
from papermill.engines import NBClientEngine, papermill_engines

from kdlib import pins
from kdlib.display import PROGRESS_MIME
from kdlib.report.execution import temp_folder
from kdlib.report.execution.programs import kept_programs

ENGINE = "kdlib"  #: the engine's name in papermill
QUIET = {"TF_CPP_MIN_LOG_LEVEL": "2"}  #: TensorFlow logs errors only
# By default, and by what Dask's workers set, glibc maps every block over 128 KiB again, which takes a fifth of a
# training's time; and each thread would keep memory of its own.
KEEP_MEMORY = {
    "MALLOC_MMAP_THRESHOLD_": str(32 * 2**20),
    "MALLOC_TRIM_THRESHOLD_": str(64 * 2**20),
    "MALLOC_ARENA_MAX": "1",
}


def kernel_environment(private: Path, cores: int = 1) -> dict[str, str]:
    """The kernel's environment variables.

    private: a folder that replaces IPython's in the user's home; in `methods` it may hold a file of methods. cores: of
    the processor, for the kernel and its helpers.
    """
    methods = next((private / "methods").glob("*.py"), "")
    kdlib_parent = str(Path(__file__).resolve().parents[3])  # the kernel's kdlib is the one that was hashed
    path = os.pathsep.join(filter(None, [kdlib_parent, os.environ.get("PYTHONPATH")]))
    return os.environ | pins.variables() | QUIET | {
        "PYTHONPATH": path,
        "PYTHONHASHSEED": "0",
        "KDLIB_METHODS": str(methods),
        "KDLIB_CORES": str(cores),
        "IPYTHONDIR": str(private),
        "MPLBACKEND": "module://matplotlib_inline.backend_inline",
    }  # fmt: skip


class LocalKernelSpecManager(KernelSpecManager):
    """Every kernel name means the running interpreter. What C libraries print stays out of the notebook."""

    def get_kernel_spec(self, kernel_name):
        command = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
        command += ["--IPKernelApp.capture_fd_output=False"]
        # By default, Python searches what imports leave in memory for garbage: a seventh of the time that they take.
        command += ["--IPKernelApp.exec_lines=__import__('gc').set_threshold(50_000)"]
        return KernelSpec(argv=command, env=KEEP_MEMORY, display_name="Python 3", language="python")


class LocalKernelManager(AsyncKernelManager):
    """Talks to the kernel through sockets in the file system: no ports to race for, none open to others."""

    def __init__(self, **kwargs):
        specs = LocalKernelSpecManager()
        super().__init__(transport="ipc", kernel_spec_manager=specs, **kwargs)


class LocalNotebookClient(PapermillNotebookClient):
    """Papermill's client with a deadline for the whole notebook, progress of trainings, and cancellation.

    private: a folder in the run's own, for sockets and the kernel's standard error; ending: a dict that gets `alive`,
    whether the kernel still ran after the last cell, and `exit`, its exit status; wanted: asked every second, and once
    it says no the kernel is killed; reuse: whether the caches are used; cores: as in `kernel_environment`; deadline: of
    `time.monotonic()`; on_training: called with each event of a training.
    """

    def __init__(
        self, nb_man, *, private, ending, wanted, reuse=True, cores=1, deadline=None, on_training=None, **kwargs
    ):
        super().__init__(nb_man, kernel_manager_class=LocalKernelManager, **kwargs)
        self._private, self._ending, self._wanted, self._on_training = private, ending, wanted, on_training
        self._reuse, self._cores = reuse, cores
        self.iopub_timeout = 60  # outputs may lag behind on a machine under load
        self.shutdown_kernel = "immediate"  # a stuck kernel does not react to a request, any other takes seconds
        if deadline is not None:
            self.timeout_func = lambda cell: max(1, deadline - time.monotonic())

    def create_kernel_manager(self):
        manager = super().create_kernel_manager()
        manager.ip = str(self._private / "s")  # short: a socket's path may have about 100 characters
        return manager

    def execute(self):
        programs = temp_folder.common_folder(self._private.parent) / "programs"
        with (
            kept_programs(programs, self._reuse) as caches,
            (self._private / "stderr").open("wb") as stderr,  # the process's own, not that of its cells
        ):
            return super().execute(env=kernel_environment(self._private, self._cores) | caches, stderr=stderr)

    def process_message(self, msg, cell, cell_index):
        if self._on_training and (event := msg["content"].get("data", {}).get(PROGRESS_MIME)):
            self._on_training(event)
        return super().process_message(msg, cell, cell_index)

    async def _async_check_alive(self):  # nbclient calls it every second while a cell runs
        if not self._wanted():
            await self.km.shutdown_kernel(now=True)
        await super()._async_check_alive()

    async def _async_cleanup_kernel(self):
        process = getattr(self.km.provisioner, "process", None)
        alive = await self.km.is_alive()
        await super()._async_cleanup_kernel()
        self._ending.update(alive=alive, exit=process.returncode if process else None)

    _cleanup_kernel = run_sync(_async_cleanup_kernel)


class LocalEngine(NBClientEngine):
    """Runs a notebook with `LocalNotebookClient`; `nb_holder["nb"]` is the notebook as it stands, even if it fails."""

    @classmethod
    def execute_managed_notebook(cls, nb_man, kernel_name, *, nb_holder, start_timeout=60, log_output=False, **kwargs):
        nb_holder["nb"] = nb_man.nb
        kwargs = {name: value for name, value in kwargs.items() if name in CLIENT_ARGUMENTS}
        loop = ensure_event_loop()  # the client runs in it and would leave it open
        try:
            client = LocalNotebookClient(nb_man, kernel_name=kernel_name, startup_timeout=start_timeout, **kwargs)
            return client.execute()
        finally:
            if pending := asyncio.all_tasks(loop):  # after a timeout, one still waits for the cell's output
                for task in pending:
                    task.cancel()
                loop.run_until_complete(asyncio.wait(pending))
            loop.close()
            asyncio.set_event_loop(None)


CLIENT_ARGUMENTS = set("private deadline ending wanted reuse cores resources on_cell_start on_training".split())
papermill_engines.register(ENGINE, LocalEngine)
