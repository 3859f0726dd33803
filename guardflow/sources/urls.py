"""One spelling for every URL, and the host that answers for it.

Fetchers and pipelines compare canonical URLs, so that one page counts once. Nothing here asks the network.
"""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import SplitResult, urlsplit

from guardflow.guards.kit.wordset import word_set

DEFAULT_PORTS = {"http": 80, "https": 443}

_TRACKERS = re.compile(
    r"(?:utm_\w+|ga_\w+|pk_\w+|mtm_\w+|hsa_\w+|__hs\w+|_hs\w+|vero_\w+|oly_\w+|at_(?:campaign|medium|custom\d)"
    r"|fbclid|gclid|gclsrc|dclid|gbraid|wbraid|msclkid|twclid|ttclid|yclid|ysclid|li_fat_id|igshid|igsh|mc_cid|mc_eid"
    r"|mkt_tok|_ga|_gl|wickedid|s_cid|rb_clickid|srsltid|epik|ref_src|ref_url|cmpid|ncid|spm|scm_id|_openstat)",
    re.IGNORECASE,
)
_ESCAPE = re.compile(r"%([0-9A-Fa-f]{2})")
_UNRESERVED = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
_UNSAFE = re.compile(r"[^!#$%&'()*+,/:;=?@\[\]~\w.-]|%(?![0-9A-Fa-f]{2})|[^\x00-\x7f]")
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?")
_NUMERIC = re.compile(r"(?:0x[0-9a-f]*|\d+)")
_SECOND = word_set(
    "ac co com edu gob gov go gouv gv id info mil ne net nom or org sch school ltd plc me nhs police web ind firm gen"
)
_PLATFORMS = word_set(
    "github.io gitlab.io blogspot.com wordpress.com netlify.app vercel.app pages.dev workers.dev herokuapp.com web.app "
    "firebaseapp.com azurewebsites.net cloudfront.net readthedocs.io substack.com medium.com tumblr.com fly.dev "
    "onrender.com surge.sh neocities.org weebly.com wixsite.com notion.site s3.amazonaws.com"
)
"""Hosts under which everybody has a name of their own: two of these names are two publishers."""


def canonical_url(url: str) -> str:
    """The one spelling under which a URL is known.

    Scheme and host in lower case (IDNA), no user name, no default port, no dot segments, no empty path, no
    fragment, no tracking parameters, the other parameters sorted, escapes only where needed and in upper case.
    Applying it twice changes nothing.

    Raises:
        ValueError: it is no http or https URL, or one that browsers would read differently.

    >>> canonical_url("HTTP://user@Example.COM.:80/a/./b/../c?utm_source=x&b=2&a=%7e1#top")
    'http://example.com/a/c?a=~1&b=2'
    """
    cleaned = re.sub(r"[\t\r\n]", "", url.strip(" \t\r\n\f\0"))
    try:
        parts = urlsplit(cleaned)
        port = parts.port
    except ValueError as error:
        raise ValueError(f"{_shown(url)} cannot be read as a URL ({error})") from error
    if parts.scheme not in DEFAULT_PORTS:
        raise ValueError(f"{_shown(url)} is no http or https URL")
    if "\\" in parts.netloc or re.search(r"[\s\x00-\x1f]", parts.netloc):
        raise ValueError(f"{_shown(url)} has a host that programs read differently")
    bracketed = "[" in parts.netloc
    host = canonical_host(f"[{parts.hostname}]" if bracketed else parts.hostname or "")
    if port == 0:
        raise ValueError(f"{_shown(url)} has port 0, which nothing listens at")
    at = "" if port in (None, DEFAULT_PORTS[parts.scheme]) else f":{port}"
    query = _query(parts.query)
    return f"{parts.scheme}://{host}{at}{_path(parts.path)}{f'?{query}' if query else ''}"


def canonical_host(host: str) -> str:
    """A host name in lower case and IDNA, without a final dot; an IP address in its usual spelling.

    Raises:
        ValueError: no host can have this name.

    >>> canonical_host("BÜCHER.example."), canonical_host("[2001:DB8::0:1]")
    ('xn--bcher-kva.example', '[2001:db8::1]')
    """
    bare = host.strip("[]").lower()
    if "%" in bare:
        raise ValueError(f"{host!r} names a network interface, which no web address does")
    if ":" in bare or host.startswith("["):
        return f"[{ipaddress.IPv6Address(bare)}]"
    if not bare.isascii():
        bare = _idna(bare)
    bare = bare.removesuffix(".")
    labels = bare.split(".")
    if len(bare) > 253 or not all(len(label) < 64 and _LABEL.fullmatch(label) for label in labels):
        raise ValueError(f"{host!r} cannot be the name of a host")
    if _NUMERIC.fullmatch(labels[-1]):  # 127.1, 0x7f.1 and 2130706433 are addresses to some programs
        return str(ipaddress.IPv4Address(bare))
    return bare


def host_of(url: str) -> str:
    """The canonical host of a URL, without the port. Raises ValueError as `canonical_url` does."""
    return canonical_host(urlsplit(canonical_url(url)).hostname or "")


def registrable(host: str) -> str:
    """About the domain that somebody registered: two hosts with the same one have the same publisher.

    An approximation without the public suffix list: one label before the suffix, where suffixes are a top-level
    domain, a known second level below a country (``co.uk``), and platforms such as ``github.io``.

    >>> [registrable(h) for h in ("a.b.example.com", "www.news.co.uk", "ann.github.io", "10.0.0.1")]
    ['example.com', 'news.co.uk', 'ann.github.io', '10.0.0.1']
    """
    host = canonical_host(host)
    labels = host.split(".")
    if host.startswith("[") or labels[-1].isdigit() or len(labels) <= 2:
        return host
    for size in (3, 2):
        if ".".join(labels[-size:]) in _PLATFORMS:
            return ".".join(labels[-size - 1 :])
    is_country = len(labels[-1]) == 2
    return ".".join(labels[-3:] if is_country and labels[-2] in _SECOND else labels[-2:])


def split_canonical(url: str) -> tuple[SplitResult, int]:
    """The parts of a canonical URL and its port, the scheme's if none is named."""
    parts = urlsplit(url)
    return parts, parts.port or DEFAULT_PORTS[parts.scheme]


def _idna(host: str) -> str:
    import idna  # comes with httpx

    try:
        return idna.encode(host, uts46=True).decode("ascii")
    except idna.IDNAError as error:
        raise ValueError(f"{host!r} cannot be the name of a host ({error})") from error


def _path(path: str) -> str:
    segments: list[str] = []
    pieces = _escaped(path.replace("\\", "/")).split("/")
    for piece in pieces[1:] if pieces[0] == "" else pieces:
        if piece == "..":
            if segments:
                segments.pop()
        elif piece != ".":
            segments.append(piece)
    if pieces[-1] in (".", "..") and (not segments or segments[-1]):
        segments.append("")
    return "/" + "/".join(segments)


def _query(query: str) -> str:
    kept = [
        part
        for part in _escaped(query).split("&")
        if part and not _TRACKERS.fullmatch(part.partition("=")[0])
    ]
    return "&".join(sorted(kept))


def _escaped(text: str) -> str:
    """Escapes in upper case, none where it is not needed, one for everything a URL cannot hold."""

    def decoded(match: re.Match[str]) -> str:
        char = chr(int(match[1], 16))
        return char if char in _UNRESERVED else f"%{match[1].upper()}"

    def encoded(match: re.Match[str]) -> str:
        return "".join(f"%{byte:02X}" for byte in match.group().encode("utf-8", "replace"))

    return _ESCAPE.sub(decoded, _UNSAFE.sub(encoded, text))


def _shown(url: str) -> str:
    return repr(url if len(url) <= 120 else url[:119] + "…")
