"""Whatever is done to exported evidence is found with the public key and a checkpoint alone."""

import base64
import copy
import hashlib
import json
import subprocess
import tracemalloc

import pytest
import rfc8785
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st
from tests.cli.running import COMMAND
from tests.examples import examples

from fettle.cli.exits import Exit
from fettle.evidence import export, merkle
from fettle.evidence.canonical import NotCanonicalError, canonical
from fettle.evidence.chain import GENESIS, Fault, seal, verify
from fettle.evidence.export import ExportError, ExportHeader, parse_strict, verify_export
from fettle.evidence.signing import Signer, make_checkpoint, make_rollover, trusted_keys
from fettle.kernel.jsonio import dumps

TENANT = "0191f3a0-0000-7000-8000-00000000000a"
AT = "2026-11-01T08:00:00.000000Z"
SIGNER = Signer(Ed25519PrivateKey.from_private_bytes(bytes(range(32))))
OTHER = Signer(Ed25519PrivateKey.from_private_bytes(bytes(range(1, 33))))
KEYS = {SIGNER.key_id: SIGNER.public_key}


def chain_of(batches=(3, 1, 4), signer=SIGNER, tenant=TENANT, salt=""):
    made = []
    for size in batches:
        contents = [
            (
                f"incident-{len(made) + n}",
                {"steps": [{"tool": "noop", "n": n}], "at": len(made) + n, "salt": salt},
            )
            for n in range(size)
        ]
        sealed = seal(
            tenant,
            contents,
            previous=made[-1]["hash"] if made else GENESIS,
            next_sequence=len(made) + 1,
            sealed_at=AT,
            signer=signer,
        )
        made += [one.bundle for one in sealed]
    return json.loads(dumps(made))


CHAIN = chain_of()
CHECKPOINT = make_checkpoint(TENANT, len(CHAIN), CHAIN[-1]["hash"], AT, SIGNER)


def test_an_untouched_chain_holds():
    report = verify(CHAIN, KEYS, checkpoint=CHECKPOINT)
    assert (report.ok, report.checked, report.failure, report.beyond_checkpoint) == (True, 8, None, 0)
    assert report.head == CHAIN[-1]["hash"]
    assert verify(CHAIN, [SIGNER.public_key]).ok


def leaves(value, path=()):
    if isinstance(value, dict):
        for key, item in value.items():
            yield from leaves(item, (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from leaves(item, (*path, index))
    else:
        yield path


def altered(value):
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + 1
    middle = len(value) // 2
    return value[:middle] + ("0" if value[middle : middle + 1] != "0" else "1") + value[middle + 1 :]


@given(st.integers(0, len(CHAIN) - 1), st.data())
@examples(150)
def test_any_changed_value_is_found_at_its_bundle(place, data):
    broken = copy.deepcopy(CHAIN)
    path = data.draw(st.sampled_from(list(leaves(broken[place]))))
    node = broken[place]
    for key in path[:-1]:
        node = node[key]
    node[path[-1]] = altered(node[path[-1]])
    report = verify(broken, KEYS, checkpoint=CHECKPOINT)
    assert not report.ok
    assert report.failure.position == place
    assert report.checked == place


@given(st.integers(0, len(CHAIN) - 1))
def test_a_missing_bundle_is_named(place):
    report = verify(CHAIN[:place] + CHAIN[place + 1 :], KEYS, checkpoint=CHECKPOINT)
    expected = Fault.TRUNCATED if place == len(CHAIN) - 1 else Fault.MISSING
    assert (report.failure.fault, report.failure.sequence) == (expected, place + 1)


@given(st.integers(0, len(CHAIN) - 2), st.integers(1, len(CHAIN) - 1))
def test_exchanged_bundles_are_named(place, distance):
    other = min(place + distance, len(CHAIN) - 1)
    broken = list(CHAIN)
    broken[place], broken[other] = broken[other], broken[place]
    report = verify(broken, KEYS)
    assert (report.failure.fault, report.failure.position) == (Fault.REORDERED, place)


@given(st.integers(1, len(CHAIN) - 1))
def test_truncation_needs_and_has_a_checkpoint(length):
    assert verify(CHAIN[:length], KEYS).ok
    report = verify(CHAIN[:length], KEYS, checkpoint=CHECKPOINT)
    assert (report.failure.fault, report.failure.sequence) == (Fault.TRUNCATED, length + 1)


@given(st.integers(0, len(CHAIN) - 1))
def test_a_bundle_given_twice_is_named(place):
    broken = [*CHAIN[: place + 1], CHAIN[place], *CHAIN[place + 1 :]]
    report = verify(broken, KEYS)
    assert (report.failure.fault, report.failure.position) == (Fault.DUPLICATED, place + 1)


def test_a_chain_signed_anew_by_another_key_is_not_trusted():
    forged = chain_of(signer=OTHER, salt="rewritten")
    report = verify(forged, KEYS)
    assert (report.failure.fault, report.failure.position) == (Fault.RE_SIGNED, 0)


def test_a_chain_rewritten_with_the_right_key_contradicts_the_checkpoint():
    rewritten = chain_of(salt="rewritten")
    assert verify(rewritten, KEYS).ok
    assert verify(rewritten, KEYS, checkpoint=CHECKPOINT).failure.fault is Fault.FORKED


def test_a_fork_in_the_middle_is_found():
    rewritten = chain_of(salt="rewritten")
    assert verify(CHAIN[:3] + rewritten[3:], KEYS).failure.fault is Fault.FORKED
    assert verify([*CHAIN[:4], rewritten[2]], KEYS).failure.fault is Fault.FORKED


def test_another_tenants_bundle_does_not_pass():
    foreign = chain_of(tenant="0191f3a0-0000-7000-8000-00000000000b")
    assert verify(CHAIN[:2] + foreign[2:], KEYS).failure.fault is Fault.FOREIGN
    moved = [{**bundle, "tenant_id": "0191f3a0-0000-7000-8000-00000000000b"} for bundle in CHAIN]
    assert verify(moved, KEYS).failure.fault is Fault.ALTERED


def test_an_older_checkpoint_shows_what_came_after_it_and_a_forged_one_is_refused():
    old = make_checkpoint(TENANT, 3, CHAIN[2]["hash"], AT, SIGNER)
    assert verify(CHAIN, KEYS, checkpoint=old).beyond_checkpoint == 5
    for broken in ({**CHECKPOINT, "size": 3}, make_checkpoint(TENANT, 8, CHAIN[-1]["hash"], AT, OTHER), {}):
        assert verify(CHAIN, KEYS, checkpoint=broken).failure.fault is Fault.BAD_CHECKPOINT
    elsewhere = make_checkpoint("another", 8, CHAIN[-1]["hash"], AT, SIGNER)
    assert verify(CHAIN, KEYS, checkpoint=elsewhere).failure.fault is Fault.FOREIGN


def test_a_key_hands_over_to_the_next_and_a_stranger_does_not():
    rolled = [*chain_of((2,)), *chain_of((2, 2), signer=OTHER)[2:]]
    rolled = chain_of((2,))
    [next_one] = seal(
        TENANT, [("i", {})], previous=rolled[-1]["hash"], next_sequence=3, sealed_at=AT, signer=OTHER
    )
    rolled.append(json.loads(next_one.text))
    assert verify(rolled, KEYS).failure.fault is Fault.RE_SIGNED
    handed = trusted_keys(KEYS, [make_rollover(OTHER.public_key, AT, SIGNER)])
    assert verify(rolled, handed).ok
    assert trusted_keys(KEYS, [make_rollover(OTHER.public_key, AT, OTHER)]) == KEYS
    tampered = {**make_rollover(SIGNER.public_key, AT, SIGNER), "public_key": OTHER.public_key}
    assert trusted_keys(KEYS, [tampered]) == KEYS


def test_a_leaf_is_not_taken_for_a_node():
    a, b = merkle.leaf_hash(b"a"), merkle.leaf_hash(b"b")
    assert merkle.leaf_hash(a + b) != merkle.node_hash(a, b)
    assert merkle.KnownPaths(2).root(merkle.root([a, b]), 0, []) is None


def test_the_tree_is_that_of_rfc_6962():
    inputs = [bytes.fromhex(text) for text in VECTOR_INPUTS]
    hashes = [merkle.leaf_hash(item) for item in inputs]
    assert merkle.root([]).hex() == hashlib.sha256(b"").hexdigest()
    for size, expected in enumerate(VECTOR_ROOTS, 1):
        assert merkle.root(hashes[:size]).hex() == expected


@given(st.lists(st.binary(max_size=8), min_size=1, max_size=40), st.randoms())
def test_every_path_leads_to_the_root_and_no_other_place_or_path_does(items, random):
    hashes = [merkle.leaf_hash(item) for item in items]
    top, stranger = merkle.root(hashes), merkle.leaf_hash(b"none of these 9")
    known = merkle.KnownPaths(len(hashes))
    whole = [[step.hex() for step in path] for path in merkle.inclusion_paths(hashes)]
    for index in random.sample(range(len(hashes)), len(hashes)):
        path = whole[index]
        for paths in (known, merkle.KnownPaths(len(hashes))):
            assert paths.root(hashes[index], index, path) == top
            assert paths.root(stranger, index, path) != top
            assert paths.root(hashes[index], index, [*path, top.hex()]) != top
            for step in range(len(path)):
                for other in (stranger.hex(), path[step].upper().replace("0", "1"), None, path[step] + " "):
                    assert paths.root(hashes[index], index, [*path[:step], other, *path[step + 1 :]]) != top
                assert paths.root(hashes[index], index, path[:step] + path[step + 1 :]) != top
    assert known.root(hashes[0], len(hashes), whole[0]) is None
    assert known.root(hashes[0], -1, whole[0]) is None


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"]), max_size=6), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip


@given(json_values)
@examples(400)
def test_the_fast_canonical_form_is_the_canonical_form(value):
    assert canonical(value) == rfc8785.dumps(value)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 2**53, "\ud800", {1: 2}, [[]] and object()])
def test_what_has_no_canonical_form_is_refused(value):
    with pytest.raises(NotCanonicalError):
        canonical({"value": value})


hostile = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=8,
)


def test_the_keys_may_be_given_in_any_shape_and_none_trusts_nothing():
    for keys in (KEYS, [SIGNER.public_key], (OTHER.public_key, SIGNER.public_key), SIGNER.public_key):
        assert verify(CHAIN, keys).ok
    for keys in ({}, [], "", None, 5, [None, 5], {SIGNER.key_id: None}, SIGNER.public_key[:-4]):
        assert verify(CHAIN, keys).failure.fault is Fault.RE_SIGNED


@given(st.lists(st.one_of(hostile, st.sampled_from(CHAIN)), max_size=5), hostile)
def test_nothing_that_is_given_makes_verification_raise(bundles, checkpoint):
    verify(bundles, KEYS)
    verify(checkpoint, checkpoint)
    assert verify(None, KEYS).failure.fault is Fault.MALFORMED
    verify(bundles, KEYS, checkpoint=checkpoint)
    verify([{**CHAIN[0], "proof": checkpoint}, {**CHAIN[0], "content": {"x": checkpoint}}], KEYS)


def test_a_signature_written_in_another_way_is_not_the_same():
    twin = copy.deepcopy(CHAIN)
    raw = twin[0]["proof"]["signature"]
    spoilt = raw[:-3] + chr(ord(raw[-3]) + 1) + raw[-2:]
    assert base64.b64decode(spoilt) != b""
    twin[0]["proof"]["signature"] = spoilt
    assert verify(twin, KEYS).failure.fault is Fault.RE_SIGNED


def write(path, bundles, **header):
    lines = [ExportHeader(TENANT, AT, (SIGNER.public_key,), **{"checkpoint": CHECKPOINT, **header}).line()]
    path.write_bytes(b"\n".join([*lines, *(canonical(bundle) for bundle in bundles)]) + b"\n")
    return path


def test_an_export_is_verified_from_the_file_alone(tmp_path):
    found = verify_export(write(tmp_path / "e.jsonl", CHAIN))
    assert found.report.ok
    assert not found.pinned
    assert verify_export(write(tmp_path / "e.jsonl", CHAIN), keys=[SIGNER.public_key]).pinned
    assert not verify_export(write(tmp_path / "e.jsonl", CHAIN), keys=[OTHER.public_key]).report.ok
    assert verify_export(write(tmp_path / "e.jsonl", CHAIN[:-1])).report.failure.fault is Fault.TRUNCATED


def test_a_key_that_stands_twice_in_an_object_is_found(tmp_path):
    path = write(tmp_path / "e.jsonl", CHAIN)
    text = path.read_bytes().replace(b'"sequence":3,', b'"sequence":9,"sequence":3,')
    path.write_bytes(text)
    failure = verify_export(path).report.failure
    assert (failure.fault, failure.position) == (Fault.MALFORMED, 2)


@given(st.integers(0, len(CHAIN) - 1), st.data())
@examples(300)
def test_any_flipped_bit_of_a_bundle_in_the_file_is_found(tmp_path_factory, place, data):
    path = write(tmp_path_factory.getbasetemp() / "flipped.jsonl", CHAIN)
    lines = path.read_bytes().split(b"\n")
    line = bytearray(lines[place + 1])
    bit = data.draw(st.integers(0, len(line) * 8 - 1))
    line[bit // 8] ^= 1 << bit % 8
    lines[place + 1] = bytes(line)
    path.write_bytes(b"\n".join(lines))
    report = verify_export(path, keys=[SIGNER.public_key], checkpoint=CHECKPOINT).report
    assert not report.ok
    assert report.failure.position == place


@given(st.dictionaries(st.text(), st.text() | st.floats(-1e9, 1e9) | st.integers(-99, 99), max_size=5))
def test_what_is_stored_is_the_canonical_form_of_the_whole_bundle(content):
    [one] = seal(TENANT, [("i", content)], previous=GENESIS, next_sequence=1, sealed_at=AT, signer=SIGNER)
    assert one.text == canonical(one.bundle)


def test_a_number_written_in_another_way_is_found_in_the_file(tmp_path):
    path = write(tmp_path / "e.jsonl", CHAIN)
    path.write_bytes(path.read_bytes().replace(b'"n":2,', b'"n":2.0,'))
    assert verify_export(path).report.failure.fault is Fault.MALFORMED


def test_a_number_that_is_none_is_no_null():
    [one] = seal(TENANT, [("i", {"x": None})], previous=GENESIS, next_sequence=1, sealed_at=AT, signer=SIGNER)
    sealed = json.loads(one.text)
    assert verify([sealed], KEYS).ok
    sealed["content"]["x"] = float("nan")
    assert verify([sealed], KEYS).failure.fault is Fault.MALFORMED


def test_an_old_checkpoint_put_in_place_of_the_new_one_does_not_hide_what_was_cut_off(tmp_path):
    replayed = make_checkpoint(TENANT, 3, CHAIN[2]["hash"], AT, SIGNER)
    path = write(tmp_path / "e.jsonl", CHAIN[:3], checkpoint=replayed)
    failure = verify_export(path, keys=[SIGNER.public_key], checkpoint=CHECKPOINT).report.failure
    assert (failure.fault, failure.sequence) == (Fault.TRUNCATED, 4)


def test_an_export_that_goes_beyond_its_own_checkpoint_is_said_so(tmp_path):
    old = make_checkpoint(TENANT, 3, CHAIN[2]["hash"], AT, SIGNER)
    assert verify_export(write(tmp_path / "e.jsonl", CHAIN, checkpoint=old)).report.beyond_checkpoint == 5


def test_a_file_that_is_broken_after_the_first_fault_is_still_told_by_the_first(tmp_path):
    path = write(tmp_path / "e.jsonl", CHAIN)
    lines = path.read_bytes().splitlines()
    del lines[2]
    lines[-1] = b"{"
    path.write_bytes(b"\n".join(lines))
    failure = verify_export(path).report.failure
    assert (failure.fault, failure.sequence) == (Fault.MISSING, 2)


def test_an_export_may_begin_within_a_batch(tmp_path):
    path = write(tmp_path / "e.jsonl", CHAIN[5:], first_sequence=6)
    report = verify_export(path).report
    assert (report.ok, report.checked, report.first_sequence) == (True, 3, 6)


def test_who_verifies_on_the_command_line_is_told_that_the_beginning_was_cut_off(tmp_path):
    for kept, said in ((5, b"FAILED: the file begins with bundle 6"), (len(CHAIN), b"begins with bundle 9")):
        path = write(tmp_path / "e.jsonl", CHAIN[kept:], first_sequence=kept + 1)
        command = [*COMMAND, "evidence", "verify", str(path), "--key", SIGNER.public_key]
        plain = subprocess.run(command, capture_output=True, check=False)
        assert (plain.returncode, said in plain.stdout) == (Exit.FOUND_WRONG, True)
        document = json.loads(subprocess.run([*command, "--json"], capture_output=True, check=False).stdout)
        assert (document["ok"], document["missing_before"]) == (False, kept)


def test_a_line_without_an_end_is_not_read_to_its_end(tmp_path, monkeypatch):
    path = write(tmp_path / "e.jsonl", CHAIN)
    with path.open("ab") as file:
        file.write(b" " * 5_000_000)
    monkeypatch.setattr(export, "_LONGEST_LINE", 1_000_000)
    tracemalloc.start()
    failure = verify_export(path).report.failure
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert failure is not None
    assert "longer than any bundle" in failure.detail
    assert most < 4_000_000


@pytest.mark.parametrize(
    "text",
    [
        *(b"", b"{}", b"[]\n", b'{"format": "other"}', b"\xff\xfe", b"null"),
        ExportHeader(TENANT, AT, ()).line().replace(b'"first_sequence":1', b'"first_sequence":1e999'),
    ],
)
def test_what_is_no_export_is_said_so(tmp_path, text):
    path = tmp_path / "e.jsonl"
    path.write_bytes(text)
    with pytest.raises(ExportError):
        verify_export(path)


def test_constants_that_are_not_json_are_refused():
    with pytest.raises(ValueError, match="not JSON"):
        parse_strict(b'{"a": NaN}')


# Test vectors of Certificate Transparency's reference implementation.
VECTOR_INPUTS = [
    "",
    "00",
    "10",
    "2021",
    "3031",
    "40414243",
    "5051525354555657",
    "606162636465666768696a6b6c6d6e6f",
]
VECTOR_ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
