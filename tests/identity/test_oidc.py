"""What an ID token, a discovery document and a key set must be, by forging each in every way that was ever tried."""

import base64
import hmac
import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jws, jwt
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey

from fettle.identity import oidc
from fettle.identity.oidc import Client, Metadata, ProviderRefused

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
ISSUER, CLIENT, NONCE = "https://sign-on.example/realms/alder", "fettle", "the-nonce"
RSA = RSAKey.generate_key(2048, {"kid": "r"})
EC = ECKey.generate_key("P-256", {"kid": "e"})
STRANGER = RSAKey.generate_key(2048, {"kid": "r"})
KEYS = oidc.read_keys({"keys": [RSA.as_dict(private=False), EC.as_dict(private=False)]})


def token(*, key=RSA, header=None, drop=(), **claims):
    said = {
        "iss": ISSUER, "aud": CLIENT, "sub": "1", "nonce": NONCE,
        "iat": int(NOW.timestamp()), "exp": int(NOW.timestamp()) + 60, **claims,
    }  # fmt: skip
    head = {"alg": "RS256", "kid": "r", **(header or {})}
    said = {name: value for name, value in said.items() if name not in drop}
    return jwt.encode({k: v for k, v in head.items() if v is not None}, said, key, algorithms=[head["alg"]])


def read(text, keys=KEYS):
    return oidc.read_id_token(text, keys, issuer=ISSUER, client_id=CLIENT, nonce=NONCE, now=NOW)


def refused(text, keys=KEYS):
    with pytest.raises(ProviderRefused):
        read(text, keys)


def test_good_tokens_are_read():
    assert read(token())["sub"] == "1"
    assert read(token(key=EC, header={"alg": "ES256", "kid": "e"}))["sub"] == "1"
    assert read(token(header={"kid": None}))["sub"] == "1", "one key fits"
    assert read(token(aud=[CLIENT, "other"], azp=CLIENT))["sub"] == "1"


@pytest.mark.parametrize(
    "claims",
    [
        {"iss": ISSUER + "/"}, {"iss": ISSUER.upper()}, {"iss": "https://evil.example"}, {"iss": None},
        {"aud": "other"}, {"aud": []}, {"aud": ["other"]}, {"aud": [CLIENT, "other"]}, {"aud": {CLIENT: 1}},
        {"azp": "other"}, {"aud": [CLIENT, "other"], "azp": "other"},
        {"nonce": "another"}, {"nonce": None}, {"nonce": [NONCE]},
        {"exp": int(NOW.timestamp()) - 61}, {"exp": "soon"}, {"exp": True}, {"exp": None},
        {"iat": int(NOW.timestamp()) + 61}, {"iat": int(NOW.timestamp()) - 601}, {"iat": None},
        {"nbf": int(NOW.timestamp()) + 61}, {"sub": ""}, {"sub": 1}, {"sub": "x" * 256},
        {"sub": "a\0b"},
    ],
    ids=str,
)  # fmt: skip
def test_wrong_claims_are_refused_though_signed(claims):
    refused(token(**claims))


@pytest.mark.parametrize("name", ["sub", "nonce"])
def test_half_a_character_is_refused_though_signed(name):
    said = {"iss": ISSUER, "aud": CLIENT, "sub": "1", "nonce": NONCE, "iat": int(NOW.timestamp())}
    said |= {"exp": int(NOW.timestamp()) + 60, name: "\ud800"}
    refused(jws.serialize_compact({"alg": "RS256", "kid": "r"}, json.dumps(said), RSA, algorithms=["RS256"]))


@pytest.mark.parametrize("name", ["iss", "aud", "sub", "nonce", "iat", "exp"])
def test_each_claim_is_needed(name):
    refused(token(drop=[name]))


def b64(value):
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


@pytest.mark.parametrize("alg", ["none", "None", "NONE", "", None, 0])
def test_an_unsigned_token_is_refused(alg):
    body = token().split(".")[1]
    refused(f"{b64({'alg': alg, 'kid': 'r'})}.{body}.")


@pytest.mark.parametrize("alg", ["HS256", "HS384", "HS512"])
def test_the_public_key_is_not_taken_as_an_hmac_secret(alg):
    secrets = (RSA.as_pem(private=False), json.dumps(RSA.as_dict(private=False)).encode(), CLIENT.encode())
    body = token().split(".")[1]
    signed = f"{b64({'alg': alg, 'kid': 'r'})}.{body}"
    for secret in secrets:
        mac = hmac.digest(secret, signed.encode(), alg.replace("HS", "sha"))
        refused(f"{signed}.{b64(mac)}")
    assert not set(oidc.ALGORITHMS) & {"none", "HS256", "HS384", "HS512"}


def test_another_key_under_the_same_name_is_refused():
    refused(token(key=STRANGER))


def test_an_unknown_or_foreign_key_is_refused():
    refused(token(header={"kid": "x"}))
    refused(token(), oidc.read_keys({"keys": [EC.as_dict(private=False)]}))
    refused(
        token(header={"kid": None}), [*KEYS, *oidc.read_keys({"keys": [STRANGER.as_dict(private=False)]})]
    )


def test_a_key_in_the_header_is_not_believed():
    own = STRANGER.as_dict(private=False)
    refused(token(key=STRANGER, header={"jwk": own}))
    refused(token(key=STRANGER, header={"jku": "https://evil.example/keys"}))


def test_a_changed_byte_is_noticed():
    head, body, signature = token().split(".")
    refused(f"{head}.{body[:-2]}AA.{signature}")
    refused(f"{head}.{body}.{signature[:-6]}AAAAAA")


@given(st.text(max_size=200) | st.binary(max_size=100).map(lambda raw: f"{b64(raw)}.{b64(raw)}.{b64(raw)}"))
def test_no_text_is_a_token(text):
    refused(text)


@pytest.mark.filterwarnings("ignore:Key size")
def test_of_a_key_set_only_public_signing_keys_are_taken():
    weak = RSAKey.generate_key(1024, {"kid": "weak"}).as_dict(private=False)
    secret = OctKey.generate_key(256, {"kid": "oct"}).as_dict()
    sealing = {**STRANGER.as_dict(private=False), "use": "enc"}
    ed = OKPKey.generate_key("Ed25519", {"kid": "o"}).as_dict(private=False)
    taken = oidc.read_keys({"keys": [weak, secret, sealing, {"kty": "RSA"}, 1, None, ed]})
    assert [key.get("kid") for key in taken] == ["o"]
    for document in ({}, [], {"keys": {}}, None, "x"):
        with pytest.raises(ProviderRefused):
            oidc.read_keys(document)


GOOD = {
    "issuer": ISSUER,
    "authorization_endpoint": f"{ISSUER}/auth?x=1",
    "token_endpoint": f"{ISSUER}/token",
    "jwks_uri": f"{ISSUER}/certs",
}


@pytest.mark.parametrize(
    "change",
    [
        {"issuer": f"{ISSUER}/"}, {"issuer": None}, {"token_endpoint": "http://sign-on.example/token"},
        {"token_endpoint": "http://127.0.0.1/token"}, {"jwks_uri": "file:///etc/passwd"}, {"jwks_uri": None},
        {"authorization_endpoint": "javascript:alert(1)"}, {"token_endpoint": "https://u:p@sign-on.example/"},
        {"userinfo_endpoint": "ftp://x"}, {"jwks_uri": "https://sign-on.example\\@evil.example/"},
    ],
    ids=str,
)  # fmt: skip
def test_a_discovery_document_that_leads_astray_is_refused(change):
    assert oidc.read_metadata(GOOD, ISSUER).issuer == ISSUER
    with pytest.raises(ProviderRefused):
        oidc.read_metadata(GOOD | change, ISSUER)


def metadata(**fields) -> Metadata:
    return oidc.read_metadata(GOOD | fields, ISSUER)


def test_an_answer_must_be_of_the_issuer_that_was_asked():
    oidc.check_answer_issuer(metadata(), None)
    oidc.check_answer_issuer(metadata(), ISSUER)
    names_itself = metadata(authorization_response_iss_parameter_supported=True)
    for named in (None, "https://evil.example", f"{ISSUER}/"):
        with pytest.raises(ProviderRefused):
            oidc.check_answer_issuer(names_itself, named)
    with pytest.raises(ProviderRefused):
        oidc.check_answer_issuer(metadata(), "https://evil.example")
    with pytest.raises(ProviderRefused):
        oidc.check_client(metadata(), Client("fettle", None, "https://f/cb"))
    oidc.check_client(names_itself, Client("fettle", None, "https://f/cb"))


def test_the_secret_goes_into_the_header_or_where_the_provider_wants_it():
    client = Client("a:b", "c d%", "https://f/cb")
    basic = oidc.token_request(metadata(), client, "code", "verifier")
    assert base64.b64decode(basic.headers["Authorization"].removeprefix("Basic ")) == b"a%3Ab:c+d%25"
    assert b"secret" not in basic.body
    post = oidc.token_request(
        metadata(token_endpoint_auth_methods_supported=["client_secret_post"]), client, "code", "verifier"
    )
    assert "Authorization" not in post.headers
    assert b"client_secret=c+d%25" in post.body


@pytest.mark.parametrize(
    ("claims", "path", "found"),
    [
        ({"realm_access": {"roles": ["a", "b"]}}, "realm_access.roles", ["a", "b"]),
        ({"groups": "one"}, "groups", ["one"]),
        ({"https://x.example/roles": ["a"]}, "https://x.example/roles", ["a"]),
        ({"a": {"b": [1, None, "x", ["y"]]}}, "a.b", ["x"]),
        ({"a": [{"b": "x"}]}, "a.b", []),
        ({}, "a.b.c", []),
        ({"a": {"b": {"c": "x"}}}, "a.b", []),
    ],
)
def test_roles_are_found_at_a_dotted_path(claims, path, found):
    assert oidc.claim_at(claims, path) == found


@given(st.text(max_size=60))
def test_whatever_is_asked_for_one_is_sent_back_to_a_path_of_ours(text):
    safe = oidc.safe_return(f"/{text}")
    assert safe.startswith("/")
    assert not safe.startswith(("//", "/\\"))
    assert safe.isascii()
    assert safe.isprintable()
