"""Addresses that a route may name: how they are written, resolved, and which ones never."""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Sequence
from fnmatch import fnmatchcase

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_NAME = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,252}[A-Za-z0-9_])?\.?")
# Link-local, where metadata services hand out credentials; those of them that lie elsewhere (AWS,
# GCP, Azure, Alibaba, Oracle); and what is no single host.
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
    """Whether it is a host's name in ASCII, or an address."""
    return bool(_NAME.fullmatch(host)) or literal(host) is not None


def literal(host: str) -> Address | None:
    """The address that is written there, also in the old forms such as 0xa9fea9fe; None: a name."""
    try:
        return ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        pass
    try:
        # What resolvers take for an address without asking anybody.
        return ipaddress.IPv4Address(socket.inet_aton(host.rstrip(".")))
    except (OSError, ValueError):
        return None


def resolve(host: str, port: int | None) -> list[Address]:
    """Every address of the name, by this machine's resolver; none if it does not resolve."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return []
    return [ipaddress.ip_address(str(entry[4][0])) for entry in found]


def never(one: Address) -> bool:
    """Whether nothing may ever be sent there."""
    inner = _within(one)
    return any(form in network for form in (one, inner) for network in _NEVER)


def is_loopback(one: Address) -> bool:
    return one.is_loopback or _within(one).is_loopback


def names_metadata(host: str) -> bool:
    return host.lower().rstrip(".") in _METADATA


def allowed(
    host: str,
    port: int | None,
    found: Sequence[Address],
    entries: Sequence[str],
    *,
    resolved: bool,
) -> bool:
    """Whether an entry names the host (`*.example.com`, with `:port` for one port alone), or all of
    its addresses lie in networks among them (`10.0.0.0/8`)."""
    networks = []
    for entry in entries:
        try:
            networks.append(ipaddress.ip_network(entry))
            continue
        except ValueError:
            pass
        name, colon, its_port = entry.rpartition(":")
        if not (colon and its_port.isdecimal()):
            name, its_port = entry, ""
        if its_port and port is not None and int(its_port) != port:
            continue
        if fnmatchcase(host.lower().rstrip("."), name.lower().strip("[]")):
            return True
    if not found:
        # Where it leads is seen when a worker resolves it.
        return bool(networks) and not resolved
    return all(any(one in network for network in networks) for one in found)


def _within(one: Address) -> Address:
    """The IPv4 address that another one stands for, or the address itself."""
    if isinstance(one, ipaddress.IPv4Address):
        return one
    if one in _NAT64 or (one in _COMPATIBLE and int(one) > 0xFFFF):
        return ipaddress.IPv4Address(int(one) & 0xFFFFFFFF)
    teredo = one.teredo
    return one.ipv4_mapped or one.sixtofour or (teredo[1] if teredo else None) or one
