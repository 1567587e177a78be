"""Why a server is not trusted, or speaks no TLS, in words for who can mend it (pure)."""

from __future__ import annotations

import ssl

_EXPIRED, _NOT_YET = 10, 9
_STRANGERS = frozenset({2, 18, 19, 20, 21})
_OTHER_NAMES = frozenset({62, 63, 64})
"""What OpenSSL calls X509_V_ERR_…: certificates of an unknown authority, and of other names."""
_NO_TLS = frozenset({"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE"})
"""How OpenSSL says, version by version, that what came is no TLS at all."""


def is_none(error: BaseException | None) -> bool:
    """Return whether the other side answered, and not in TLS."""
    return isinstance(error, ssl.SSLError) and error.reason in _NO_TLS


def told(error: ssl.SSLError, *, url_key: str, ca: str, ca_key: str) -> tuple[str, str]:
    """Return what is wrong, and what to do.

    Args:
        error: of the handshake.
        url_key: the configuration's name for the address.
        ca: the configured authority's file; empty: the system's.
        ca_key: the configuration's name for that; empty where there is none.
    """
    if is_none(error):
        return plain(url_key)
    if isinstance(error, ssl.SSLCertVerificationError):
        return _untrusted(error, url_key, ca, ca_key)
    reason = (error.reason or str(error)).replace("_", " ").lower()
    return f"TLS fails: {reason}", "look at the server's TLS settings: 1.2 or newer is needed"


def _untrusted(
    error: ssl.SSLCertVerificationError, url_key: str, ca: str, ca_key: str
) -> tuple[str, str]:
    code, message = error.verify_code, error.verify_message.rstrip(".")
    if code == _EXPIRED:
        return "its certificate has expired", "renew it at the server; is this box's clock right?"
    if code == _NOT_YET:
        return "its certificate is not valid yet", "set this box's clock, or the server's"
    if code in _OTHER_NAMES:
        return (
            f"its certificate is for another name: {message}",
            f"write the name of the certificate in {url_key}, or have one made for this address",
        )
    if code in _STRANGERS:
        known = f"that of {ca_key}, {ca}" if ca else "one that this box knows"
        where = f"name its PEM file in {ca_key}" if ca_key else "add it to this box's authorities"
        return f"the authority of its certificate is not {known} ({message})", where
    return f"its certificate is not accepted: {message}", "have another one made for the server"


def plain(url_key: str) -> tuple[str, str]:
    """Return what is wrong with https where the server speaks HTTP, and what to do."""
    return (
        "it speaks HTTP without TLS",
        f"write http:// in {url_key}, or have the server speak TLS",
    )


def encrypted(url_key: str, ca_key: str) -> tuple[str, str]:
    """Return what is wrong with http where the server speaks TLS, and what to do."""
    authority = f"; {ca_key} names its authority where this box does not know it" if ca_key else ""
    return "it speaks TLS, and is asked without", f"write https:// in {url_key}{authority}"
