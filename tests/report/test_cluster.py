"""Reports through a real scheduler and real workers that share no folder: results, failures, and what is left."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time

import psutil
import pytest
from cluster import Cluster, Network, end, kernels_of, wait_for
from distributed import Client
from run_report import fill
from tiny_notebooks import EXPERIMENT, dataset, notebook, templates

from kdlib.report import manifest

pytestmark = pytest.mark.slow

HELD = """
import os, time
while "held" in dataset and not os.path.exists({gate!r}):
    time.sleep(0.05)"""


class Report:
    """A report on the datasets a, b and `held`, whose run waits for the file `gate`."""

    def __init__(self, folder):
        self.folder, self.gate = folder, folder / "gate"
        templates(folder / "notebooks")
        template = notebook(EXPERIMENT + HELD.format(gate=str(self.gate)))
        (folder / "notebooks" / "experiment.ipynb").write_bytes(template)
        for number, name in enumerate(["a", "b", "held"]):
            dataset(folder / "data" / f"{name}.pkl", number)

    def command(self, out, *arguments):
        places = [f"--{name}={self.folder / name}" for name in ("data", "notebooks")]
        command = [sys.executable, "-u", "-W", "error", "-m", "kdlib.report", "run", *places, "--epochs=1"]
        return [*command, f"--out={self.folder / out}", *arguments]

    def run(self, out, *arguments, **options):
        self.gate.touch()
        return subprocess.run(self.command(out, *arguments), capture_output=True, text=True, timeout=120, **options)

    def start(self, out, *arguments, until="held: started", prefix=(), **options):
        """A driver under way, once it has printed a line that begins with `until`."""
        self.gate.unlink(missing_ok=True)
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        driver = subprocess.Popen([*prefix, *self.command(out, *arguments)], **pipes, **options)
        lines = iter(driver.stdout.readline, "")
        assert any(line.startswith(until) for line in lines), driver.communicate()
        return driver

    def files(self, out):
        """Content by name of what a run makes, without what depends on its time and place."""
        paths = (path for path in (self.folder / out).rglob("*") if path.suffix in (".csv", ".ipynb"))
        return {str(path.relative_to(self.folder / out)): path.read_bytes() for path in sorted(paths)}


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    report = Report(tmp_path_factory.mktemp("report"))
    done = report.run("local")
    assert done.returncode == 0, done.stderr
    return report


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    with Cluster(tmp_path_factory.mktemp("cluster") / "c", workers=2) as cluster:
        yield cluster


def test_a_report_through_a_cluster_is_the_local_one_and_leaves_no_files_there(report, cluster):
    done = report.run("remote", f"--scheduler-file={cluster.file}")
    assert done.returncode == 0, done.stderr + cluster.logs()
    assert "held/results.csv" in report.files("remote") and report.files("remote") == report.files("local")
    for worker in cluster.workers:
        assert not list(worker.private.glob("kd-*"))
    assert report.run("remote", f"--scheduler={cluster.file}").stdout.startswith("nothing is due")


def test_a_sweep_through_a_cluster_is_the_local_one(report, cluster, tmp_path):
    (tmp_path / "sweep.yaml").write_text("temperature: [2, 3]\nseeds: 1\n")
    found = {}
    for out, *where in (["alone", "--jobs=2"], ["shared", f"--scheduler={cluster.file}"]):
        command = [*report.command(out, *where), "--", str(tmp_path / "sweep.yaml")]
        command[command.index("run")] = "sweep"
        done = subprocess.run(command, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr + cluster.logs()
        found[out] = report.files(out)
    assert "held/temperature=3/results.csv" in found["alone"] and found["shared"] == found["alone"]


def test_an_interrupted_driver_ends_its_kernels_and_leaves_the_cluster_to_others(report, cluster):
    with Client(scheduler_file=str(cluster.file), set_as_default=False) as other:
        driver = report.start("interrupted", f"--scheduler={cluster.file}")
        theirs = other.submit(time.sleep, 3, pure=False)
        ours = wait_for(lambda: [kernel for worker in cluster.workers for kernel in kernels_of(worker)], "kernel")
        driver.send_signal(signal.SIGINT)
        _, stderr = driver.communicate(timeout=60)
        assert (driver.returncode, stderr.count("\n")) == (130, 1), stderr
        assert not psutil.wait_procs(ours, timeout=60)[1]
        assert theirs.result(timeout=60) is None and len(other.nthreads()) == 2
    done = report.run("interrupted", f"--scheduler={cluster.file}")
    assert done.returncode == 0 and report.files("interrupted") == report.files("local"), done.stderr


def test_a_killed_driver_leaves_no_kernel(report, cluster):
    driver = report.start("killed", f"--scheduler={cluster.file}")
    ours = wait_for(lambda: [kernel for worker in cluster.workers for kernel in kernels_of(worker)], "kernel")
    driver.kill()
    driver.communicate()
    assert not psutil.wait_procs(ours, timeout=60)[1]


def test_the_run_of_a_killed_worker_is_repeated_elsewhere(report, cluster):
    driver = report.start("repeated", f"--scheduler={cluster.file}", until="b: ok")
    (kernel,) = wait_for(
        lambda: [k for worker in cluster.workers for k in kernels_of(worker)], "kernel of the held run"
    )
    kernel.parent().kill()
    report.gate.touch()
    _, stderr = driver.communicate(timeout=60)
    assert (driver.returncode, stderr) == (0, "")
    assert report.files("repeated") == report.files("local")


def test_a_worker_without_room_is_excluded_and_its_run_repeated_elsewhere(report, cluster, small_disk):
    full = cluster.worker(TMPDIR=str(small_disk))
    fill(small_disk, left=4096)  # or Python would take another place for temporary files
    done = report.run("room", f"--scheduler={cluster.file}")
    end([full])
    assert (done.returncode, done.stderr) == (0, ""), cluster.logs()
    line = rf"worker tcp://127.0.0.1:\d+ cannot hold a run: {small_disk}: .*No space left on device.*; it is excluded"
    assert len(re.findall(line, done.stdout)) == 1, done.stdout
    assert report.files("room") == report.files("local")


def test_a_lost_scheduler_is_reported_and_the_next_run_does_the_rest(report, tmp_path):
    with Cluster(tmp_path / "c", workers=1) as cluster:
        driver = report.start("lost", f"--scheduler={cluster.file}")
        ours = kernels_of(cluster.workers[0])
        before = report.files("lost")
        cluster.scheduler.kill()
        _, stderr = driver.communicate(timeout=60)
        assert driver.returncode == 2 and stderr.count("\n") == 1, stderr
        assert re.match(r"error: scheduler: lost 'tcp://127.0.0.1:\d+'; \d runs? not done", stderr)
        assert report.files("lost") == before
        assert not psutil.wait_procs(ours, timeout=60)[1]
    done = report.run("lost")
    assert done.returncode == 0 and report.files("lost") == report.files("local"), done.stderr


def test_workers_that_differ_from_the_driver_are_refused_or_excluded_by_name(report, tmp_path):
    other = tmp_path / "other"
    shutil.copytree(manifest.PACKAGE, other / "kdlib", ignore=shutil.ignore_patterns("__pycache__"))
    with (other / "kdlib" / "settings.py").open("a") as file:
        file.write("# edited\n")
    without = "import sys; sys.modules['kdlib'] = None; from dask.__main__ import main; main()"
    with Cluster(tmp_path / "c") as cluster:
        unequal = cluster.worker(PYTHONPATH=str(other))
        done = report.run("refused", f"--scheduler={cluster.file}")
        line = (
            r"error: scheduler: worker tcp://127.0.0.1:\d+ differs from the driver: kdlib/settings.py differs; give it"
        )
        assert done.returncode == 2 and re.match(line, done.stderr), done.stderr
        assert not list((report.folder / "refused").iterdir())
        end([unequal])
        cluster.worker()
        driver = report.start("late", f"--scheduler={cluster.file}")
        cluster.worker(PYTHONPATH=str(other))
        cluster.worker("--no-nanny", command=[sys.executable, "-c", without])
        lines = [driver.stdout.readline() for _ in range(2)]
        assert sum("kdlib/settings.py differs; it is excluded" in line for line in lines) == 1, lines
        assert sum("it cannot import kdlib: ModuleNotFoundError" in line for line in lines) == 1, lines
        report.gate.touch()
        _, stderr = driver.communicate(timeout=60)
        assert (driver.returncode, stderr) == (0, "")
    assert report.files("late") == report.files("local")


def test_a_cluster_that_asks_for_certificates(report, tmp_path):
    tls = {f"DASK_DISTRIBUTED__COMM__TLS__{name}": str(path) for name, path in certificate(tmp_path).items()}
    with Cluster(tmp_path / "c", workers=1, protocol="tls", **tls) as cluster:
        done = report.run("tls", f"--scheduler={cluster.file}")
        assert done.returncode == 2 and done.stderr.startswith("error: scheduler: tls://127.0.0.1:"), done.stderr
        assert "needs certificates: set DASK_DISTRIBUTED__COMM__TLS__CA_FILE" in done.stderr
        done = report.run("tls", f"--scheduler={cluster.file}", env=os.environ | tls)
        assert done.returncode == 0 and report.files("tls") == report.files("local"), done.stderr
        plain = json.loads(cluster.file.read_text())["address"].replace("tls", "tcp")
        done = report.run("plain", f"--scheduler={plain}")
        assert done.returncode == 2 and "expected the address of a running one" in done.stderr


@pytest.fixture
def network():
    if os.geteuid() or not shutil.which("ip"):
        pytest.skip("namespaces of the network need root and iproute2")
    with Network(4) as network:
        yield network


def test_a_worker_that_the_network_cuts_off_is_given_up_and_its_run_repeated(report, network, tmp_path):
    soon = {"DASK_DISTRIBUTED__COMM__TIMEOUTS__TCP": "11s"}  # the least that Dask allows; 30 s by default
    with Cluster(tmp_path / "c", workers=2, places=network.places, **soon) as cluster:
        options = {"prefix": network.places[3][0], "env": os.environ | soon}
        driver = report.start("cut", f"--scheduler={cluster.file}", until="b: ok", **options)

        def at_work():
            return [number for number, worker in enumerate(cluster.workers, 1) if kernels_of(worker)]

        (number,) = wait_for(at_work, "the kernel of the other run")
        network.cut(number)
        report.gate.touch()
        _, stderr = driver.communicate(timeout=60)
        assert (driver.returncode, stderr) == (0, ""), cluster.logs()
    assert report.files("cut") == report.files("local")


def certificate(folder):
    """A self-signed key for scheduler, workers and client."""
    key, cert = folder / "key.pem", folder / "cert.pem"
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 1 -subj /CN=kdlib"
    subprocess.run([*command.split(), "-keyout", key, "-out", cert], check=True, capture_output=True)
    each = {f"{who}__{what}": path for who in ("SCHEDULER", "WORKER", "CLIENT") for what, path in
            (("KEY", key), ("CERT", cert))}  # fmt: skip
    return {"CA_FILE": cert} | each
