"""Network addresses in a route's config: parsing, resolution, and those that are never allowed."""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Sequence
from fnmatch import fnmatchcase

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_NAME = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,252}[A-Za-z0-9_])?\.?")
# Link-local addresses, where metadata services give out credentials; such services at other
# addresses (AWS, GCP, Azure, Alibaba, Oracle); and addresses that are not of a single host.
_NEVER = [
    ipaddress.ip_network(network)
    for network in (
        "169.254.0.0/16",
        "fe80::/10",
        "fd00:ec2::/32",
        "fd20:ce::/32",
        "100.100.100.200/32",
        "168.63.129.16/32",
        "192.0.0.192/32",
        "0.0.0.0/8",
        "::/128",
        "224.0.0.0/4",
        "255.255.255.255/32",
        "ff00::/8",
    )
]
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_COMPATIBLE = ipaddress.ip_network("::/96")
_METADATA = frozenset({"metadata", "metadata.google.internal", "instance-data"})


def is_name(host: str) -> bool:
    """Return whether it is an ASCII host name, or an address."""
    return bool(_NAME.fullmatch(host)) or literal(host) is not None


def literal(host: str) -> Address | None:
    """Return the address in the text, also in old forms such as 0xa9fea9fe; None for a name."""
    try:
        return ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        pass
    try:
        # Resolvers take these forms for addresses without a query.
        return ipaddress.IPv4Address(socket.inet_aton(host.rstrip(".")))
    except (OSError, ValueError):
        return None


def resolve(host: str, port: int | None) -> list[Address]:
    """Return every address of the name by this machine's resolver; none if it does not resolve."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return []
    return [ipaddress.ip_address(str(entry[4][0])) for entry in found]


def never(one: Address) -> bool:
    """Return whether nothing may ever be sent to this address."""
    inner = _within(one)
    return any(form in network for form in (one, inner) for network in _NEVER)


def is_loopback(one: Address) -> bool:
    """Return whether the address is of this machine only, in any form."""
    return one.is_loopback or _within(one).is_loopback


def names_metadata(host: str) -> bool:
    """Return whether the name is that of a metadata service."""
    return host.lower().rstrip(".") in _METADATA


def allowed(
    host: str,
    port: int | None,
    found: Sequence[Address],
    entries: Sequence[str],
    *,
    resolved: bool,
) -> bool:
    """Return whether the operator's entries allow this host.

    An entry is a name (`*.example.com`, with `:port` for that port only) or a network
    (`10.0.0.0/8`) that all addresses `found` must be in.
    """
    networks = []
    for entry in entries:
        try:
            networks.append(ipaddress.ip_network(entry))
            continue
        except ValueError:
            pass
        name, colon, entry_port = entry.rpartition(":")
        if not (colon and entry_port.isdecimal()):
            name, entry_port = entry, ""
        if entry_port and port is not None and int(entry_port) != port:
            continue
        if fnmatchcase(host.lower().rstrip("."), name.lower().strip("[]")):
            return True
    if not found:
        # The address is checked when a worker resolves the name.
        return bool(networks) and not resolved
    return all(any(one in network for network in networks) for one in found)


def _within(one: Address) -> Address:
    """Return the IPv4 address that an IPv6 address stands for, or the address itself."""
    if isinstance(one, ipaddress.IPv4Address):
        return one
    if one in _NAT64 or (one in _COMPATIBLE and int(one) > 0xFFFF):
        return ipaddress.IPv4Address(int(one) & 0xFFFFFFFF)
    teredo = one.teredo
    return one.ipv4_mapped or one.sixtofour or (teredo[1] if teredo else None) or one
