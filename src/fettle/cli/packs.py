"""``fettle packs``: checks packs offline; installs, activates and rolls them back by the API."""

import io
import json
import tarfile
from pathlib import Path
from typing import Annotated, Any

import typer

from fettle.cli.client import Api
from fettle.cli.exits import CommandError, Exit
from fettle.cli.output import AsJson, facts, print_json, show, table
from fettle.packs.diff import PackDiff, diff
from fettle.packs.files import SIGNATURE_FILE, PackFiles, read_archive, read_folder
from fettle.packs.loading import DomainPack, Examination, examine
from fettle.packs.problems import PackInvalid, PackProblem

app = typer.Typer(no_args_is_help=True)

Place = Annotated[Path, typer.Argument(help="Folder or archive of a pack.", show_default=False)]
PackName = Annotated[str, typer.Argument(help="Id of an installed pack.", show_default=False)]

_COLUMNS = ("id", "active_version", "latest_version", "origin", "title")


@app.command()
def validate(place: Place, as_json: AsJson = False) -> None:
    """Say everything that is wrong with a pack: file, line, path and the fix."""
    found = _examine(place)
    document = {
        "valid": found.pack is not None,
        "pack": _name(found.pack),
        "problems": [problem.document() for problem in found.problems],
    }
    if as_json:
        print_json(document)
    else:
        for problem in found.problems:
            print(problem)
        print(f"{_label(found.pack)} is valid." if found.pack else f"{len(found.errors)} errors.")
    raise typer.Exit(Exit.OK if found.pack else Exit.FOUND_WRONG)


@app.command("test")
def try_pack(place: Place, as_json: AsJson = False) -> None:
    """Run a pack's own test cases, and name the rules that no case tries."""
    from fettle.packs.testing import run_tests  # noqa: PLC0415 - compiles the rules, which validate does not

    pack = _load(place)
    report = run_tests(pack)
    if as_json:
        print_json(report.document())
    else:
        for case in report.cases:
            for failure in case.failures:
                print(f"{case.name}: {failure}")
        failed = sum(not case.passed for case in report.cases)
        for rule in report.untested:
            print(f"{rule}: no test case expects this rule.")
        print(f"{len(report.cases) - failed} of {len(report.cases)} test cases passed.")
    raise typer.Exit(Exit.OK if report.passed else Exit.FOUND_WRONG)


@app.command("diff")
def compare(
    before: Annotated[Path, typer.Argument(help="Folder or archive of the old version.")],
    after: Annotated[Path, typer.Argument(help="Folder or archive of the new version.")],
    as_json: AsJson = False,
) -> None:
    """Say what differs between two versions; the status is 1 when anything does."""
    compared = diff(_load(before), _load(after))
    if as_json:
        print_json(compared.document())
    else:
        for line in _diff_lines(compared):
            print(line)
    raise typer.Exit(Exit.OK if compared.empty else Exit.FOUND_WRONG)


@app.command()
def schema(
    kind: Annotated[
        str, typer.Argument(help="domain-pack, policy-pack, source-mapping or temporal-rule.")
    ] = "domain-pack",
    as_json: AsJson = False,
) -> None:
    """Print the JSON Schema of packs, for editors and other checks."""
    from fettle.packs.schema import published  # noqa: PLC0415 - only this command needs it

    documents = published()
    if kind not in documents:
        raise CommandError(f"there is no schema {kind!r}; known: {', '.join(documents)}.", Exit.USAGE)
    if as_json:
        print_json(json.loads(documents[kind]))
    else:
        typer.echo(documents[kind], nl=False)


@app.command()
def sign(
    place: Annotated[Path, typer.Argument(help="Folder of the pack; the signature is written into it.")],
    key: Annotated[Path, typer.Option(help="File with an Ed25519 private key in PEM.", show_default=False)],
    as_json: AsJson = False,
) -> None:
    """Sign a pack's folder, and print the public key that an operator has to trust."""
    from fettle.packs import signing  # noqa: PLC0415 - as above

    pack = _load(place)
    try:
        private_key = signing.read_private_key(key.read_bytes())
    except OSError as error:
        raise CommandError(f"{key}: {error.strerror}.", Exit.USAGE) from None
    except ValueError as error:
        raise CommandError(f"{key}: {error}.", Exit.USAGE) from None
    target = place / SIGNATURE_FILE
    target.write_bytes(signing.sign(pack.id, pack.version, pack.digest, private_key))
    document = {
        "pack": _name(pack),
        "digest": pack.digest,
        "signature": str(target),
        "public_key": signing.public_text(private_key.public_key()),
    }
    show(document, as_json=as_json, text=facts(document))


@app.command("list")
def list_packs(as_json: AsJson = False) -> None:
    """List the installed packs and what the tenant works with."""
    items = list(Api.of_profile().pages("/packs"))
    show(
        {"items": items},
        as_json=as_json,
        text=table(_COLUMNS, ([item.get(name) for name in _COLUMNS] for item in items)),
    )


@app.command()
def install(place: Place, as_json: AsJson = False) -> None:
    """Check a pack, send it to the installation, and install it there."""
    _load(place)
    answer = Api.of_profile().upload("/packs", pack_archive(_files(place)))
    show(answer, as_json=as_json, text=f"{answer['id']} is installed; activate it for a tenant.")


@app.command()
def activate(
    pack: PackName,
    version: Annotated[str, typer.Argument(help="Which version to work with.", show_default=False)],
    as_json: AsJson = False,
) -> None:
    """Let the tenant work with a version of a pack from now on."""
    answer = Api.of_profile().post(f"/packs/{pack}/activate", {"version": version})
    show(answer, as_json=as_json, text=f"{pack} {version} is active.")


@app.command()
def deactivate(pack: PackName, as_json: AsJson = False) -> None:
    """Let the tenant work without a pack from now on."""
    answer = Api.of_profile().post(f"/packs/{pack}/deactivate", {})
    show(answer, as_json=as_json, text=f"{pack} is switched off.")


@app.command()
def rollback(pack: PackName, as_json: AsJson = False) -> None:
    """Go back to what held before the tenant's last choice."""
    answer = Api.of_profile().post(f"/packs/{pack}/rollback", {})
    show(answer, as_json=as_json, text=f"{pack} is rolled back.")


def pack_archive(files: PackFiles) -> bytes:
    """Return a pack's files as a tar.gz that is the same for the same files."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz", format=tarfile.PAX_FORMAT) as archive:
        for name in sorted(files):
            member = tarfile.TarInfo(name)
            member.size = len(files[name])
            member.mode = 0o644
            archive.addfile(member, io.BytesIO(files[name]))
    return out.getvalue()


def _files(place: Path) -> PackFiles:
    if place.is_dir():
        return read_folder(place)
    try:
        return read_archive(place.read_bytes())
    except OSError as error:
        raise CommandError(f"{place}: {error.strerror}.", Exit.USAGE) from None


def _examine(place: Path) -> Examination:
    try:
        return examine(_files(place))
    except PackInvalid as error:
        return Examination(None, tuple(error.problems))


def _load(place: Path) -> DomainPack:
    found = _examine(place)
    if found.pack is None:
        raise CommandError("\n".join(str(problem) for problem in _first(found)), Exit.FOUND_WRONG)
    return found.pack


def _first(found: Examination) -> tuple[PackProblem, ...]:
    return found.errors[:20]


def _name(pack: DomainPack | None) -> dict[str, Any] | None:
    return {"id": pack.id, "version": pack.version, "digest": pack.digest} if pack else None


def _label(pack: DomainPack | None) -> str:
    return f"{pack.id} {pack.version}" if pack else ""


def _diff_lines(compared: PackDiff) -> list[str]:
    lines = [f"{compared.before} -> {compared.after}"]
    lines += [f"  pack.yaml {change.pointer}: {change.kind}" for change in compared.manifest]
    for name, section in compared.sections.items():
        lines += [f"  + {name} {key}" for key in section.added]
        lines += [f"  - {name} {key}" for key in section.removed]
        for key, changes in section.changed.items():
            lines.append(f"  ~ {name} {key}")
            lines += [f"      {one.pointer}: {one.before!r} -> {one.after!r}" for one in changes]
    return lines if len(lines) > 1 else [*lines, "  nothing differs"]
