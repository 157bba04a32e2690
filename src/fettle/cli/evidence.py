"""``fettle evidence``: lists and exports evidence by the API, verifies an export offline."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fettle.cli.client import Api
from fettle.cli.exits import CommandError, Exit
from fettle.cli.output import AsJson, facts, print_json, show, show_list, table

if TYPE_CHECKING:
    from fettle.evidence.audit_records import AuditReport

app = typer.Typer(no_args_is_help=True)

_COLUMNS = ("sequence", "sealed_at", "kind", "incident_number", "incident_title", "id", "hash")


@app.command("list")
def list_bundles(
    incident: Annotated[str | None, typer.Option(help="Id of an incident; only its bundles.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="How many at most.")] = 50,
    as_json: AsJson = False,
) -> None:
    """List evidence bundles, the newest first."""
    items = list(Api.of_profile().pages("/evidence", limit=limit, incident_id=incident))
    show_list(items, _COLUMNS, as_json=as_json)


@app.command("show")
def show_bundle(
    bundle: Annotated[str, typer.Argument(help="Id of the bundle.")], as_json: AsJson = False
) -> None:
    """Show one bundle, whole."""
    found = Api.of_profile().get(f"/evidence/{bundle}")
    head = {name: found[name] for name in _COLUMNS}
    content = json.dumps(found["bundle"]["content"], indent=2, ensure_ascii=False)
    show(found, as_json=as_json, text=lambda: [facts(head), "", content])


@app.command()
def export(
    file: Annotated[Path, typer.Option("--file", "-o", help="Where to.")],
    as_json: AsJson = False,
) -> None:
    """Export the whole chain as JSON lines, with the keys and a checkpoint."""
    written = 0
    with Api.of_profile().download("/evidence/export") as answer, file.open("wb") as out:
        for piece in answer.iter_bytes():
            written += out.write(piece)
    show({"file": str(file), "bytes": written}, as_json=as_json, text=f"{file}: {written} bytes")


@app.command()
def keys(as_json: AsJson = False) -> None:
    """List the public keys that evidence is sealed with; keep them apart from the exports, for --key."""
    found = Api.of_profile().get("/evidence/keys")
    columns = ("key_id", "public_key", "created_at")
    rows = ([key.get(name) for name in columns] for key in found["keys"])
    show(found, as_json=as_json, text=table(columns, rows))


@app.command()
def checkpoint(
    file: Annotated[Path | None, typer.Option("--file", "-o", help="Where to; else standard output.")] = None,
    as_json: AsJson = False,
) -> None:
    """Save how long the chain is now and what it ends in, signed; keep it apart from the exports."""
    found = Api.of_profile().get("/evidence/checkpoint")
    if file is None:
        print_json(found)
        return
    file.write_text(json.dumps(found) + "\n")
    show(found, as_json=as_json, text=f"{file}: {found['size']} bundles")


@app.command()
def verify(
    file: Annotated[Path, typer.Argument(help="An export.", show_default=False)],
    key: Annotated[
        list[str] | None, typer.Option(help="A public key in base64 that you trust; may be repeated.")
    ] = None,
    checkpoint_file: Annotated[
        Path | None, typer.Option("--checkpoint", help="The newest checkpoint that you hold.")
    ] = None,
    audit: Annotated[
        Path | None, typer.Option(help="An export of the audit (JSON lines) to hold against the chain.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Check an export offline, and name the first bundle that fails and how."""
    from fettle.evidence.export import ExportError, verify_export  # noqa: PLC0415 - cryptography loads slowly

    try:
        found = verify_export(file, keys=key or (), checkpoint=_checkpoint(checkpoint_file))
    except ExportError as error:
        raise CommandError(f"{file}: {error}", Exit.USAGE) from None
    except OSError as error:
        raise CommandError(f"{file}: {error.strerror}.", Exit.USAGE) from None
    report = found.report
    # We write every export from the first bundle on: whoever cut the beginning off had to say so in the header.
    missing = found.header.first_sequence - 1
    document = {"file": str(file), "pinned": found.pinned, "keys": list(found.header.keys), **asdict(report)}
    document |= {"ok": report.ok and not missing, "missing_before": missing}
    records = None if audit is None or not report.ok else _audit(file, audit)
    if records is not None:
        document["audit"] = {**asdict(records), "ok": records.ok}
    if as_json:
        print_json(document)
    elif report.failure is not None:
        print(f"FAILED at bundle {report.failure.sequence}: {report.failure.fault}. {report.failure.detail}")
        print(f"{report.checked} bundles before it hold.")
    elif missing:
        print(
            f"FAILED: the file begins with bundle {found.header.first_sequence}, so {missing} before it are missing. "
            f"The {report.checked} in it hold."
        )
    else:
        print(f"{report.checked} bundles hold; the chain ends in {report.head}.")
        if not found.pinned:
            print(
                "The file vouches for itself. Give --key or --checkpoint that came to you another way "
                f"(its oldest key is {found.header.keys[0] if found.header.keys else 'none'})."
            )
    if records is not None and not as_json:
        print(
            f"{records.held} audit records are what was sealed; {len(records.changed)} were changed, "
            f"{len(records.unsealed)} are not sealed, {records.absent} that were sealed are not in the file."
        )
        for record_id in records.changed[:20]:
            print(f"CHANGED: audit record {record_id}")
    holds = report.ok and not missing and (records is None or records.ok)
    raise typer.Exit(Exit.OK if holds else Exit.FOUND_WRONG)


def _audit(chain: Path, audit: Path) -> "AuditReport":
    """Hold exported records against a chain whose bundles were verified."""
    from fettle.evidence.audit_records import compare  # noqa: PLC0415 - as above

    try:
        with chain.open("rb") as bundles, audit.open("rb") as records:
            next(bundles)
            return compare(map(json.loads, bundles), map(json.loads, records))
    except (OSError, ValueError, AttributeError) as error:
        raise CommandError(f"{audit}: {error}", Exit.USAGE) from None


def _checkpoint(file: Path | None) -> dict[str, Any] | None:
    if file is None:
        return None
    try:
        found = json.loads(file.read_bytes())
    except (OSError, ValueError) as error:
        raise CommandError(f"{file}: {error}", Exit.USAGE) from None
    return found if isinstance(found, dict) else {}
