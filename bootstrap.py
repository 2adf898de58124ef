"""Make the project's environment in `.venv`, with the standard library alone.

Run by `make`. Does nothing when the environment is there and the lock has not changed since.
"""

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
STAMP = VENV / "signalbox-stamp"
LOCK = ROOT / "requirements.lock"
HINT = f"apt install python{sys.version_info[0]}.{sys.version_info[1]}-venv"


def main():
    if sys.version_info < (3, 11):  # noqa: UP036 - said in words to whoever runs an older one
        stop(f"Python {sys.version.split()[0]} is too old: install Python 3.11 or newer")
    wanted = fingerprint()
    # `exists` follows the link to the Python it was made with, which may be gone by now.
    if STAMP.is_file() and STAMP.read_text() == wanted and (VENV / "bin" / "python").exists():
        return
    try:
        import ensurepip  # noqa: F401
        import venv
    except ImportError:
        stop(f"{sys.executable} has no venv or pip: install them (such as `{HINT}`)")
    print("making the environment in .venv (once)", flush=True)
    # A half-made one is of no use: begin anew.
    shutil.rmtree(VENV, ignore_errors=True)
    try:
        venv.create(VENV, with_pip=True)
    except subprocess.CalledProcessError:
        shutil.rmtree(VENV, ignore_errors=True)
        stop(f"{sys.executable} could not put pip into .venv: install venv (such as `{HINT}`)")
    except OSError as error:
        stop(f"cannot make .venv ({error}): may you write here, and is there space on the disk?")
    pip("install", "--require-hashes", "-r", str(LOCK))
    pip("install", "--no-deps", "--no-build-isolation", "-e", str(ROOT))
    STAMP.write_text(wanted)


def fingerprint():
    digest = hashlib.sha256(f"{sys.version} {ROOT}".encode())
    for path in (LOCK, ROOT / "pyproject.toml", Path(__file__)):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def pip(*arguments):
    python = VENV / "bin" / "python"
    command = [str(python), "-m", "pip", "--quiet", "--disable-pip-version-check", *arguments]
    if subprocess.run(command, env={**os.environ, "PIP_NO_INPUT": "1"}, check=False).returncode:
        stop("pip failed (see above): is the package registry reachable?")


def stop(reason):
    print(f"signalbox: {reason}", file=sys.stderr)
    sys.exit(1)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        stop("interrupted; the next run begins anew")
