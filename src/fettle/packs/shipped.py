"""The packs and policies that come with Fettle itself."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from fettle.packs.active import DEFAULT_POLICY
from fettle.packs.files import MAX_FILE_BYTES
from fettle.packs.loading import DomainPack, load_folder, load_policy
from fettle.packs.problems import refuse

_IN_WHEEL = Path(__file__).resolve().parents[1] / "shipped_packs"
_IN_CHECKOUT = Path(__file__).resolve().parents[3] / "packs"


def shipped_folder() -> Path:
    """Return the folder that holds the shipped packs and, below ``policies``, the shipped policies."""
    return _IN_WHEEL if _IN_WHEEL.is_dir() else _IN_CHECKOUT


def shipped_packs() -> list[DomainPack]:
    """Return every shipped pack, by id."""
    return list(_shipped_packs())


@cache
def _shipped_packs() -> tuple[DomainPack, ...]:
    folders = sorted(path.parent for path in shipped_folder().glob("*/pack.yaml"))
    return tuple(load_folder(folder) for folder in folders)


@cache
def shipped_policy(name: str) -> Mapping[str, Any]:
    """Return a shipped Policy Pack, such as ``default`` or ``demo``.

    Raises:
        PackInvalid: There is none of that name.
    """
    file = {path.stem: path for path in (shipped_folder() / "policies").glob("*.yaml")}.get(name)
    if file is None:
        raise refuse(f"policies/{name}.yaml", "There is no shipped policy of this name.", "Name another.")
    return load_policy(file.read_bytes()[:MAX_FILE_BYTES], file=f"policies/{name}.yaml")


def shipped_policies() -> list[Mapping[str, Any]]:
    """Return every shipped Policy Pack, by name."""
    return [shipped_policy(path.stem) for path in sorted((shipped_folder() / "policies").glob("*.yaml"))]


def default_policy() -> Mapping[str, Any]:
    """Return what holds for a tenant that has chosen no policy."""
    return (
        shipped_policy("default")
        if (shipped_folder() / "policies" / "default.yaml").exists()
        else DEFAULT_POLICY
    )
