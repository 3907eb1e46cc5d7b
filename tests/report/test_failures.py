"""Failures at any moment: full and read-only disks, signals, killed processes, two writers; with real ones of each."""

import os
import signal
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
from cluster import wait_for
from run_report import fill
from tiny_notebooks import WRITE, dataset, files, notebook, templates

from kdlib.report import publish
from kdlib.report.cluster import queue, workers
from kdlib.report.cluster.client import open_client
from kdlib.report.execution import temp_folder
from kdlib.report.execution.run_notebook import Job
from kdlib.report.request import RequestError

pytestmark = pytest.mark.slow


def test_a_full_or_read_only_disk_is_reported_and_leaves_the_last_good_report_as_it_was(tmp_path, small_disk):
    templates(tmp_path / "notebooks")
    for number, name in enumerate("ab"):
        dataset(tmp_path / "data" / f"{name}.pkl", number)
    command = [sys.executable, "-m", "kdlib.report", "run", f"--data={tmp_path / 'data'}", "--jobs=1", "--epochs=1",
               f"--notebooks={tmp_path / 'notebooks'}", f"--out={small_disk / 'out'}"]  # fmt: skip

    def run(seeds):
        return subprocess.run([*command, f"--seeds={seeds}"], capture_output=True, text=True, timeout=120)

    (tmp_path / "data" / "b.pkl").rename(tmp_path / "b")
    assert run(1).returncode == 0  # one dataset has room
    before = files(small_disk / "out" / "a")
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    done = run(2)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: out: cannot write to") and done.stderr.count("\n") == 1
    subprocess.run(["mount", "-o", "remount,rw", small_disk], check=True)
    (tmp_path / "b").rename(tmp_path / "data" / "b.pkl")
    fill(small_disk)
    done = run(2)
    assert done.returncode == 1
    assert "a: failed: out: cannot write to" in done.stderr and "No space left on device" in done.stderr
    assert "b: failed" in done.stderr and "Traceback" not in done.stderr
    assert files(small_disk / "out" / "a") == before
    assert not list((small_disk / "out").glob(".publishing-*"))
    (small_disk / "filler").unlink()
    subprocess.run(["mount", "-o", "remount,size=10m", small_disk], check=True)
    assert run(2).returncode == 0
    assert files(small_disk / "out" / "a") != before


COMMAND = [sys.executable, "-u", "-W", "error", "-m", "kdlib.report", "run", "--data=data", "--out=out", "--jobs=2",
           "--notebooks=notebooks"]  # fmt: skip


@contextmanager
def under_way(folder, *awaited):
    """A report in a process of its own, once it has printed lines that begin so; yields it and its child processes."""
    with subprocess.Popen(
        COMMAND, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        start_new_session=True, env=os.environ | {"TMPDIR": str(folder)},
    ) as process:  # fmt: skip
        missing = set(awaited)
        while missing:
            line = process.stdout.readline()
            assert line, process.communicate()
            missing = {start for start in missing if not line.startswith(start)}
        children = psutil.Process(process.pid).children(recursive=True)
        assert len(children) >= 3  # two workers, and a kernel
        yield process, children


def assert_ended(processes):
    """Waits for processes that end by themselves; a zombie has ended."""

    def ended():
        return all(not p.is_running() or p.status() == psutil.STATUS_ZOMBIE for p in processes)

    wait_for(ended, "end of all processes")


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_all_child_processes(tmp_path, number, status):
    templates(tmp_path / "notebooks")
    for name in ("slow", "slower"):
        dataset(tmp_path / "data" / f"{name}.pkl")
    with under_way(tmp_path, "slow: started", "slower: started") as (process, children):
        ports = [port for each in (psutil.Process(process.pid), *children) for port in each.net_connections("inet")]
        assert {port.laddr.ip for port in ports if port.status == psutil.CONN_LISTEN} == {"127.0.0.1"}
        os.killpg(process.pid, number)  # as a terminal does, to the workers too
        _, stderr = process.communicate(timeout=60)
    assert process.returncode == status
    assert stderr.count("\n") == 1 and stderr.startswith("error: ")
    assert_ended(children)
    assert {path.name for path in Path(tmp_path).iterdir()} == {"data", "notebooks", "out"}
    assert list((tmp_path / "out").iterdir()) == []


def test_a_killed_report_leaves_no_process_and_the_next_one_does_the_rest(tmp_path):
    templates(tmp_path / "notebooks")
    for name in ("quick", "slow"):
        dataset(tmp_path / "data" / f"{name}.pkl")
    with under_way(tmp_path, "quick: ok", "slow: started") as (process, children):
        process.kill()
        process.wait()
    assert_ended(children)
    before = files(tmp_path / "out")
    assert set(before) == {
        f"quick/{file}" for file in ("manifest.json", "notebook.ipynb", "report.html", "results.csv")
    }
    (stale,) = tmp_path.glob("kd-*")
    os.utime(stale / temp_folder.OWNER, (0, 0))
    environment = os.environ | {"SLOW": "0", "TMPDIR": str(tmp_path)}
    done = subprocess.run(COMMAND, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("slow: due, never run\n") and "quick" not in done.stdout
    after = files(tmp_path / "out")
    assert before.items() <= after.items() and {"slow/report.html", "index.html"} <= after.keys()
    assert not list(tmp_path.glob("kd-*"))


def test_a_stale_folder_is_removed_when_the_next_one_is_made(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    kept = {"kd-new", "kd-without", "another", "kd-link"}
    for name in ("kd-stale", *kept - {"kd-link"}):
        (tmp_path / name / "k").mkdir(parents=True)
        if name != "kd-without":
            (tmp_path / name / temp_folder.OWNER).touch()
    (tmp_path / "kd-link").symlink_to(tmp_path / "another")
    with temp_folder.private_folder() as held:
        for owner in tmp_path.glob(f"*/{temp_folder.OWNER}"):
            os.utime(owner, (0, 0))
        (tmp_path / "kd-new" / temp_folder.OWNER).touch()
        with temp_folder.private_folder() as mine:
            assert {path.name for path in tmp_path.iterdir()} == kept | {Path(held).name, Path(mine).name}
    assert {path.name for path in tmp_path.iterdir()} == kept


def test_a_report_is_made_even_if_its_output_is_no_longer_read(tmp_path):
    templates(tmp_path / "notebooks")
    dataset(tmp_path / "data" / "a.pkl")
    with subprocess.Popen(COMMAND, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "a: due, never run\n"
        process.stdout.close()  # as `make report | head -1` does
        assert (process.wait(timeout=60), process.stderr.read()) == (0, "")
    assert (tmp_path / "out" / "index.html").is_file()


def test_a_run_that_loses_its_worker_three_times_is_given_up_and_affects_no_other():
    starts = []

    def kill_the_worker(event):
        if (event["name"], event["cell"]) == ("first", 4):
            starts.append(event)
            for worker in psutil.Process().children():
                if worker.children():
                    worker.kill()

    jobs = [Job(name, notebook(WRITE), {"dataset": "inputs/a", "seeds": 1}, {"a": b""}) for name in ("first", "second")]
    jobs[0] = replace(jobs[0], notebook=notebook("import time; time.sleep(30)"))
    with open_client(1) as client:
        pool = workers.WorkerPool(client, print)
        ended = {job.name: outcome for job, outcome in queue.run_jobs(pool, jobs, kill_the_worker)}
    assert len(starts) == 3 and ended["first"].status == "died"
    assert ended["first"].reason.startswith("its worker was lost 3 times, the last at tcp://127.0.0.1:")
    assert (ended["second"].status, ended["second"].reason) == ("ok", "")


def test_a_machine_without_room_for_a_run_is_reported_at_once(small_disk, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(small_disk))
    jobs = [Job(name, notebook(WRITE), {"dataset": "inputs/a", "seeds": 1}, {"a": b"0" * 50_000}) for name in "ab"]
    with open_client(2) as client:
        fill(small_disk, left=20_000)
        lines = []
        pool = workers.WorkerPool(client, lines.append)
        with pytest.raises(RequestError, match=r"this machine cannot hold a run \(tcp.* No space left on device"):
            list(queue.run_jobs(pool, jobs, print))
        assert len(lines) == 2 and all(line.endswith("No space left on device; it is excluded") for line in lines), (
            lines
        )
    assert [path.name for path in small_disk.iterdir()] == ["filler"]


def test_one_writer_at_a_time_and_its_lock_ends_with_it(tmp_path):
    hold = "import sys, time; from pathlib import Path; from kdlib.report import publish\n" \
        "with publish.lock(Path(sys.argv[1])): print(flush=True); time.sleep(60)"  # fmt: skip
    with subprocess.Popen([sys.executable, "-c", hold, tmp_path], stdout=subprocess.PIPE) as holder:
        holder.stdout.readline()
        with pytest.raises(publish.PublishError, match="another run is writing"):
            publish.lock(tmp_path).__enter__()
        holder.kill()
    with publish.lock(tmp_path):
        pass
