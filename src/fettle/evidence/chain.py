"""The evidence chain of a tenant: sealed bundles, each bound to the one before, and their verification; pure.

A bundle's link holds the hash of the bundle before and of its own content. One Ed25519 signature (RFC 8032)
stands over the Merkle root (RFC 6962) of the links sealed together, and each bundle carries its path to that
root, so each can be checked by itself and sealing a hundred costs one signature.
"""

from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, NamedTuple

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from fettle.evidence import merkle
from fettle.evidence.canonical import (
    NotCanonicalError,
    canonical,
    content_hash,
    content_matches,
    link_hash,
    with_content,
)
from fettle.evidence.signing import PublicKeys, Signer, keys_by_id, read_checkpoint, signs

FORMAT: Final = "fettle.evidence/1"
GENESIS: Final = "0" * 64
"""What the first bundle of a chain names as the one before it."""

_BATCH_PREFIX: Final = b"fettle.evidence.batch/1\n"
_LINK_FIELDS: Final = (
    "format",
    "tenant_id",
    "sequence",
    "previous",
    "sealed_at",
    "incident_id",
    "content_hash",
)
_BUNDLE_FIELDS: Final = frozenset({*_LINK_FIELDS, "content", "hash", "proof"})
_LINK_TYPES: Final = {str, int}
_PROOF_FIELDS: Final = frozenset({"key_id", "index", "size", "path", "signature"})
_LONGEST_PATH: Final = 64


class Fault(StrEnum):
    """How a bundle fails."""

    MALFORMED = "malformed"
    ALTERED = "altered"
    MISSING = "missing"
    REORDERED = "reordered"
    DUPLICATED = "duplicated"
    FORKED = "forked"
    FOREIGN = "foreign"
    RE_SIGNED = "re-signed"
    TRUNCATED = "truncated"
    BAD_CHECKPOINT = "bad-checkpoint"


@dataclass(frozen=True, slots=True)
class Failure:
    """The first bundle that fails.

    Attributes:
        position: Its place among the bundles given, from 0; their count where the fault is at the end.
        sequence: Its number in the chain, or that of the one which is not there.
        fault: How it fails.
        detail: The same in a sentence.
    """

    position: int
    sequence: int | None
    fault: Fault
    detail: str


@dataclass(frozen=True, slots=True)
class ChainReport:
    """What verification found.

    Attributes:
        ok: Nothing fails.
        checked: Bundles that hold, from the first on.
        tenant_id: Whose chain it is.
        first_sequence: Number of the first bundle; above 1 where the export begins later.
        head: Hash of the last bundle that holds.
        beyond_checkpoint: Bundles sealed after the checkpoint; None without one.
        failure: The first fault.
    """

    ok: bool
    checked: int
    tenant_id: str | None
    first_sequence: int | None
    head: str | None
    beyond_checkpoint: int | None
    failure: Failure | None


class Sealed(NamedTuple):
    """A bundle and its canonical form (RFC 8785), which is what is stored and exported."""

    bundle: dict[str, Any]
    text: bytes


def seal(
    tenant_id: str,
    contents: Sequence[tuple[str, Mapping[str, Any]]],
    *,
    previous: str,
    next_sequence: int,
    sealed_at: str,
    signer: Signer,
) -> list[Sealed]:
    """Seal contents into the next bundles of a chain, with one signature for all.

    Args:
        tenant_id: Whose chain.
        contents: Each incident's id and what is to be proved of it, as JSON.
        previous: Hash of the chain's last bundle, `GENESIS` for none.
        next_sequence: Number of the first new bundle.
        sealed_at: RFC 3339.
        signer: The key that signs.

    Raises:
        NotCanonicalError: A content has no canonical form.
    """
    links: list[dict[str, Any]] = []
    hashes: list[bytes] = []
    texts = [canonical(content) for _, content in contents]
    for number, ((incident_id, _), text) in enumerate(zip(contents, texts, strict=True), next_sequence):
        link = {
            "format": FORMAT,
            "tenant_id": tenant_id,
            "sequence": number,
            "previous": previous,
            "sealed_at": sealed_at,
            "incident_id": incident_id,
            "content_hash": content_hash(text),
        }
        hashes.append(link_hash(link))
        previous = hashes[-1].hex()
        links.append(link)
    leaves = [merkle.leaf_hash(value) for value in hashes]
    top = merkle.root(leaves)
    signature = signer.sign(_batch_message(tenant_id, top, len(leaves)))
    proofs = (
        {
            "key_id": signer.key_id,
            "index": index,
            "size": len(leaves),
            "path": [step.hex() for step in path],
            "signature": signature,
        }
        for index, path in enumerate(merkle.inclusion_paths(leaves))
    )
    sealed = []
    for link, (_, content), text, value, proof in zip(links, contents, texts, hashes, proofs, strict=True):
        members = {**link, "hash": value.hex(), "proof": proof}
        sealed.append(Sealed({**members, "content": dict(content)}, with_content(members, text)))
    return sealed


def verify(
    bundles: Iterable[Mapping[str, Any]],
    public_keys: PublicKeys,
    *,
    checkpoint: Mapping[str, Any] | None = None,
    first_sequence: int = 1,
) -> ChainReport:
    """Check a chain and name the first bundle that fails, and how. Never raises, whatever it is given.

    Args:
        bundles: In the order of the chain; read once, none is kept.
        public_keys: The keys that are trusted.
        checkpoint: The newest signed checkpoint that the reader holds: finds bundles cut off at the end,
            and a chain that was rewritten since.
        first_sequence: Where the export is said to begin; without its beginning, the first bundle's own
            word for what came before is all there is.
    """
    checking = _Checking(keys_by_id(public_keys), first_sequence)
    failure = checking.check_checkpoint(checkpoint) if checkpoint is not None else None
    position = 0
    try:
        remaining = iter(bundles)
    except TypeError:
        remaining = iter(())
        failure = failure or Failure(0, None, Fault.MALFORMED, "There is no list of bundles.")
    while failure is None:
        try:
            bundle = next(remaining)
        except StopIteration:
            failure = checking.ending(position)
            break
        except Exception as error:  # noqa: BLE001 - a reader of a hostile file may raise anything; that is a finding
            failure = Failure(position, None, Fault.MALFORMED, f"It cannot be read: {error}"[:300])
            break
        failure = checking.take(position, bundle, remaining)
        position += 1
    return checking.report(failure)


class _Checking:
    """The state of one verification."""

    def __init__(self, keys: dict[str, Ed25519PublicKey], first_sequence: int) -> None:
        self._keys = keys
        self._first = first_sequence
        self._checkpoint: Mapping[str, Any] | None = None
        self._batch: tuple[str, int, str] | None = None
        self._paths = merkle.KnownPaths(0)
        self._root: bytes | None = None
        self._tenant_id: str | None = None
        self._head: str | None = None
        # The beginnings of all hashes so far: enough to tell a twin from a fork, at 8 bytes for each bundle.
        self._beginnings = array("Q")
        self.checked = 0

    @property
    def _expected(self) -> int:
        return self._first + self.checked

    def check_checkpoint(self, checkpoint: Mapping[str, Any]) -> Failure | None:
        fields = read_checkpoint(checkpoint, self._keys)
        if fields is None:
            return Failure(
                0, None, Fault.BAD_CHECKPOINT, "The checkpoint is malformed or not signed by a trusted key."
            )
        self._checkpoint = fields
        self._tenant_id = fields["tenant_id"]
        return None

    def take(  # noqa: PLR0911 - one return for each fault
        self, position: int, bundle: Any, rest: Iterable[object]
    ) -> Failure | None:
        link = _link_of(bundle)
        if link is None:
            return Failure(position, None, Fault.MALFORMED, "It is not a bundle of this format.")
        sequence = link["sequence"]

        def failing(fault: Fault, detail: str) -> Failure:
            return Failure(position, sequence, fault, detail)

        if self._tenant_id is None:
            self._tenant_id = link["tenant_id"]
        elif link["tenant_id"] != self._tenant_id:
            return failing(Fault.FOREIGN, "It belongs to another tenant's chain.")
        try:
            digest = link_hash(link)
            altered = digest.hex() != bundle["hash"] or not content_matches(
                bundle["content"], link["content_hash"]
            )
        except NotCanonicalError as error:
            return failing(Fault.MALFORMED, f"It has no canonical form: {error}.")
        if altered:
            return failing(Fault.ALTERED, f"Bundle {sequence} is not what was sealed: its hash differs.")
        if sequence != self._expected:
            return self._out_of_place(position, link, digest.hex(), rest)
        previous = (
            self._head if self._head is not None else (GENESIS if self._first == 1 else link["previous"])
        )
        if link["previous"] != previous:
            return failing(Fault.FORKED, f"Bundle {sequence} follows another bundle than the one before it.")
        unsigned = self._check_signature(link["tenant_id"], digest, bundle["proof"])
        if unsigned is not None:
            return failing(Fault.RE_SIGNED, f"Bundle {sequence}: {unsigned}")
        return self._accept(position, sequence, digest.hex())

    def ending(self, position: int) -> Failure | None:
        size = self._checkpoint["size"] if self._checkpoint is not None else 0
        if self._expected - 1 >= size:
            return None
        return Failure(
            position, self._expected, Fault.TRUNCATED,
            f"The checkpoint counts {size} bundles; from bundle {self._expected} on they are cut off.",
        )  # fmt: skip

    def report(self, failure: Failure | None) -> ChainReport:
        beyond = None
        if self._checkpoint is not None and failure is None:
            beyond = max(0, self._expected - 1 - self._checkpoint["size"])
        return ChainReport(
            ok=failure is None,
            checked=self.checked,
            tenant_id=self._tenant_id,
            first_sequence=self._first if self.checked else None,
            head=self._head,
            beyond_checkpoint=beyond,
            failure=failure,
        )

    def _accept(self, position: int, sequence: int, digest: str) -> Failure | None:
        if (
            self._checkpoint is not None
            and sequence == self._checkpoint["size"]
            and digest != self._checkpoint["head"]
        ):
            return Failure(
                position, sequence, Fault.FORKED,
                f"The checkpoint names another bundle {sequence}: the chain was rewritten.",
            )  # fmt: skip
        self._head = digest
        self._beginnings.append(int(digest[:16], 16))
        self.checked += 1
        return None

    def _out_of_place(
        self, position: int, link: Mapping[str, Any], digest: str, rest: Iterable[object]
    ) -> Failure:
        sequence = link["sequence"]
        if sequence < self._expected:
            place = sequence - self._first
            if place >= 0 and self._beginnings[place] == int(digest[:16], 16):
                return Failure(position, sequence, Fault.DUPLICATED, f"Bundle {sequence} stands there twice.")
            return Failure(position, sequence, Fault.FORKED, f"There are two different bundles {sequence}.")
        if self._comes_later(rest):
            detail = f"Bundle {sequence} stands where bundle {self._expected} belongs, which comes later."
            return Failure(position, self._expected, Fault.REORDERED, detail)
        detail = f"Bundle {self._expected} is missing; bundle {sequence} stands in its place."
        return Failure(position, self._expected, Fault.MISSING, detail)

    def _comes_later(self, rest: Iterable[object]) -> bool:
        try:
            return any(_sequence_of(later) == self._expected for later in rest)
        except Exception:  # noqa: BLE001 - the rest cannot be read either; the fault that was found stands
            return False

    def _check_signature(self, tenant_id: str, digest: bytes, proof: Any) -> str | None:
        parts = _proof_of(proof)
        if parts is None:
            return "its proof is malformed."
        key_id, index, size, path, signature = parts
        batch = (key_id, size, signature)
        paths = self._paths if batch == self._batch else merkle.KnownPaths(size)
        top = paths.root(merkle.leaf_hash(digest), index, path)
        if top is None:
            return "its path does not lead to a root."
        if batch == self._batch and top == self._root:
            return None
        key = self._keys.get(key_id)
        if key is None:
            return f"it is signed by the key {key_id}, which is not trusted."
        if not signs(key, signature, _batch_message(tenant_id, top, size)):
            return "its signature does not hold."
        self._batch, self._paths, self._root = batch, paths, top
        return None


def _batch_message(tenant_id: str, top: bytes, size: int) -> bytes:
    return _BATCH_PREFIX + canonical({"tenant_id": tenant_id, "root": top.hex(), "size": size})


def _link_of(bundle: object) -> dict[str, Any] | None:
    if not isinstance(bundle, dict) and not isinstance(bundle, Mapping):
        return None
    if bundle.keys() != _BUNDLE_FIELDS:
        return None
    link = {name: bundle[name] for name in _LINK_FIELDS}
    if type(link["sequence"]) is not int or set(map(type, link.values())) != _LINK_TYPES:
        return None
    return link if link["format"] == FORMAT and type(bundle["content"]) is dict else None


def _sequence_of(bundle: object) -> object:
    return bundle.get("sequence") if isinstance(bundle, Mapping) else None


def _proof_of(proof: Any) -> tuple[str, int, int, list[Any], str] | None:
    if not isinstance(proof, dict) or proof.keys() != _PROOF_FIELDS:
        return None
    key_id, index, size, path = proof["key_id"], proof["index"], proof["size"], proof["path"]
    signature = proof["signature"]
    if not isinstance(key_id, str) or not isinstance(signature, str) or not isinstance(path, list):
        return None
    if type(index) is not int or type(size) is not int or len(path) > _LONGEST_PATH:
        return None
    return key_id, index, size, path, signature
