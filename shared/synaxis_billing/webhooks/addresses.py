"""Addresses of the web: what a URL names, and whether that is on the public internet."""

import re
import socket
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import NamedTuple
from urllib.parse import urlsplit

# https://www.rfc-editor.org/rfc/rfc6052: it may lead to any IPv4 address, a private one too.
_NAT64 = IPv6Network("64:ff9b::/96")
# Names that never leave the network they are asked in: RFC 6761, 6762, 8375, and AWS's own.
_INNER_NAMES = (".localhost", ".local", ".internal", ".home.arpa")

_PORTS = {"https": 443, "http": 80}
# A name, or a number of either kind.
_HOST = re.compile(r"[a-z0-9.-]+|[0-9a-f:.]+")


class WebAddress(NamedTuple):
    """`target` is the path with its query."""

    scheme: str
    host: str
    port: int
    target: str

    @property
    def authority(self) -> str:
        """What the Host header says: without the default port (RFC 9110, 4.2.3)."""
        name = f"[{self.host}]" if ":" in self.host else self.host
        return name if self.port == _PORTS[self.scheme] else f"{name}:{self.port}"


def parse_url(url: str) -> WebAddress:
    """Return the parts of a URL. Raises ValueError, whose message completes "<field> ..."."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    if parts.scheme not in _PORTS or not _HOST.fullmatch(host):
        raise ValueError("must be a URL such as https://example.com/billing")
    if parts.username is not None or parts.password is not None:
        raise ValueError("must have no user name or password in it")
    if parts.fragment:
        raise ValueError("must have no fragment (#)")
    try:
        port = _PORTS[parts.scheme] if parts.port is None else parts.port
    except ValueError:
        port = 0
    if port == 0:
        raise ValueError("must have a port from 1 to 65535, or none")
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return WebAddress(parts.scheme, host, port, target)


def is_public(host: str) -> bool:
    """Whether a host may be on the public internet, as far as its name or number tells."""
    try:
        return is_public_ip(ip_address(host))
    except ValueError:
        name = host.rstrip(".").lower()
        return "." in name and not name.endswith(_INNER_NAMES)


def is_public_ip(ip: IPv4Address | IPv6Address) -> bool:
    if isinstance(ip, IPv6Address):
        within = ip.ipv4_mapped or ip.sixtofour or (ip.teredo and ip.teredo[1])
        if within:
            return is_public_ip(within)
        if ip in _NAT64 or ip.is_site_local:
            return False
    return ip.is_global and not ip.is_multicast


def resolve(host: str, port: int) -> list[str]:
    """Return the IP addresses of a host, in the order to try them. Raises OSError."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(number[0]) for *_, number in found]
