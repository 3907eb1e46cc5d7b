"""Settings of the tests' own process, made before TensorFlow is imported; a real report and sweep that many read."""

import kdlib  # noqa: F401, before NumPy is imported, as it sets what decides the bits

# isort: split
import fcntl
import os
import shutil
import signal
import subprocess
import tempfile

import pytest
import tiny_notebooks
from run_report import FIVE_KEYS, run_report

# Each test computes: what a cache holds from another run would prove nothing. But all share what they have compiled.
IS_WORKER = "PYTEST_XDIST_WORKER" in os.environ  #: one of several processes of tests, which inherit what is set here
os.environ.update(TF_CPP_MIN_LOG_LEVEL="3", KDLIB_CACHE="")
if not IS_WORKER:
    programs = tempfile.TemporaryDirectory()
    os.environ["TF_XLA_FLAGS"] = (
        f"--tf_xla_persistent_cache_directory={programs.name} --tf_xla_persistent_cache_device_types=CPU"
    )
# A shell's background jobs ignore Ctrl-C, and so would all that is started here, which some tests send it to.
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items):
    """Fast tests come first, so that a mistake shows soon."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is not None)


def made_once(tmp_path_factory, name, make):
    """The folder `name`, which `make` fills in the first process of tests that needs it, while others wait for it."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if IS_WORKER else base) / name
    done = folder / "made"
    with open(folder.with_suffix(".lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.exists():
            shutil.rmtree(folder, ignore_errors=True)  # what a process left whose `make` failed
            folder.mkdir()
            make(folder)
            done.touch()
    return folder


@pytest.fixture(scope="session")
def report_data(tmp_path_factory):
    """A dataset of known distribution, one of just five keys, and one that cannot be read."""
    from kdlib.data import gaussians
    from kdlib.data.dataset import save

    def make(folder):
        (folder / "data").mkdir()
        save(folder / "data" / "near.pkl", gaussians.generate(0.5))
        five = {key: value for key, value in gaussians.generate(1.0).arrays().items() if "test" not in key}
        del five["d_valid"]
        save(folder / "data" / f"{FIVE_KEYS}.pkl", five)
        (folder / "data" / "broken.pkl").write_bytes(b"not a pickle")

    return made_once(tmp_path_factory, "report data", make) / "data"


@pytest.fixture(scope="session")
def report(report_data, tmp_path_factory):
    """The folder of a report on `report_data`: two seeds, two epochs."""

    def make(folder):
        done = run_report(f"--data={report_data}", f"--out={folder / 'reports'}", "--seeds=2")
        assert done.returncode == 1, done.stderr
        assert "broken" in done.stderr
        assert "Traceback" not in done.stderr + done.stdout

    return made_once(tmp_path_factory, "report", make) / "reports"


@pytest.fixture(scope="session")
def swept_report(tmp_path_factory):
    """The folder of a sweep of two points on a dataset of 24 points: two seeds, two epochs."""

    def make(folder):
        tiny_notebooks.dataset(folder / "data" / "five <keys>.pkl")
        sweep, data, out = folder / "sweep.yaml", folder / "data", folder / "sweep"
        sweep.write_text("fraction: [0.5, 1]\nbatch_size: 8\nmethods: [ffnn, kd_routed]\n")
        done = run_report(f"--data={data}", f"--out={out}", "--seeds=2", sweep, action="sweep")
        assert done.returncode == 0, done.stderr

    return made_once(tmp_path_factory, "swept", make) / "sweep"


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 200 KB."""
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = (
        os.geteuid() == 0
        and not subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=200k", "tmpfs", folder], capture_output=True
        ).returncode
    )
    if not mounted:
        pytest.skip("a small disk needs the right to mount one")
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)  # a killed worker may not be quite gone
