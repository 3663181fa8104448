"""Which addresses are on the public internet, however they are written."""

import pytest

from synaxis_billing.webhooks.addresses import is_public


@pytest.mark.parametrize(
    "host",
    [
        *("example.com", "hooks.example.co.jp", "xn--bcher-kva.example", "example.com."),
        *("93.184.215.14", "2606:2800:220:1:248:1893:25c8:1946"),
    ],
)
def test_public_addresses_are(host: str) -> None:
    assert is_public(host)


@pytest.mark.parametrize(
    "host",
    [
        *(
            "localhost",
            "LOCALHOST.",
            "db",
            "printer.local",
            "ip-10-0-0-1.ec2.internal",
            "a.localhost",
        ),
        *("127.0.0.1", "127.8.8.8", "0.0.0.0", "10.0.0.1", "172.16.0.1", "172.31.255.255"),
        *("192.168.1.1", "169.254.169.254", "100.64.0.1", "198.18.0.1", "224.0.0.1", "240.0.0.1"),
        *("255.255.255.255", "192.0.2.1", "::", "::1", "fc00::1", "fd00:ec2::254", "fe80::1"),
        *("fec0::1", "ff02::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:a9fe:a9fe"),
        *(
            "2002:7f00:1::",
            "2002:a9fe:a9fe::",
            "64:ff9b::7f00:1",
            "64:ff9b::a9fe:a9fe",
            "2001:db8::1",
        ),
    ],
)
def test_private_loopback_link_local_and_made_up_ones_are_not(host: str) -> None:
    assert not is_public(host)
