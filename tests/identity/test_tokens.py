"""Access tokens, refresh tokens and API keys against those who forge, change and replay them."""

import base64
import hmac
import json
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jws, jwt
from joserfc.jwk import OKPKey, RSAKey

from fettle.identity import tokens
from fettle.identity.tokens import TokenRefused, issue_access_token, read_access_token

NOW = datetime(2026, 11, 21, 10, 0, tzinfo=UTC)
KEY = OKPKey.generate_key("Ed25519", parameters={"kid": "first"})
KEYS = {"first": OKPKey.import_key(KEY.as_dict(private=False))}
USER, SESSION = uuid4(), uuid4()


def issue(now=NOW, key=KEY):
    return issue_access_token(key, user_id=USER, session_id=SESSION, now=now)


def forge(*, key=KEY, header=None, claims=None, drop=()):
    base = {
        "iss": "fettle",
        "aud": "fettle-api",
        "sub": str(USER),
        "sid": str(SESSION),
        "jti": str(uuid4()),
        "iat": int(NOW.timestamp()),
        "exp": int(NOW.timestamp()) + 900,
    }
    body = {name: value for name, value in {**base, **(claims or {})}.items() if name not in drop}
    full = {"alg": "Ed25519", "typ": "at+jwt", "kid": "first"} | (header or {})
    registry = jws.JWSRegistry(algorithms=[full["alg"]], strict_check_header=False)
    return jws.serialize_compact(full, json.dumps(body), key, registry=registry)


def b64(value) -> str:
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def refused(token, now=NOW, keys=KEYS):
    with pytest.raises(TokenRefused):
        read_access_token(token, keys, now=now)


def test_a_good_token_says_who():
    claims = read_access_token(issue(), KEYS, now=NOW + timedelta(minutes=14, seconds=59))
    assert (claims.user_id, claims.session_id) == (USER, SESSION)
    assert claims.expires_at == NOW + timedelta(minutes=15)


def test_the_forging_helper_can_write_a_good_token():
    assert read_access_token(forge(), KEYS, now=NOW).user_id == USER


def test_a_token_carries_no_permission_and_no_tenant():
    payload = jws.extract_compact(issue().encode()).payload
    assert set(json.loads(payload)) == {"iss", "aud", "sub", "sid", "jti", "iat", "exp"}


def test_an_expired_token_is_refused():
    refused(issue(), now=NOW + timedelta(minutes=15))


def test_a_token_from_the_future_is_refused():
    refused(issue(now=NOW + timedelta(minutes=5)))


@pytest.mark.parametrize("claim", ["iss", "aud", "sub", "sid", "jti", "iat", "exp"])
def test_each_claim_is_needed(claim):
    refused(forge(drop=[claim]))


@pytest.mark.parametrize(
    "claims",
    [
        {"aud": "another-api"},
        {"aud": ["another-api"]},
        {"aud": None},
        {"iss": "someone-else"},
        {"sub": "admin"},
        {"sub": ""},
        {"sid": 7},
        {"exp": "never"},
        {"exp": None},
        {"exp": float("inf")},
        {"exp": float("nan")},
        {"exp": 10**30},
        {"exp": True},
    ],
    ids=repr,
)
def test_wrong_claims_are_refused_though_signed(claims):
    refused(forge(claims=claims))


@pytest.mark.parametrize("alg", ["none", "None", "NONE", "nOnE", ""])
def test_alg_none_is_refused(alg):
    payload = issue().split(".")[1]
    header = {"alg": alg, "typ": "at+jwt", "kid": "first"}
    refused(f"{b64(header)}.{payload}.")
    refused(f"{b64(header)}.{payload}.{issue().split('.')[2]}")


def test_the_public_key_is_not_taken_as_an_hmac_secret():
    payload = issue().split(".")[1]
    signed = f"{b64({'alg': 'HS256', 'typ': 'at+jwt', 'kid': 'first'})}.{payload}"
    for secret in (KEYS["first"].as_pem(private=False), base64.urlsafe_b64decode(KEY.as_dict()["x"] + "==")):
        refused(f"{signed}.{b64(hmac.digest(secret, signed.encode(), 'sha256'))}")


def test_another_algorithm_is_refused_even_by_a_known_kid():
    rsa = RSAKey.generate_key(2048, parameters={"kid": "first"})
    refused(forge(key=rsa, header={"alg": "RS256"}))
    refused(forge(key=rsa, header={"alg": "RS256"}), keys={"first": rsa})


def test_another_key_is_refused_under_the_same_kid():
    refused(issue(key=OKPKey.generate_key("Ed25519", parameters={"kid": "first"})))


@pytest.mark.parametrize("kid", ["second", "", "../../dev/null", "first' OR '1'='1", "first\x00"])
def test_an_unknown_kid_is_refused(kid):
    refused(forge(header={"kid": kid}))


def test_a_key_in_the_header_is_not_believed():
    thief = OKPKey.generate_key("Ed25519", parameters={"kid": "first"})
    refused(forge(key=thief, header={"jwk": thief.as_dict(private=False)}))
    refused(forge(header={"jku": "https://example.org/keys"}))
    refused(forge(header={"x5u": "https://example.org/cert"}))


def test_a_critical_extension_is_refused():
    payload, signature = issue().split(".")[1:]
    header = {"alg": "Ed25519", "typ": "at+jwt", "kid": "first", "crit": ["exp"], "exp": 1}
    refused(f"{b64(header)}.{payload}.{signature}")


def test_a_token_of_another_type_is_refused():
    refused(forge(header={"typ": "JWT"}))
    refused(jwt.encode({"alg": "Ed25519", "kid": "first"}, {"sub": str(USER)}, KEY, algorithms=["Ed25519"]))


@pytest.mark.parametrize("part", [0, 1, 2])
def test_a_flipped_bit_is_refused(part):
    parts = issue().split(".")
    raw = bytearray(base64.urlsafe_b64decode(parts[part] + "=="))
    raw[len(raw) // 2] ^= 1
    parts[part] = b64(bytes(raw))
    refused(".".join(parts))


@pytest.mark.parametrize(
    "token",
    [
        "",
        ".",
        "..",
        "a.b",
        "a.b.c.d",
        "é.é.é",
        "x" * 100_000,
        b64([1]) + ".e30.",
        b64("a") + ".e30.x",
        "null",
    ],
    ids=lambda token: token[:12] or "empty",
)
def test_what_is_no_token_is_refused(token):
    refused(token)


@given(st.text(max_size=200))
def test_no_text_is_a_token(text):
    refused(text)
    for read in (tokens.read_api_key, tokens.read_refresh_token):
        with pytest.raises(TokenRefused):
            read(text)


def test_an_api_key_is_read_back_and_stored_only_as_a_hash():
    new = tokens.new_api_key()
    parts = tokens.read_api_key(new.text)
    assert tokens.is_api_key(new.text)
    assert parts.prefix == new.prefix
    assert tokens.same_secret(new.secret_hash, parts.secret_hash)
    secret = new.text.split("_")[2]
    assert len(secret) == 43  # 62^43 > 2^256
    assert secret.encode() not in new.secret_hash


def test_the_secret_of_one_key_does_not_open_another():
    one, other = tokens.new_api_key(), tokens.new_api_key()
    mixed = f"ftl_{one.prefix}_{other.text.split('_')[2]}"
    assert not tokens.same_secret(one.secret_hash, tokens.read_api_key(mixed).secret_hash)


@pytest.mark.parametrize(
    "change", [str.upper, lambda t: t + "\n", lambda t: t + "x", lambda t: t[:-1], lambda t: " " + t]
)
def test_an_api_key_is_matched_whole(change):
    with pytest.raises(TokenRefused):
        tokens.read_api_key(change(tokens.new_api_key().text))


def test_refresh_tokens_differ_and_are_found_by_hash():
    (one, one_hash), (other, other_hash) = tokens.new_refresh_token(), tokens.new_refresh_token()
    assert one != other
    assert one_hash != other_hash
    assert tokens.read_refresh_token(one) == one_hash
