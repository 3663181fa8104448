"""Keys name their tenant, and values cannot be changed by whoever gets them."""

from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, create_model

from synaxis_billing.cache import Cache, Family
from synaxis_billing.cache.keys import parse_key, parse_pattern


class Price(BaseModel):
    model_config = ConfigDict(frozen=True)

    usd: Decimal
    parts: tuple[int, ...] = ()


PRICES = Family("price", Price)
TENANT = UUID("0190b8a2-7c11-7d3e-9a51-3f2b6c8d9e04")


def test_a_key_is_named_after_its_tenant_and_lies_in_the_tenants_slot() -> None:
    key = PRICES.key(TENANT, "gpt-4o", "2026-02")
    assert key.text == f"tenant:{TENANT}:price:gpt-4o:2026-02"
    assert key.wire == f"tenant:{{{TENANT}}}:v:price:gpt-4o:2026-02"
    assert all(f"{{{TENANT}}}" in fence for fence in key.fences)
    assert parse_key(key.text) == (TENANT, "price:gpt-4o:2026-02")


@pytest.mark.parametrize("tenant", [None, "", str(TENANT), "*"])
def test_no_key_without_a_tenant(tenant: object) -> None:
    with pytest.raises(TypeError, match="UUID of its tenant"):
        PRICES.key(tenant, "gpt-4o")  # type: ignore[arg-type]


@given(st.text().filter(lambda text: not text.isascii() or not text.replace("-", "a").isalnum()))
def test_nothing_gets_into_a_key_that_means_something_to_redis(part: str) -> None:
    try:
        key = PRICES.key(TENANT, part)
    except ValueError:
        return
    assert not set(key.text[len("tenant:") + 36 :]) & set("*?[]{}^\\\0\r\n \"'!")
    assert key.text.count(":") == 3


@pytest.mark.parametrize(
    ("pattern", "meaning"),
    [
        (f"tenant:{TENANT}:*", (TENANT, None)),
        (f"tenant:{TENANT}:price:*", (TENANT, "price")),
        (f"tenant:{TENANT}:price:gpt-*", (TENANT, "price")),
        (f"tenant:{TENANT}:pri*", (TENANT, None)),
        (f"tenant:{TENANT}:*:2026*", (TENANT, None)),
    ],
)
def test_a_pattern_comes_to_a_family_or_to_all_of_its_tenant(
    pattern: str, meaning: tuple[UUID, str | None]
) -> None:
    assert parse_pattern(pattern) == meaning


@pytest.mark.parametrize(
    "pattern",
    ["*", "tenant:*", "tenant:*:price:*", f"tenant:{TENANT}", f"tenant:{TENANT}:price", ""],
)
def test_a_pattern_that_could_touch_other_tenants_is_refused(pattern: str) -> None:
    with pytest.raises(ValueError):
        parse_pattern(pattern)


def test_a_batch_refuses_to_mix_tenants() -> None:
    keys = [PRICES.key(TENANT, "a"), PRICES.key(uuid4(), "a")]
    with pytest.raises(ValueError, match="one tenant"):
        Cache(None).get_many(keys)


def test_a_family_refuses_values_that_a_caller_could_change() -> None:
    class Changeable(BaseModel):
        usd: Decimal

    class WithList(BaseModel):
        model_config = ConfigDict(frozen=True)
        parts: list[int]

    class Around(BaseModel):
        model_config = ConfigDict(frozen=True)
        inner: tuple[WithList, ...]

    class WithAnyList(BaseModel):
        model_config = ConfigDict(frozen=True)
        parts: list  # type: ignore[type-arg]

    class Open(BaseModel):
        model_config = ConfigDict(frozen=True, extra="allow")

    for model in (Changeable, WithList, WithAnyList, Around, Open):
        with pytest.raises(TypeError):
            Family("x", model)


def test_another_shape_is_another_schema() -> None:
    def price(**fields: Any) -> type[BaseModel]:
        shape: dict[str, Any] = {name: (kind, ...) for name, kind in fields.items()}
        made: type[BaseModel] = create_model("Price", __config__=ConfigDict(frozen=True), **shape)
        return made

    shapes = [
        price(usd=Decimal),
        price(usd=str),
        price(eur=Decimal),
        price(usd=Decimal | None),
        price(usd=tuple[Decimal, ...]),
        price(usd=Decimal, parts=int),
    ]
    assert len({Family("x", shape).schema for shape in shapes}) == len(shapes)


@pytest.mark.parametrize("text", [f"user:{TENANT}:price", f"tenant:{TENANT}", f"tenant:{TENANT}:"])
def test_a_key_names_its_tenant_and_what_is_kept(text: str) -> None:
    with pytest.raises(ValueError, match="must be tenant:"):
        parse_key(text)


def test_a_pattern_names_its_tenant() -> None:
    assert parse_pattern(f"tenant:{TENANT}:*") == (TENANT, None)
    for text in (f"user:{TENANT}:*", f"tenant:{TENANT}:price"):
        with pytest.raises(ValueError, match="must be tenant:"):
            parse_pattern(text)
