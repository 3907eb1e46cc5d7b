"""Make the environment kdlib runs in, unless it is there, then become its Python.

    python3 tools/environment.py [--test | --collection | --bench] ARGUMENT ...     # like: python ARGUMENT ...

The environment is the active virtual environment, else the active conda environment (its `base` never:
that one belongs to conda), else `.venv`, made by uv where there is one and by `python -m venv` where not.
Into it go the locked packages, checked by their hashes and never built here, and kdlib itself, editable.
A stamp inside the environment says which lock it holds, for which checkout and which Python: while it is
true nothing is installed. It is removed before an installation and written after, so that one that was
interrupted is done again.

It stands outside the package and uses the standard library only, because it runs before anything is
installed; and it parses on Python 3.6, so that an old Python can read the line which says what is missing.
"""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
VENV = os.path.join(ROOT, ".venv")
OLDEST, NEWEST = (3, 11), (3, 13)
QUIET = subprocess.DEVNULL
LOCK = "requirements.txt"
#: Locks beside it, by option.
MORE = {"--%s" % group: "requirements-%s.txt" % group for group in ("test", "collection", "bench")}
GET_PYTHON = "install Python 3.11, 3.12 or 3.13, or name one: make PYTHON=/path/to/python ..."

# Signs in an installer's output, and what to do about them. The first that is found counts.
REASONS = (
    (("no space left", "os error 28", "quota exceeded"), "the disk is full: free about 3 GB, then try again"),
    (("permission denied", "read-only file system"), "it may not be written to: deactivate it, so that .venv is used"),
    (("ensurepip", "no module named venv", "no module named pip"),
     "this Python has no venv and pip: install them (Debian, Ubuntu: apt install python3-venv) or uv"),
    (("do not match the hashes", "hash mismatch"), "a package is not the one locked: retry, or change the mirror"),
    (("connection", "connect error", "(connect)", "error sending request", "proxyerror", "name resolution", "dns error",
      "network is unreachable", "timed out", "request failed", "sslerror", "certificate"),
     "the package registry can't be reached: check the network, proxy and certificates, then try again"),
    (("no matching distribution", "no wheels", "no usable wheels", "from versions:"),
     "a locked package has no build for this machine: Linux x86-64 or arm64, or macOS arm64, is needed"),
)  # fmt: skip


def environment():
    """The folder of the environment to use."""
    conda = os.environ.get("CONDA_PREFIX", "")
    if os.environ.get("CONDA_DEFAULT_ENV") in ("base", "root") or os.path.isdir(os.path.join(conda, "condabin")):
        conda = ""
    return os.path.abspath(os.environ.get("VIRTUAL_ENV") or conda or VENV)


def stamp(prefix, lock):
    """The file that says what was installed from a lock."""
    return os.path.join(prefix, "kdlib-{}.stamp".format(lock[: -len(".txt")]))


def digest(python, lock):
    """What a true stamp holds: the lock, the checkout and the Python, as one number."""
    with open(os.path.join(ROOT, lock), "rb") as file:
        return hashlib.sha256("{}\n{}\n".format(ROOT, os.path.realpath(python)).encode() + file.read()).hexdigest()


def due(prefix, python, locks):
    """Those of the locks that are not installed as they stand."""

    def held(path):
        try:
            with open(path) as file:
                return file.read()
        except (OSError, ValueError):
            return None

    return [lock for lock in locks if not os.path.exists(python) or held(stamp(prefix, lock)) != digest(python, lock)]


def works(python):
    """Whether it is a Python that runs, of a version that kdlib supports."""
    code = "import sys; sys.exit(not {} <= sys.version_info[:2] <= {})".format(OLDEST, NEWEST)
    return bool(python) and succeeds([python, "-I", "-c", code])


def succeeds(command):
    """Whether a command runs and says yes. (A name on the PATH may be a shim with nothing behind it.)"""
    try:
        return subprocess.call(command, stdin=QUIET, stdout=QUIET, stderr=QUIET) == 0
    except OSError:
        return False


def find_python():
    """A Python to make `.venv` from: this one, or another on the PATH; None if there is none."""
    if OLDEST <= sys.version_info[:2] <= NEWEST:
        return sys.executable
    names = ["python3.{}".format(minor) for minor in range(NEWEST[1], OLDEST[1] - 1, -1)]
    return next(filter(works, map(shutil.which, names)), None)


def run(command, prefix):
    """Run an installer. On a terminal its latest line is shown; if it fails, exit with one line that helps."""
    process = subprocess.Popen(command, cwd=ROOT, stdin=QUIET, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    lines = []
    for line in process.stdout:
        lines.append(line.decode("utf-8", "replace").rstrip())
        if sys.stderr.isatty():
            sys.stderr.write("\r\033[K  " + lines[-1][: shutil.get_terminal_size().columns - 3])
            sys.stderr.flush()
    if sys.stderr.isatty():
        sys.stderr.write("\r\033[K")
    if process.wait() == 0:
        return
    log = os.path.join(prefix, "kdlib-setup.log")
    try:
        with open(log, "w") as file:
            file.write("\n".join([" ".join(command), *lines]) + "\n")
    except (OSError, ValueError):
        log = None
    words = "\n".join(lines).lower()
    last = next((line for line in reversed(lines) if line.strip()), "the installer printed nothing").strip()
    reason = next((advice for signs, advice in REASONS if any(sign in words for sign in signs)), last)
    sys.exit("can't set up {}: {}{}".format(prefix, reason, " (full output: {})".format(log) if log else ""))


def venv_command(prefix, uv):
    """The command that makes `.venv`. Exits, saying why, where it can't be made, or another environment is active."""
    if os.path.realpath(prefix) != os.path.realpath(VENV):
        sys.exit("the active environment, {}, has no Python 3.11, 3.12 or 3.13: deactivate it".format(prefix))
    base = find_python()
    if base is None and uv is None:
        found = ".".join(map(str, sys.version_info[:2]))
        sys.exit("kdlib needs Python 3.11 to 3.13, and this is {}: {}".format(found, GET_PYTHON))
    return [uv, "venv", "--python", base or ">=3.11,<3.14", prefix] if uv else [base, "-m", "venv", prefix]


def set_up(prefix, python, locks):
    """Make the environment if it is `.venv` and missing; install the locks, and kdlib with the first of them."""
    uv = shutil.which("uv")
    uv = uv if uv and succeeds([uv, "--version"]) else None
    make_venv = None if works(python) else venv_command(prefix, uv)
    start = time.time()
    sys.stderr.write("setting up {} from {} (once, a minute or two)\n".format(prefix, " and ".join(locks)))
    if make_venv:
        if os.path.isdir(prefix):
            shutil.rmtree(prefix)  # made by a Python that is gone, or too old, or too new
        run(make_venv, prefix)

    if uv:
        install = [uv, "pip", "install", "--python", python]
    else:
        install = [python, "-m", "pip", "install", "--no-compile", "--no-input", "--disable-pip-version-check"]
        if not succeeds([python, "-m", "pip", "--version"]):
            run([python, "-m", "ensurepip"], prefix)

    for lock in locks:
        if os.path.exists(stamp(prefix, lock)):
            os.remove(stamp(prefix, lock))
    files = [part for lock in locks for part in ("-r", lock)]
    run([*install, "--require-hashes", "--only-binary", ":all:", *files], prefix)
    if LOCK in locks:
        run([*install, "--no-index", "--no-deps", "--no-build-isolation", "-e", "."], prefix)
    for lock in locks:
        with open(stamp(prefix, lock), "w") as file:
            file.write(digest(python, lock))
    sys.stderr.write("set up in {:.0f} s\n".format(time.time() - start))


def main(arguments):
    locks = [LOCK] + [MORE[option] for option in arguments[:1] if option in MORE]
    prefix = environment()
    python = os.path.join(prefix, "bin", "python")

    # Nothing from outside the environment: a report must not depend on what else lies on a machine.
    for name in ("PYTHONPATH", "PYTHONHOME"):
        os.environ.pop(name, None)
    os.environ.update(PYTHONNOUSERSITE="1", PIP_USER="0")
    # TensorFlow takes ten seconds longer to import from source, and every run of a notebook imports it.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

    if due(prefix, python, locks):
        with open(__file__) as file:
            fcntl.flock(file, fcntl.LOCK_EX)  # two makes at once: the second waits, and finds it done
            missing = due(prefix, python, locks)
            if missing:
                set_up(prefix, python, missing)

    if not os.path.isdir(os.path.join(prefix, "conda-meta")):
        os.environ["VIRTUAL_ENV"] = prefix
    os.environ["PATH"] = os.path.join(prefix, "bin") + os.pathsep + os.environ.get("PATH", os.defpath)
    command = arguments[len(locks) - 1 :]
    if command:
        os.execv(python, [python, *command])


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except KeyboardInterrupt:
        sys.stderr.write("\ninterrupted: what is missing will be installed the next time\n")
        sys.exit(130)
    except OSError as error:
        sys.exit("can't set up kdlib's environment: {}".format(error))
