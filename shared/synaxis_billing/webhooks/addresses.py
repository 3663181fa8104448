"""Which hosts are on the public internet."""

from ipaddress import IPv6Address, IPv6Network, ip_address

from synaxis_billing.web import IPAddress

# https://www.rfc-editor.org/rfc/rfc6052: it may lead to any IPv4 address, a private one too.
_NAT64 = IPv6Network("64:ff9b::/96")
# Names that never leave the network they are asked in: RFC 6761, 6762, 8375, and AWS's own.
_INNER_NAMES = (".localhost", ".local", ".internal", ".home.arpa")


def is_public(host: str) -> bool:
    """Say whether a host may be on the public internet, as far as its name or number tells."""
    try:
        return is_public_ip(ip_address(host))
    except ValueError:
        name = host.rstrip(".").lower()
        return "." in name and not name.endswith(_INNER_NAMES)


def is_public_ip(ip: IPAddress) -> bool:
    if isinstance(ip, IPv6Address):
        within = ip.ipv4_mapped or ip.sixtofour or (ip.teredo and ip.teredo[1])
        if within:
            return is_public_ip(within)
        if ip in _NAT64 or ip.is_site_local:
            return False
    return ip.is_global and not ip.is_multicast
