"""Reads which providers an operator has put in order, and where they are; pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Final

from fettle.kernel.egress_rules import EgressRefused, read_url
from fettle.kernel.settings import Settings, SettingsError

RETRIEVAL: Final = "retrieval"
OPENAI: Final = "openai"
ANTHROPIC: Final = "anthropic"
_PER: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Price:
    """What a model's tokens cost, in US dollars for a million."""

    input_usd: Decimal = Decimal(0)
    output_usd: Decimal = Decimal(0)

    def of(self, input_tokens: int, output_tokens: int) -> Decimal:
        """Return what so many tokens cost."""
        return (self.input_usd * input_tokens + self.output_usd * output_tokens) / _PER


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One entry of the chain.

    Attributes:
        kind: `retrieval`, `openai` or `anthropic`.
        name: What it is called in events: kind, model and place.
        url: The base address, without a slash at its end.
        key: Its API key; empty for none.
    """

    kind: str
    name: str
    model: str = ""
    url: str = ""
    key: str = ""
    price: Price = Price()


def read_chain(settings: Settings) -> list[Endpoint]:
    """Return the chain of providers that an operator chose.

    Raises:
        SettingsError: An entry cannot be read.
    """
    keys = _keys(settings)
    prices = _prices(settings)
    chain = [_endpoint(entry, keys, prices) for entry in settings.planner_chain]
    names = [entry.name for entry in chain]
    if len(set(names)) != len(names):
        raise SettingsError("FETTLE_PLANNER_CHAIN: a provider stands in it twice. Name each once.")
    return chain


def _endpoint(entry: str, keys: Mapping[str, str], prices: Mapping[str, Price]) -> Endpoint:
    if entry == RETRIEVAL:
        return Endpoint(RETRIEVAL, RETRIEVAL, RETRIEVAL)
    kind, _, rest = entry.partition(":")
    model, _, url = rest.rpartition("@")
    if kind not in {OPENAI, ANTHROPIC} or not model or not model.isprintable():
        raise SettingsError(
            "FETTLE_PLANNER_CHAIN: an entry is retrieval, openai:<model>@<url> or anthropic:<model>@<url>. "
            "Mend it in the environment or in .env."
        )
    try:
        place = read_url(url)
    except EgressRefused as error:
        raise SettingsError(
            f"FETTLE_PLANNER_CHAIN: {error}. Mend it in the environment or in .env."
        ) from None
    return Endpoint(
        kind,
        f"{kind}:{model}@{place.authority}",
        model,
        url.rstrip("/"),
        keys.get(place.authority, ""),
        prices.get(model, Price()),
    )


def _keys(settings: Settings) -> dict[str, str]:
    if settings.planner_keys is None:
        return {}
    keys = {}
    for part in settings.planner_keys.get_secret_value().split(","):
        authority, _, key = part.strip().partition("=")
        if not authority or not key or not key.isascii() or not key.isprintable():
            raise SettingsError(
                "FETTLE_PLANNER_KEYS: an entry is <host>=<key> or <host:port>=<key>, with commas between. "
                "Mend it in the environment or in .env."
            )
        keys[authority.lower()] = key
    return keys


def _prices(settings: Settings) -> dict[str, Price]:
    prices = {}
    for entry in settings.planner_prices:
        model, _, amounts = entry.rpartition("=")
        first, _, second = amounts.partition("/")
        try:
            price = Price(Decimal(first), Decimal(second))
        except InvalidOperation:
            price = Price(Decimal(-1))
        if not model or not (_is_price(price.input_usd) and _is_price(price.output_usd)):
            raise SettingsError(
                "FETTLE_PLANNER_PRICES: an entry is <model>=<input>/<output>, in US dollars for a million tokens. "
                "Mend it in the environment or in .env."
            )
        prices[model] = price
    return prices


def _is_price(amount: Decimal) -> bool:
    return amount.is_finite() and amount >= 0
