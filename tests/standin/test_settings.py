"""`make run` asks the real providers whose keys it is given, and a stand-in for the others."""

import pytest

from local.payments.settings import choose


def test_without_keys_both_providers_are_stood_in_for() -> None:
    assert choose({}) == ({}, ["stripe", "paypal"])


def test_a_key_chooses_the_real_provider() -> None:
    given = {"STRIPE_API_KEY": "sk_test_1", "STRIPE_WEBHOOK_SECRET": "whsec_1"}
    assert choose(given) == ({**given, "STRIPE_API_URL": "https://api.stripe.com"}, ["paypal"])


@pytest.mark.parametrize(
    "given",
    [
        {"STRIPE_API_KEY": "sk_live_1"},
        {"STRIPE_API_KEY": "rk_live_1"},
        {"PAYPAL_CLIENT_ID": "id", "PAYPAL_API_URL": "https://api-m.paypal.com"},
    ],
)
def test_a_trial_takes_no_key_that_moves_money(given: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="live mode"):
        choose(given)
