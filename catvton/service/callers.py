"""Who a request comes from: an account, or an address where nobody is signed in."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Caller:
    """Whom limits and jobs belong to.

    Attributes:
        account: the account's name, or "" for somebody who is not signed in.
        address: the network address as far as it can be believed, or "".
    """

    account: str = ""
    address: str = ""

    @property
    def key(self) -> str:
        """What the limits count by."""
        return f"account {self.account}" if self.account else f"address {self.address}"


def client_address(peer: str, forwarded: Sequence[str], *, hops: int) -> str:
    """The address a request comes from, as text that is the same for the same visitor.

    Each proxy appends the address it was asked from, so only the entries of one's own proxies can be believed, and
    they are the last ones. Whatever a visitor wrote into the header himself stands further left.

    Args:
        peer: the address of who opened the connection.
        forwarded: the X-Forwarded-For headers, in their order.
        hops: how many proxies of one's own the request came through.

    Returns:
        An IPv4 address or an IPv6 network of 64 bits, which is what one visitor has; the peer's where the header is
        not as `hops` says.
    """
    said = [entry.strip() for header in forwarded for entry in header.split(",")]
    if hops and len(said) >= hops:
        return _same(said[-hops]) or _same(peer) or peer
    return _same(peer) or peer


def _same(address: str) -> str:
    """One spelling per visitor, or "" for what is no address."""
    host = address.removeprefix("[").partition("]")[0] if address.startswith("[") else address
    if host.count(":") == 1:  # IPv4 with a port
        host = host.partition(":")[0]
    try:
        found = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return ""
    if found.version == 4:
        return str(found)
    if found.ipv4_mapped:
        return str(found.ipv4_mapped)
    return str(ipaddress.ip_network((int(found), 64), strict=False))
