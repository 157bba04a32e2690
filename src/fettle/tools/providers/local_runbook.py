"""Executes one runbook on this machine, inside a host's folder: files by descriptor, programs without a shell."""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from fettle.kernel import jsonio
from fettle.kernel.expressions import OPENING, ExpressionError, compile_template
from fettle.tools.providers import processes
from fettle.tools.providers.sandbox import Sandbox
from fettle.tools.registry import OutcomeUnknown, ToolError

_DEFAULT_TIMEOUT_SECONDS: Final = 60.0
_PID_PATIENCE_SECONDS: Final = 2.0
_POLL_SECONDS: Final = 0.02
_SHOWN_BYTES: Final = 1_000

Done = dict[str, Any]


class LocalRunbook:
    """One execution of a runbook's steps.

    Args:
        runbook: The runbook, from a pack.
        steps: Its steps, or those that undo it.
        sandbox: The host's folder.
        parameters: As checked against the runbook's schema.
        journal: A file that tells of commands that were begun, so that after a crash none is run twice.
    """

    def __init__(
        self,
        runbook: Mapping[str, Any],
        steps: Sequence[Mapping[str, Any]],
        sandbox: Sandbox,
        parameters: Mapping[str, Any],
        journal: "Journal",
    ) -> None:
        self._steps = steps
        self._sandbox = sandbox
        self._environment = {"params": dict(parameters)}
        self._journal = journal
        self._timeout_seconds = float(runbook.get("timeout_seconds", _DEFAULT_TIMEOUT_SECONDS))
        self._commands = {command["id"]: command for command in runbook.get("commands", ())}
        self._undo: list[Callable[[], None]] = []

    async def execute(self) -> list[Done]:
        """Do the steps in order and say what each did; when one fails, the files are put back.

        Raises:
            ToolError: A step failed.
            OutcomeUnknown: A command was begun by a process that died, so nobody knows what it did.
        """
        done: list[Done] = []
        try:
            async with asyncio.timeout(self._timeout_seconds):
                for number, step in enumerate(self._steps):
                    done.append(await self._step(number, step))
        except TimeoutError:
            self._put_back()
            raise ToolError("timeout", f"the runbook took longer than {self._timeout_seconds:g} s") from None
        except (ToolError, ExpressionError) as error:
            self._put_back()
            if isinstance(error, ToolError):
                raise
            raise ToolError("expression", str(error)) from None
        return done

    def preview(self) -> list[Done]:
        """Say what the steps would do, without doing any of it.

        Raises:
            ToolError: A step could not be done as it stands.
        """
        try:
            return [self._preview(step) for step in self._steps]
        except ExpressionError as error:
            raise ToolError("expression", str(error)) from None

    def _preview(self, step: Mapping[str, Any]) -> Done:
        said: Done = {"action": step["action"], "title": step.get("title", step["action"])}
        for name in ("path", "from", "pidfile", "mode"):
            if name in step:
                said[name] = self._text(step[name])
        for name in ("path", "from", "pidfile"):
            if name in said:
                self._sandbox.check(said[name])
        if "command" in step:
            said["argv"] = self._argv(self._command(step))
        if "content" in step:
            said["content"] = self._text(step["content"])[:_SHOWN_BYTES]
        return said

    async def _step(self, number: int, step: Mapping[str, Any]) -> Done:
        actions: dict[str, Callable[[int, Mapping[str, Any]], Awaitable[Done]]] = {
            "set_mode": self._set_mode,
            "write_file": self._write_file,
            "restore_file": self._restore_file,
            "command": self._run_command,
            "start_process": self._start_process,
            "stop_process": self._stop_process,
        }
        action = actions.get(step["action"])
        if action is None:
            raise ToolError("action", f"this executor does not know the action {step['action']}")
        return {
            "action": step["action"],
            "title": step.get("title", step["action"]),
            **await action(number, step),
        }

    async def _set_mode(self, _: int, step: Mapping[str, Any]) -> Done:
        path, wanted = self._text(step["path"]), int(self._text(step["mode"]), 8)
        before = self._sandbox.mode(path)
        if before != wanted:
            self._undo.append(lambda: self._sandbox.set_mode(path, before))
            self._sandbox.set_mode(path, wanted)
        return {"path": path, "before": f"{before:04o}", "mode": f"{wanted:04o}", "changed": before != wanted}

    async def _write_file(self, _: int, step: Mapping[str, Any]) -> Done:
        mode = int(self._text(step["mode"]), 8) if "mode" in step else None
        return await self._put(self._text(step["path"]), self._text(step["content"]).encode(), mode)

    async def _restore_file(self, _: int, step: Mapping[str, Any]) -> Done:
        source = self._text(step["from"])
        content = await asyncio.to_thread(self._sandbox.read, source)
        if content is None:
            raise ToolError("file", f"{source} is not there, so nothing can be restored from it")
        return {"from": source, **await self._put(self._text(step["path"]), content, None)}

    async def _put(self, path: str, content: bytes, mode: int | None) -> Done:
        before = await asyncio.to_thread(self._sandbox.read, path)
        mode_before = None if before is None else self._sandbox.mode(path)
        changed = before != content or (mode is not None and mode != mode_before)
        if changed:
            await asyncio.to_thread(self._sandbox.write, path, content, mode)
            self._undo.append(lambda: self._put_file_back(path, before, mode_before))
        digests = {"sha256": _digest(content), "sha256_before": None if before is None else _digest(before)}
        return {"path": path, "changed": changed, **digests}

    def _put_file_back(self, path: str, content: bytes | None, mode: int | None) -> None:
        if content is None:
            self._sandbox.remove(path)
        else:
            self._sandbox.write(path, content, mode)

    async def _run_command(self, number: int, step: Mapping[str, Any]) -> Done:
        command = self._command(step)
        argv = self._argv(command)
        before = await asyncio.to_thread(self._journal.begin, number)
        if before is not None:
            return before
        try:
            finished = await processes.run(argv, self._sandbox.path, self._timeout_seconds)
        except ToolError:
            await asyncio.to_thread(self._journal.forget, number)
            raise
        done = {"argv": argv, "exit_status": finished.exit_status, "stdout": finished.stdout,
                "stderr": finished.stderr, "changed": True}  # fmt: skip
        if finished.exit_status not in command.get("expect_exit", [0]):
            await asyncio.to_thread(self._journal.forget, number)
            said = (finished.stderr or finished.stdout).strip()[:_SHOWN_BYTES]
            raise ToolError(
                "command", f"{argv[0]} ended with {finished.exit_status}: {said or 'it said nothing'}"
            )
        await asyncio.to_thread(self._journal.end, number, done)
        return done

    async def _start_process(self, _: int, step: Mapping[str, Any]) -> Done:
        pidfile = self._text(step["pidfile"])
        argv = self._argv(self._command(step))
        pid = await self._pid(pidfile)
        if pid is not None:
            return {"pidfile": pidfile, "pid": pid, "changed": False}
        started = await processes.start_detached(argv, self._sandbox.path)
        for _ in range(int(_PID_PATIENCE_SECONDS / _POLL_SECONDS)):
            pid = await self._pid(pidfile)
            if pid is not None or not processes.alive(started, self._sandbox.path):
                break
            await asyncio.sleep(_POLL_SECONDS)
        if pid is None and processes.alive(started, self._sandbox.path):
            # The program notes no process id itself, so we do.
            await asyncio.to_thread(self._sandbox.write, pidfile, f"{started}\n".encode())
            pid = started
        if pid is None:
            raise ToolError("command", f"{argv[0]} was started and ended at once")
        return {"pidfile": pidfile, "pid": pid, "argv": argv, "changed": True}

    async def _stop_process(self, _: int, step: Mapping[str, Any]) -> Done:
        pidfile = self._text(step["pidfile"])
        pid = await self._pid(pidfile)
        if pid is not None:
            await processes.stop(pid, self._sandbox.path)
            if processes.alive(pid, self._sandbox.path):
                raise ToolError("process", f"the process of {pidfile} does not end")
        return {"pidfile": pidfile, "pid": pid, "changed": pid is not None}

    async def _pid(self, pidfile: str) -> int | None:
        content = await asyncio.to_thread(self._sandbox.read, pidfile)
        text = (content or b"")[:20].decode("ascii", "replace").strip()
        if not text.isdecimal():
            return None
        pid = int(text)
        return pid if processes.alive(pid, self._sandbox.path) else None

    def _command(self, step: Mapping[str, Any]) -> Mapping[str, Any]:
        command: Mapping[str, Any] | None = self._commands.get(step.get("command", ""))
        if command is None:
            raise ToolError("command", f"the runbook declares no command {step.get('command')!r}")
        return command

    def _argv(self, command: Mapping[str, Any]) -> list[str]:
        program, *declared = command["argv"]
        if OPENING in program:
            raise ToolError("command", "the program itself must not come from data")
        if "/" in program and not program.startswith("/"):
            program = self._sandbox.program(program)
        return [program, *(self._argument(argument) for argument in declared)]

    def _argument(self, declared: str) -> str:
        """Return one argument; what data adds can be neither an option nor a way out of the folder."""
        text = self._text(declared)
        if OPENING not in declared:
            return text
        if text.startswith("-") and not declared.startswith("-"):
            raise ToolError(
                "argument", "a value that begins with `-` would be read as an option; it is refused"
            )
        if text.startswith(("/", "~")) and not declared.startswith(("/", "~")):
            raise ToolError(
                "argument", "a value that begins with `/` or `~` leads out of the folder; it is refused"
            )
        if ".." in text.replace("=", "/").split("/"):
            raise ToolError("argument", "a value with `..` leads out of the folder; it is refused")
        return text

    def _text(self, template: str) -> str:
        value = compile_template(template).render(self._environment)
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise ToolError("argument", "a text or a number is needed here, not a list, an object or nothing")
        text = str(value)
        if "\x00" in text:
            raise ToolError("argument", "the value holds U+0000")
        return text

    def _put_back(self) -> None:
        for undo in reversed(self._undo):
            try:
                undo()
            except (ToolError, OSError) as error:
                raise OutcomeUnknown(f"a step failed, and a file could not be put back: {error}") from None


class Journal:
    """Remembers on disk which commands of one call were begun and which ended.

    Args:
        folder: Of the installation, outside of every host's folder.
        key: The call's idempotency key.
    """

    def __init__(self, folder: Path, key: str) -> None:
        self._folder = folder
        self._name = hashlib.sha256(key.encode()).hexdigest()[:40]

    def begin(self, number: int) -> Done | None:
        """Note that a command begins; returns what it did, where it ended before.

        Raises:
            OutcomeUnknown: It was begun before and nobody knows how it ended.
        """
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        try:
            with self._file(number).open("xb"):
                return None
        except FileExistsError:
            content = self._file(number).read_bytes()
        if not content:
            raise OutcomeUnknown("a command was begun by a process that died; look whether it took effect")
        before: Done = jsonio.parse(content)
        return {**before, "repeated": False}

    def end(self, number: int, done: Done) -> None:
        """Note what a command did."""
        draft = self._file(number).with_suffix(".draft")
        draft.write_bytes(jsonio.dumps(done))
        draft.replace(self._file(number))

    def forget(self, number: int) -> None:
        """Note that a command failed, so that it may be tried again."""
        self._file(number).unlink(missing_ok=True)

    def _file(self, number: int) -> Path:
        return self._folder / f"{self._name}-{number}.json"


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
