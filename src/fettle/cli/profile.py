"""Which installation the command line talks to, and with which key: the environment, or a saved profile."""

import json
import os
from dataclasses import dataclass
from pathlib import Path

from fettle.cli.exits import CommandError, Exit


@dataclass(frozen=True, slots=True)
class Profile:
    """How to reach an installation.

    Attributes:
        url: Its address.
        api_key: The key of a tenant.
    """

    url: str
    api_key: str | None


def load_profile(home: Path, default_url: str) -> Profile:
    """Return the profile: ``FETTLE_URL`` and ``FETTLE_API_KEY`` win over what was saved in the home folder."""
    saved = _saved(home)
    url = os.environ.get("FETTLE_URL") or saved.get("url") or default_url
    return Profile(url.rstrip("/"), os.environ.get("FETTLE_API_KEY") or saved.get("api_key"))


def save_profile(home: Path, *, url: str | None = None, api_key: str | None = None) -> None:
    """Save what is given beside what was saved; nobody else may read it."""
    given = {name: value for name, value in (("url", url), ("api_key", api_key)) if value is not None}
    path = _path(home)
    temporary = path.with_suffix(".new")
    temporary.unlink(missing_ok=True)
    temporary.touch(mode=0o600)
    temporary.write_text(json.dumps({**_saved(home), **given}), encoding="utf-8")
    temporary.replace(path)


def _saved(home: Path) -> dict[str, str]:
    path = _path(home)
    try:
        return {str(name): str(value) for name, value in json.loads(path.read_text(encoding="utf-8")).items()}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, AttributeError) as error:
        raise CommandError(f"{path} cannot be read ({error}); remove it.", Exit.BAD_SETTING) from None


def _path(home: Path) -> Path:
    return home / "profile.json"
