"""Routes to the filesystem, and what its failures are called."""

from __future__ import annotations

import errno
from contextlib import closing
from pathlib import Path
from typing import Any

import apsw
import pytest

from signalbox.adapters.filesystem.failure import translate
from signalbox.adapters.filesystem.object_driver import check_config, open_driver
from signalbox.adapters.object_store import ObjectStore
from signalbox.adapters.port import AdapterContext
from signalbox.commands.error import (
    BackendError,
    InsufficientStorage,
    InvalidRouteConfig,
    Misconfigured,
    PermissionDenied,
    SignalboxError,
    Unavailable,
)
from signalbox.commands.object_store import PutObject
from signalbox.commands.payload import InlinePayload
from signalbox.commands.scope import Mode, ResourceKind, Scope
from tests.unit.filesystem.object_files import call_of

SCOPE = Scope(kind=ResourceKind.OBJECT_STORE, tenant_id="t_a", env="dev")


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"base_dir": None},
        {"base_dir": ""},
        {"base_dir": 7},
        {"base_dir": ["/srv"]},
        {"base_dir": "srv/objects"},
        {"base_dir": "./srv"},
        {"base_dir": "~/objects"},
        {"base_dir": "/srv/../etc"},
        {"base_dir": "/srv\0/x"},
        {"base_dir": "/srv\n"},
        {"base_dir": "/" + "x" * 1024},
        {"base_dir": "/srv", "bucket": "b"},
        {"bucket": "b"},
    ],
    ids=repr,
)
def test_a_config_that_names_no_directory_is_refused(config: dict[str, Any]) -> None:
    with pytest.raises(InvalidRouteConfig) as refused:
        check_config(config)
    detail = refused.value.detail()
    assert (detail.kind, detail.backend_type) == ("object_store", "filesystem")
    assert detail.next_step


@pytest.mark.parametrize("name", ["objects", "objects/", "with space/ä"])
def test_an_absolute_directory_is_accepted_and_used(tmp_path: Path, name: str) -> None:
    config = {"base_dir": f"{tmp_path}/{name}"}
    check_config(config)
    with closing(ObjectStore(open_driver(AdapterContext(SCOPE, Mode.LAB, config)))) as store:
        command = PutObject(key="k", payload=InlinePayload(data=b"x"), tenant_id="t_a", env="dev")
        store.put(command, call_of(command))
    assert (tmp_path / name / "tenants/t_a/dev/objects.db").exists()


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (OSError(errno.ENOSPC, ""), InsufficientStorage),
        (OSError(errno.EDQUOT, ""), InsufficientStorage),
        (OSError(errno.EFBIG, ""), InsufficientStorage),
        (OSError(errno.EACCES, ""), PermissionDenied),
        (OSError(errno.EROFS, ""), PermissionDenied),
        (OSError(errno.ENOTDIR, ""), Misconfigured),
        (OSError(errno.ELOOP, ""), Misconfigured),
        (OSError(errno.EIO, ""), Unavailable),
        (OSError(errno.EMFILE, ""), Unavailable),
        (apsw.FullError(), InsufficientStorage),
        (apsw.BusyError(), Unavailable),
        (apsw.IOError(), Unavailable),
        (apsw.ReadOnlyError(), PermissionDenied),
        (apsw.CorruptError(), Misconfigured),
        (apsw.NotADBError(), Misconfigured),
        (apsw.CantOpenError(), Misconfigured),
        (apsw.SQLError(), BackendError),
    ],
    ids=lambda value: getattr(value, "__name__", repr(value)),
)
def test_a_failure_has_one_name(error: OSError | apsw.Error, kind: type[SignalboxError]) -> None:
    translated = translate(error)
    assert type(translated) is kind
    assert translated.next_step
