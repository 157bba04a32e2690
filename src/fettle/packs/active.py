"""What a tenant's active packs and its policy say, merged and compiled for the pipeline; pure."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import Any, Final

import orjson

from fettle.kernel.redaction import Redactor
from fettle.packs.loading import DomainPack
from fettle.packs.normalising import UNKNOWN_SEVERITY, ExceptionType, TypeNormaliser, lookup
from fettle.packs.schema_terms import SEVERITIES

COMMON_FINGERPRINT: Final = ("check_type", "host", "site")

DEFAULT_POLICY: Final[Mapping[str, Any]] = MappingProxyType(
    {
        "id": "built-in",
        "version": "1.0.0",
        "schema_version": 1,
        "title": "Built-in policy",
        "autonomy": "approve",
        "approvals": {"by": ["tenant_admin", "operator"], "expires_seconds": 86_400},
    }
)
"""What holds for a tenant that has chosen no policy: a person approves whatever acts."""


@dataclass(frozen=True, slots=True)
class PackConflict:
    """Two active packs define the same thing."""

    kind: str
    key: str
    packs: tuple[str, str]

    def __str__(self) -> str:
        first, second = self.packs
        return f"{self.kind} '{self.key}' is in both {first} and {second}"


class PackSet:
    """Several packs as one: every item by key, and the compiled normalisation.

    Tenants with the same packs share one of these. Where two packs define the same thing, the one whose id
    sorts first counts, and `conflicts` says so; activation refuses such a pair.
    """

    def __init__(self, packs: Iterable[DomainPack], *, builtin: frozenset[str] = frozenset()) -> None:
        self.packs = tuple(sorted(packs, key=lambda pack: pack.id))
        self.conflicts: list[PackConflict] = []
        self.types: dict[str, TypeNormaliser] = {}
        self.rules: list[Mapping[str, Any]] = []
        self.temporal_rules: list[Mapping[str, Any]] = []
        self.playbooks: dict[str, Mapping[str, Any]] = {}
        self.runbooks: dict[str, Mapping[str, Any]] = {}
        self.sources: dict[str, Mapping[str, Any]] = {}
        self.redaction: list[Mapping[str, Any]] = []
        self.trust_signals: list[Mapping[str, Any]] = []
        self.service_levels: dict[str, Mapping[str, Any]] = {}
        self.planner: dict[str, Mapping[str, Any]] = {}
        self._names: dict[str, str] = {}
        self._owners: dict[tuple[str, str], str] = {}
        for pack in self.packs:
            self._add(pack, "builtin" if pack.id in builtin else "pack")
        stamp = "\n".join(f"{pack.id} {pack.version} {pack.digest}" for pack in self.packs)
        self.version = hashlib.sha256(stamp.encode()).hexdigest()[:16]

    @cached_property
    def redactor(self) -> Redactor:
        """What the packs say must not be stored, compiled, with the built-in rules."""
        return Redactor(self.redaction)

    def _add(self, pack: DomainPack, source: str) -> None:
        platforms = {
            name.lower(): word for name, word in pack.content.get("hosts", {}).get("platforms", {}).items()
        }
        for document in pack.section("exception_types"):
            self._add_type(pack, document, platforms)
        for rule in pack.section("rules"):
            if self._own("rule", rule["id"], pack):
                self.rules.append(
                    {**rule, "source": source, "pack_id": pack.id, "pack_version": pack.version}
                )
        for rule in pack.section("temporal_rules"):
            if self._own("temporal rule", rule["id"], pack):
                self.temporal_rules.append(
                    {**rule, "source": source, "pack_id": pack.id, "pack_version": pack.version}
                )
        for kind, section, target in (
            ("playbook", "playbooks", self.playbooks),
            ("runbook", "runbooks", self.runbooks),
            ("source", "sources", self.sources),
        ):
            for item in pack.section(section):
                if self._own(kind, item["id"], pack):
                    target[item["id"]] = {"version": 1, **item, "pack_id": pack.id}
        self.redaction.extend(pack.content.get("redaction", ()))
        self.trust_signals.extend(
            {**signal, "pack_id": pack.id} for signal in pack.content.get("trust_signals", ())
        )
        self.planner[pack.id] = pack.content.get("planner", {})
        for severity, level in pack.content.get("service_levels", {}).items():
            self.service_levels.setdefault(severity, level)

    def _add_type(self, pack: DomainPack, document: Mapping[str, Any], platforms: Mapping[str, str]) -> None:
        name = document["check_type"]
        if not self._own("exception type", name, pack):
            return
        kind = ExceptionType(
            check_type=name,
            title=document["title"],
            description=document["description"],
            category=document["category"],
            platforms=tuple(document["platforms"]),
            severity=document["severity"],
            fingerprint=tuple(document.get("fingerprint", ())),
            verify=document.get("verify") or pack.content["verify"],
            controls=tuple(document.get("controls", ())),
            pack_id=pack.id,
        )
        self.types[name] = TypeNormaliser(kind, document, platforms)
        self._names[name] = name
        for alias in document.get("aliases", ()):
            if self._own("exception type", alias, pack):
                self._names[alias] = name

    def _own(self, kind: str, key: str, pack: DomainPack) -> bool:
        owner = self._owners.setdefault((kind, key), pack.id)
        if owner != pack.id:
            self.conflicts.append(PackConflict(kind, key, (owner, pack.id)))
        return owner == pack.id

    def normaliser(self, check_type: str) -> TypeNormaliser | None:
        """Return the compiled type of this name or alias."""
        name = self._names.get(check_type)
        return None if name is None else self.types[name]


class ActivePacks:
    """The packs and the policy that hold for one tenant now.

    Attributes:
        packs: The packs, merged.
        policy: The tenant's Policy Pack.
        version: Changes whenever packs or policy do.
    """

    def __init__(
        self, packs: PackSet, policy: Mapping[str, Any] = DEFAULT_POLICY, *, policy_version: int = 0
    ) -> None:
        self.packs = packs
        self.policy = policy
        self.policy_version = policy_version
        chosen = orjson.dumps(dict(policy), option=orjson.OPT_SORT_KEYS)
        self.version = f"{packs.version}.{hashlib.sha256(chosen).hexdigest()[:16]}"

    @classmethod
    def of(cls, packs: Iterable[DomainPack], policy: Mapping[str, Any] = DEFAULT_POLICY) -> "ActivePacks":
        """Return what these packs and this policy say together."""
        return cls(PackSet(packs), policy)

    @property
    def rules(self) -> Sequence[Mapping[str, Any]]:
        """L1 rules of all packs, each with its source, pack and that pack's version."""
        return self.packs.rules

    @property
    def playbooks(self) -> Mapping[str, Mapping[str, Any]]:
        """Playbooks by id."""
        return self.packs.playbooks

    @property
    def runbooks(self) -> Mapping[str, Mapping[str, Any]]:
        """Runbooks by id."""
        return self.packs.runbooks

    @property
    def sources(self) -> Mapping[str, Mapping[str, Any]]:
        """Programs that send, and how what they send is read, by id."""
        return self.packs.sources

    @property
    def redaction(self) -> Sequence[Mapping[str, Any]]:
        """Patterns of what must not be stored."""
        return self.packs.redaction

    @property
    def trust_signals(self) -> Sequence[Mapping[str, Any]]:
        """Signals that actions depend on."""
        return self.packs.trust_signals

    @cached_property
    def check_types(self) -> Sequence[ExceptionType]:
        """Every exception type, by name."""
        return [self.packs.types[name].type for name in sorted(self.packs.types)]

    def guidance(self, check_type: str) -> Mapping[str, Any]:
        """Return what the pack of a check type tells the planner; nothing for one that no pack declares."""
        kind = self.exception_type(check_type)
        return {} if kind is None else self.packs.planner[kind.pack_id]

    def exception_type(self, check_type: str) -> ExceptionType | None:
        """Return what the packs say of a check type or one of its aliases."""
        normaliser = self.packs.normaliser(check_type)
        return None if normaliser is None else normaliser.type

    def normalise(self, exception: Mapping[str, Any]) -> dict[str, Any]:
        """Return an exception in the packs' words.

        Besides the sender's fields the result holds `check_type` (an alias or a general alert is replaced by
        what it means, and `reported_as` keeps the sender's word), `severity`, `title`, `pack_id` and
        `category`. What no pack knows passes as it is.
        """
        result = dict(exception)
        normaliser = self.packs.normaliser(exception["check_type"])
        if normaliser is not None:
            normaliser.assign(result)
            meant = normaliser.target(result)
            if meant is not None:
                normaliser = self.packs.normaliser(meant) or normaliser
                normaliser.assign(result)
            normaliser.finish(result)
            if normaliser.type.check_type != exception["check_type"]:
                result["reported_as"] = exception["check_type"]
            result["check_type"] = normaliser.type.check_type
            result["category"] = normaliser.type.category
            result["pack_id"] = normaliser.type.pack_id
        elif result.get("severity") not in SEVERITIES:
            result["severity"] = UNKNOWN_SEVERITY
        result["title"] = _title(result, normaliser)
        return result

    def severity(self, exception: Mapping[str, Any]) -> str:
        """Return the severity of an exception: its sender's, else what the packs say of it."""
        severity: str = self.normalise(exception)["severity"]
        return severity

    def fingerprint_fields(self, check_type: str) -> list[str]:
        """Return the dotted paths that tell one incident of a check type from another."""
        kind = self.exception_type(check_type)
        return [*COMMON_FINGERPRINT, *(kind.fingerprint if kind is not None else ())]

    def fingerprint(self, exception: Mapping[str, Any]) -> str:
        """Return the fingerprint of a normalised exception: SHA-256 in hex.

        A sender's `dedup_key` decides alone, within that source. Host names count without regard to case.
        """
        if exception.get("dedup_key"):
            basis: list[Any] = ["key", exception.get("source"), exception["dedup_key"]]
        else:
            host = exception.get("host")
            kind = self.exception_type(exception["check_type"])
            own = (
                [lookup(exception, path.split(".")) for path in kind.fingerprint] if kind is not None else []
            )
            basis = [
                "check",
                exception["check_type"],
                host.lower() if isinstance(host, str) else None,
                exception.get("site"),
                *own,
            ]
        return hashlib.sha256(orjson.dumps(basis, option=orjson.OPT_SORT_KEYS)).hexdigest()


def _title(exception: Mapping[str, Any], normaliser: TypeNormaliser | None) -> str:
    summary = exception.get("summary")
    if isinstance(summary, str) and summary.strip():
        return summary.strip()[:300]
    name = normaliser.type.title if normaliser is not None else str(exception["check_type"]).replace("_", " ")
    host = exception.get("host")
    return f"{name} on {host}" if host else name
