"""Checks the playbooks and runbooks of a pack: names, expressions, and that data never becomes shell text."""

import re
from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any, Final

from fettle.packs.expressions import template_error, templates
from fettle.packs.parts import Item, Parts, Problems, parameter_problems
from fettle.packs.yaml_reader import Path, pointer_path
from fettle.tools.playbook_reader import parse_playbook
from fettle.tools.playbooks import PlaybookError

_SCRIPT_FLAGS: Final = frozenset(
    ("-c", "-command", "-encodedcommand", "-ec", "-e", "-enc", "/c", "/k", "--command", "-lc", "-ic", "-xc")
)
_SHELLS: Final = re.compile(
    r"(?i)(?:^|[/\\])(?:ba|da|k|z|c|tc)?sh$|(?:^|[/\\])(?:powershell|pwsh|cmd|python3?|perl|osascript|ruby)(?:\.exe)?$"
)
_DRIVE_OR_PARENT = re.compile(r"^[A-Za-z]:|(^|/)\.\.(/|$)")


def check_playbooks(parts: Parts) -> Problems:
    """Yield what is wrong with each playbook, as the runner would read it, and with what it names."""
    for item in parts.section("playbooks").values():
        yield from parameter_problems(item)
        yield from _check_as_runner(item)
        for path, step in _steps(item.value["steps"], ("steps",)):
            yield from _check_names(parts, item, path, step)
        if "verify" in item.value:
            yield from check_names(parts, item, ("verify",), item.value["verify"])
    yield from _check_cycles(parts)


def _check_as_runner(item: Item) -> Problems:
    try:
        parse_playbook(item.value)
    except PlaybookError as error:
        for fault in error.faults:
            what, _, mend = fault.detail.partition("; ")
            fix = f"{mend[0].upper()}{mend[1:]}." if mend else "Correct it."
            yield item.problem(pointer_path(fault.path), f"The playbook cannot run: {what}.", fix)


def _steps(steps: Sequence[Mapping[str, Any]], base: Path) -> Iterator[tuple[Path, Mapping[str, Any]]]:
    for index, step in enumerate(steps):
        yield (*base, index), step
        yield from _steps(step.get("parallel", []), (*base, index, "parallel"))


def _check_names(parts: Parts, item: Item, path: Path, step: Mapping[str, Any]) -> Problems:
    if "tool" in step:
        yield from check_names(parts, item, path, step)
    if "rollback" in step:
        yield from check_names(parts, item, (*path, "rollback"), step["rollback"])
    if "playbook" in step:
        unknown = parts.unknown("playbooks", step["playbook"])
        if unknown is not None:
            yield item.problem((*path, "playbook"), *unknown)


def check_names(parts: Parts, item: Item, path: Path, call: Mapping[str, Any]) -> Problems:
    """Yield what is wrong with the names in one call of a tool: the tool's, and a runbook's."""
    unknown = parts.unknown_tool(call["tool"])
    if unknown is not None:
        yield item.problem((*path, "tool"), *unknown)
    runbook = call.get("with", {}).get("runbook_id")
    if isinstance(runbook, str) and not templates(runbook):
        missing = parts.unknown("runbooks", runbook)
        if missing is not None:
            yield item.problem((*path, "with", "runbook_id"), *missing)


def check_verification(parts: Parts, item: Item) -> Problems:
    """Yield what is wrong with the call that says whether an exception type is in order again."""
    call = item.value["verify"]
    yield from check_names(parts, item, ("verify",), call)
    yield from _check_texts(item, ("verify", "with"), call.get("with", {}))


def _check_texts(item: Item, path: Path, value: Any) -> Problems:
    if isinstance(value, str):
        reason = template_error(value)
        if reason is not None:
            yield item.problem(path, f"The template does not compile: {reason}", "Correct it.")
    elif isinstance(value, Mapping):
        for name, child in value.items():
            yield from _check_texts(item, (*path, name), child)
    elif isinstance(value, list):
        for index, child in enumerate(value):
            yield from _check_texts(item, (*path, index), child)


def _check_cycles(parts: Parts) -> Problems:
    playbooks = parts.section("playbooks")
    calls = {
        key: [step["playbook"] for _, step in _steps(item.value["steps"], ()) if "playbook" in step]
        for key, item in playbooks.items()
    }
    for key, item in playbooks.items():
        seen: set[str] = set()
        pending = list(calls[key])
        while pending:
            name = pending.pop()
            if name == key:
                yield item.problem(
                    ("steps",), f"'{key}' calls itself, directly or through others.", "Break the ring."
                )
                break
            if name not in seen:
                seen.add(name)
                pending.extend(calls.get(name, []))


def check_runbooks(parts: Parts) -> Problems:
    """Yield what is wrong with each runbook."""
    for item in parts.section("runbooks").values():
        yield from parameter_problems(item)
        yield from _check_commands(item)
        yield from _check_paths(item)
        yield from _check_steps(item)


def _check_steps(item: Item) -> Problems:
    steps = [
        (section, index, step)
        for section in ("steps", "rollback")
        for index, step in enumerate(item.value.get(section, []))
    ]
    commands = {command["id"] for command in item.value.get("commands", [])}
    for section, index, step in steps:
        if "command" in step and step["command"] not in commands:
            yield item.problem(
                (section, index, "command"),
                f"The runbook declares no command '{step['command']}'.",
                f"Its commands are: {', '.join(sorted(commands)) or 'none'}.",
            )
        yield from _check_parameters_named(item, (section, index), step)
    used = {step.get("command") for _, _, step in steps}
    for index, command in enumerate(item.value.get("commands", [])):
        if command["id"] not in used:
            yield item.problem(
                ("commands", index), "No step runs this command.", "Use it, or remove it.", "warning"
            )


def _check_commands(item: Item) -> Problems:
    seen: set[str] = set()
    for index, command in enumerate(item.value.get("commands", [])):
        where: Path = ("commands", index)
        if command["id"] in seen:
            yield item.problem(where, f"The command '{command['id']}' stands twice.", "Rename one.")
        seen.add(command["id"])
        argv = command["argv"]
        if templates(argv[0]):
            yield item.problem(
                (*where, "argv", 0), "The program itself comes from data.", "Name the program."
            )
        if any(templates(argument) for argument in argv) and _runs_a_script(argv):
            yield item.problem(
                (*where, "argv"),
                "Data would become part of a script's text.",
                "Call the program itself with one argument for each value, without a shell.",
            )
        yield from _check_parameters_named(item, where, command)


def _runs_a_script(argv: Sequence[str]) -> bool:
    """Say whether any argument is program text for an interpreter, also behind sudo or env."""
    return any(_SHELLS.search(argument) for argument in argv) and any(
        argument.lower() in _SCRIPT_FLAGS for argument in argv[1:]
    )


def _check_parameters_named(item: Item, path: Path, value: Any) -> Problems:
    declared = item.value.get("parameters", {})
    yield from _check_texts(item, path, value)
    for name in sorted(set(_named(value))):
        if name not in declared:
            yield item.problem(
                path,
                f"The runbook declares no parameter '{name}'.",
                f"Its parameters are: {', '.join(declared) or 'none'}.",
            )


def _named(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        for expression in templates(value):
            yield from re.findall(r"\bparams\.([A-Za-z_][A-Za-z0-9_]*)", expression)
    elif isinstance(value, Mapping):
        for child in value.values():
            yield from _named(child)
    elif isinstance(value, list):
        for child in value:
            yield from _named(child)


def _check_paths(item: Item) -> Problems:
    globs = item.value.get("paths", [])
    named: list[tuple[Path, str]] = [(("paths", index), glob) for index, glob in enumerate(globs)]
    for section in ("steps", "rollback"):
        for index, step in enumerate(item.value.get(section, [])):
            named += [
                ((section, index, name), step[name]) for name in ("path", "from", "pidfile") if name in step
            ]
    for path, text in named:
        if _DRIVE_OR_PARENT.search(text):
            yield item.problem(
                path, f"'{text}' leads outside the sandbox.", "Write a path below the sandbox."
            )
        elif (
            path[0] != "paths"
            and not templates(text)
            and not any(_matches(text.split("/"), glob.split("/")) for glob in globs)
        ):
            yield item.problem(path, f"'{text}' is not covered by the runbook's paths.", "Add it to paths.")
    if item.value["executor"] == "local" and not globs:
        yield item.problem(
            ("executor",), "A local runbook declares no paths.", "Add paths: what it may touch."
        )


def _matches(parts: Sequence[str], glob: Sequence[str]) -> bool:
    """Say whether a path fits a glob: ``*`` stays within one component, ``**`` does not."""
    if not glob:
        return not parts
    if glob[0] == "**":
        return any(_matches(parts[skip:], glob[1:]) for skip in range(len(parts) + 1))
    return bool(parts) and fnmatchcase(parts[0], glob[0]) and _matches(parts[1:], glob[1:])
