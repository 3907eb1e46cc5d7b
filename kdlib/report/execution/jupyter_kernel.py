"""A papermill engine with a kernel of its own: this interpreter, one thread, no personal configuration.

Papermill's default engine takes whichever kernel Jupyter finds under the notebook's kernel name, and
cannot pass an environment. This one also says how far a training is, and how the kernel's process ended, which
papermill leaves out.
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

from kdlib.display import PROGRESS_MIME

ENGINE = "kdlib"  #: the name to give papermill
ONE_THREAD = dict.fromkeys(
    (
        "OMP_NUM_THREADS",
        "OPENBLAS_NUM_THREADS",
        "MKL_NUM_THREADS",
        "VECLIB_MAXIMUM_THREADS",
        "NUMEXPR_NUM_THREADS",
        "TF_NUM_INTRAOP_THREADS",
        "TF_NUM_INTEROP_THREADS",
    ),
    "1",
)
QUIET = {"TF_CPP_MIN_LOG_LEVEL": "2"}  #: of TensorFlow, errors
# Dask's workers set a trim threshold of 64 KiB, which kernels would inherit, and with it glibc maps every block over
# 128 KiB anew: a quarter of the time of a training would go into that.
KEEP_MEMORY = {"MALLOC_MMAP_THRESHOLD_": str(32 * 2**20), "MALLOC_TRIM_THRESHOLD_": str(64 * 2**20)}


def kernel_environment(private: Path) -> dict[str, str]:
    """The kernel's environment: `private` is a folder for what would else come from the home folder."""
    kdlib_parent = str(Path(__file__).resolve().parents[3])  # the kernel's kdlib is the one that was hashed
    path = os.pathsep.join(filter(None, [kdlib_parent, os.environ.get("PYTHONPATH")]))
    return os.environ | ONE_THREAD | QUIET | KEEP_MEMORY | {
        "PYTHONPATH": path,
        "PYTHONHASHSEED": "0",
        "IPYTHONDIR": str(private),
        "MPLBACKEND": "module://matplotlib_inline.backend_inline",
    }  # fmt: skip


class ThisInterpreter(KernelSpecManager):
    """Every kernel name means the interpreter that runs now. What libraries say past Python is not the notebook's."""

    def get_kernel_spec(self, kernel_name):
        command = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
        command += ["--IPKernelApp.capture_fd_output=False"]
        return KernelSpec(argv=command, display_name="Python 3", language="python")


class PressKernelManager(AsyncKernelManager):
    """Sockets in the file system: no ports to race for between kernels, none open to others."""

    def __init__(self, **kwargs):
        super().__init__(transport="ipc", kernel_spec_manager=ThisInterpreter(), shutdown_wait_time=6.0, **kwargs)


class PressClient(PapermillNotebookClient):
    """Papermill's client, with a deadline for the whole notebook, word of trainings, and the kernel's end on record."""

    def __init__(self, nb_man, *, private, ending, wanted, deadline=None, on_training=None, **kwargs):
        super().__init__(nb_man, kernel_manager_class=PressKernelManager, **kwargs)
        self._private, self._ending, self._wanted, self._on_training = private, ending, wanted, on_training
        self.iopub_timeout = 60  # outputs may lag behind on a machine under load
        self.shutdown_kernel = "immediate"  # until every cell has run: a stuck kernel would not listen
        if deadline is not None:
            self.timeout_func = lambda cell: max(1, deadline - time.monotonic())

    def create_kernel_manager(self):
        manager = super().create_kernel_manager()
        manager.ip = str(self._private / "s")  # a short path: sockets allow about 100 signs
        return manager

    def execute(self):
        with (self._private / "stderr").open("wb") as stderr:  # what the process says beside its cells
            return super().execute(env=kernel_environment(self._private), stderr=stderr)

    def process_message(self, msg, cell, cell_index):
        if self._on_training and (told := msg["content"].get("data", {}).get(PROGRESS_MIME)):
            self._on_training(told)
        return super().process_message(msg, cell, cell_index)

    def papermill_execute_cells(self):
        super().papermill_execute_cells()
        self.shutdown_kernel = "graceful"

    async def _async_check_alive(self):  # every second, while a cell runs
        if not self._wanted():
            await self.km.shutdown_kernel(now=True)
        await super()._async_check_alive()

    async def _async_cleanup_kernel(self):
        process = getattr(self.km.provisioner, "process", None)
        alive = await self.km.is_alive()
        await super()._async_cleanup_kernel()
        self._ending.update(alive=alive, exit=process.returncode if process else None)

    _cleanup_kernel = run_sync(_async_cleanup_kernel)


class PressEngine(NBClientEngine):
    """Runs a notebook with `PressClient`; `nb_holder` gets the notebook as it stands, even if it fails."""

    @classmethod
    def execute_managed_notebook(cls, nb_man, kernel_name, *, nb_holder, start_timeout=60, log_output=False, **kwargs):
        nb_holder["nb"] = nb_man.nb
        kwargs = {name: value for name, value in kwargs.items() if name in PRESS_KWARGS}
        loop = ensure_event_loop()  # the one that the client will run in; it would leave it open
        try:
            return PressClient(nb_man, kernel_name=kernel_name, startup_timeout=start_timeout, **kwargs).execute()
        finally:
            loop.close()
            asyncio.set_event_loop(None)


PRESS_KWARGS = {"private", "deadline", "ending", "wanted", "resources", "on_cell_start", "on_training"}
papermill_engines.register(ENGINE, PressEngine)
