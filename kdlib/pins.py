"""What makes every x86-64 processor with AVX2 and FMA compute the same bits: environment variables, set in time.

Libraries choose their instructions, and with them the order in which they add, by the processor that they find. Each
variable here tells one of them to choose as on a processor with AVX2 and without AVX-512, whatever is found. They are
set when kdlib is imported, before NumPy and TensorFlow read them, and processes that are started inherit them.
`KDLIB_PORTABLE=0` sets none but the number of threads: as fast as can be, and the same bits on the same kind of
processor only.

No pin is needed for glibc's mathematical functions, which have variants for FMA and none for AVX-512, or for
scikit-learn and SciPy, which choose nothing but OpenBLAS. Out of scope: arm64 and macOS, which nothing is set for.
"""

import os
import platform
import re
from pathlib import Path

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
"""Sums are split by the number of threads; and networks are so small that one thread trains them fastest."""

PINS = {
    # XLA's own code is vectors of AVX2; without the second flag YNNPACK, which multiplies matrices for it, adds in an
    # order that depends on the processor.
    "XLA_FLAGS": "--xla_cpu_max_isa=AVX2 --xla_cpu_enable_platform_dependent_math=false",
    # oneDNN multiplies matrices for XLA where an operand is transposed, and for TensorFlow outside XLA.
    "ONEDNN_MAX_CPU_ISA": "AVX2",
    # By default TensorFlow's own operations use oneDNN only where there is AVX-512, and a message says so.
    "TF_ENABLE_ONEDNN_OPTS": "0",
    # OpenBLAS is behind every product and decomposition of NumPy, SciPy and scikit-learn.
    "OPENBLAS_CORETYPE": "Haswell",
    # NumPy's float32 log, exp2 and power, float64 cbrt, log10 and power, and more.
    "NPY_DISABLE_CPU_FEATURES": "X86_V4 AVX512_ICL AVX512_SPR",
}
NEEDED = {"avx2", "fma"}  #: of the processor's features


def variables() -> dict[str, str]:
    """What to set in the environment of a process: threads and, where they can be kept, pins."""
    if not _can_be_pinned():
        return ONE_THREAD
    flags = os.environ.get("XLA_FLAGS", "").replace(PINS["XLA_FLAGS"], "")  # what else is set there stays
    return ONE_THREAD | PINS | {"XLA_FLAGS": f"{flags} {PINS['XLA_FLAGS']}".strip()}


def are_set() -> bool:
    """Whether this process, and those that it starts, compute the same bits as on any other such processor."""
    return _can_be_pinned() and variables().items() <= os.environ.items()


def _can_be_pinned() -> bool:
    if platform.system() != "Linux" or platform.machine() != "x86_64" or os.environ.get("KDLIB_PORTABLE") == "0":
        return False
    return NEEDED <= set(features())


def features() -> list[str]:
    """Extensions of the instruction set that this processor has, as Linux names them."""
    return sorted(set(processor("flags").split()))


def processor(entry: str) -> str:
    """What Linux says of the first processor, such as its `flags`; empty where it says nothing."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return ""
    found = re.search(rf"^{entry}\s*:(.*)", text, re.M)
    return found[1].strip() if found else ""
