"""The wheel, installed beside a service whose own modules have the names of our folders."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import textwrap
import tomllib
from pathlib import Path

import pytest

from signalbox.adapters.catalogue import CATALOGUE
from tests.integration.conftest import start_stack

ROOT = Path(__file__).parents[2]
SERVICE = {
    "celeryconfig.py": "task_acks_late = False\ntask_default_queue = 'invoices'\n",
    "commands/__init__.py": "",
    "commands/bill.py": "TOTAL = 7\n",
    "workers/__init__.py": "",
    "workers/app.py": """
        from celery import Celery

        from commands.bill import TOTAL

        app = Celery("service")
        app.config_from_object("celeryconfig")


        @app.task(name="invoices.send")
        def send() -> int:
            return TOTAL
        """,
    "store.py": """
        import signalbox
        from workers.app import app, send

        assert "site-packages" in signalbox.__file__, signalbox.__file__
        assert (app.conf.task_acks_late, app.conf.task_default_queue) == (False, "invoices")
        assert send.apply().get() == 7
        assert not [name for name in app.tasks if name.startswith("object_store.")]
        here = {"tenant_id": "t_installed", "env": "dev", "key": "one"}
        with signalbox.Client() as client:
            payload = client.content.payload(b"content")
            client.run(signalbox.PutObject(**here, payload=payload))
            found = client.run(signalbox.GetObject(**here))
            with client.content.open(found) as content:
                assert content.read() == b"content"
        print("stored and read")
        """,
}
ELSEWHERE = shutil.ignore_patterns("tests", "docs", "benchmarks", "examples", "build", ".*")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment that holds the wheel and what it depends on, and not the project's folder."""
    folder = tmp_path_factory.mktemp("installed")
    # Of a copy, since a build leaves files behind.
    shutil.copytree(ROOT, folder / "source", symlinks=True, ignore=ELSEWHERE)
    pip = [sys.executable, "-m", "pip", "-q"]
    build = ["wheel", "--no-deps", "--no-build-isolation", "-w", str(folder)]
    subprocess.run([*pip, *build, str(folder / "source")], check=True)
    [wheel] = folder.glob("*.whl")
    env = folder / "env"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(env)], check=True)
    install = ["--python", str(env / "bin" / "python"), "install", "--no-deps", "--no-index"]
    subprocess.run([*pip, *install, str(wheel)], check=True)
    # The folder that is named here gives its packages, but its own .pth files are not read.
    [packages] = (env / "lib").glob("python*/site-packages")
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib"))
    return env


@pytest.fixture
def service(tmp_path: Path) -> Path:
    for name, text in SERVICE.items():
        path = tmp_path / "service" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text))
    return tmp_path / "service"


def run(site: Path, folder: Path, *arguments: str) -> str:
    """What a program of the environment prints, in a folder, without the caller's PYTHONPATH."""
    done = subprocess.run(
        [site / "bin" / "python", *arguments],
        cwd=folder,
        env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_service_with_folders_of_the_same_names_stores_and_reads(
    site: Path, service: Path, tmp_path: Path
) -> None:
    with start_stack(tmp_path / "stack", workers=0) as running:
        running.route_to_folder("t_installed")
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        worker = subprocess.Popen(
            [site / "bin" / "signalbox", "worker", "-c", "1"], cwd=service, env=environment
        )
        try:
            assert run(site, service, "store.py") == "stored and read\n"
        finally:
            worker.terminate()
            worker.wait()


def test_nothing_is_importable_but_signalbox(site: Path, tmp_path: Path) -> None:
    names = [path.stem for path in (ROOT / "signalbox").iterdir() if path.is_symlink()]
    assert {"commands", "workers", "celeryconfig", "testing"} <= set(names)
    program = (
        "import sys; from importlib.util import find_spec;"
        "print([name for name in sys.argv[1:] if find_spec(name)], find_spec('signalbox').origin)"
    )
    found, _, origin = run(site, tmp_path, "-c", program, *names).partition(" ")
    assert found == "[]"
    assert origin.startswith(str(site))


def test_a_backend_without_its_sdk_says_what_to_install(site: Path, tmp_path: Path) -> None:
    program = """
import sys
for name in ("boto3", "botocore", "google.cloud", "azure", "psycopg", "apsw", "flower", "fastapi"):
    sys.modules[name] = None
from signalbox.adapters.catalogue import CATALOGUE
from signalbox import BackendNotInstalled
for backend in CATALOGUE:
    try:
        backend.check_config({})
    except BackendNotInstalled as error:
        assert f"signalbox[{backend.backend_type}]" in error.next_step, error.next_step
        print(backend.backend_type)
"""
    named = set(run(site, tmp_path, "-c", program).split())
    assert named == {"filesystem", "s3", "azure_blob", "firestore", "dynamodb", "postgres"}


PARTS = {
    "the gateway": ("fastapi", "signalbox[gateway]", ["gateway"]),
    "the embedded stack": ("flower", "signalbox[embedded]", ["up"]),
    "the stand-in for S3": ("moto", "signalbox[embedded]", ["tour"]),
}


@pytest.mark.parametrize("part", PARTS)
def test_a_part_without_its_packages_says_what_to_install(
    site: Path, tmp_path: Path, part: str
) -> None:
    package, extra, arguments = PARTS[part]
    # Read by the programs that the command starts as well.
    (tmp_path / "sitecustomize.py").write_text(f"import sys\nsys.modules[{package!r}] = None\n")
    environment = os.environ | {"PYTHONPATH": str(tmp_path)}
    for name in ("SIGNALBOX_STATE_URL", "SIGNALBOX_BROKER_URL"):
        environment.pop(name, None)
    done = subprocess.run(
        [site / "bin" / "signalbox", *arguments],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    text = " ".join(done.stderr.split())
    assert f"EXTRA_NOT_INSTALLED {part} needs {package}, which" in text, done.stderr
    assert "Traceback" not in text
    assert text.endswith(f"pip install '{extra}'"), done.stderr


def test_the_table_of_backends_needs_no_sdk(site: Path, tmp_path: Path) -> None:
    program = """
import sys
for name in ("boto3", "botocore", "azure", "apsw", "pydantic"):
    sys.modules[name] = None
from signalbox.adapters.support_matrix import support_table
for row in support_table():
    print(*row, sep="|")
"""
    header, *_, last = run(site, tmp_path, "-c", program).splitlines()
    assert header.startswith("|filesystem (lab)|s3|azure_blob")
    assert last.startswith("· presign get|–|yes|yes|")


def test_each_backend_has_an_extra_of_its_name() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"][
        "optional-dependencies"
    ]
    assert {entry.backend_type for entry in CATALOGUE} <= set(extras)
