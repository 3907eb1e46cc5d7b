"""Settings of the tests' own process, made before TensorFlow is imported; a real report and sweep that many read."""

import kdlib  # noqa: F401, before NumPy is imported, as it sets what decides the bits

# isort: split
import os
import signal
import subprocess
import tempfile

import pytest
import tiny_notebooks
from run_report import FIVE_KEYS, run_report

# Each test computes: what a cache holds from another run would prove nothing. But all share what they have compiled.
programs = tempfile.TemporaryDirectory()
os.environ.update(
    TF_CPP_MIN_LOG_LEVEL="3",
    KDLIB_CACHE="",
    TF_XLA_FLAGS=f"--tf_xla_persistent_cache_directory={programs.name} --tf_xla_persistent_cache_device_types=CPU",
)
# A shell's background jobs ignore Ctrl-C, and so would all that is started here, which some tests send it to.
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items):
    """Fast tests come first, so that a mistake shows soon."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is not None)


@pytest.fixture(scope="session")
def report_data(tmp_path_factory):
    """A dataset of known distribution, one of just five keys, and one that cannot be read."""
    from kdlib.data import gaussians
    from kdlib.data.dataset import save

    folder = tmp_path_factory.mktemp("data")
    save(folder / "near.pkl", gaussians.generate(0.5))
    five = {key: value for key, value in gaussians.generate(1.0).arrays().items() if "test" not in key}
    del five["d_valid"]
    save(folder / f"{FIVE_KEYS}.pkl", five)
    (folder / "broken.pkl").write_bytes(b"not a pickle")
    return folder


@pytest.fixture(scope="session")
def report(report_data, tmp_path_factory):
    """The folder of a report on `report_data`: two seeds, two epochs."""
    folder = tmp_path_factory.mktemp("out") / "reports"
    done = run_report(f"--data={report_data}", f"--out={folder}", "--seeds=2")
    assert done.returncode == 1, done.stderr
    assert "broken" in done.stderr
    assert "Traceback" not in done.stderr + done.stdout
    return folder


@pytest.fixture(scope="session")
def swept_report(tmp_path_factory):
    """The folder of a sweep of two points on a dataset of 24 points: two seeds, two epochs."""
    folder = tmp_path_factory.mktemp("sweep")
    tiny_notebooks.dataset(folder / "data" / "five <keys>.pkl")
    (folder / "sweep.yaml").write_text("fraction: [0.5, 1]\nbatch_size: 8\nmethods: [ffnn, kd_routed]\n")
    out = folder / "sweep"
    done = run_report(f"--data={folder / 'data'}", f"--out={out}", "--seeds=2", folder / "sweep.yaml", action="sweep")
    assert done.returncode == 0, done.stderr
    return out


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
