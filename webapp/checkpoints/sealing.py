"""Seals a secret with the portal's key, for the little while that a job waits for its worker.

Django's own signing keeps a value from being changed, not from being read; this is Fernet [0]
(AES-128-CBC and HMAC-SHA256) under a key of its own, derived from SECRET_KEY, so that a copy of the
database alone tells nothing.

- [0] https://github.com/fernet/spec
"""

from __future__ import annotations

import base64
from datetime import timedelta

from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings

#: A job that waits longer asks for the token anew.
LASTS = timedelta(days=7)


def seal(secret: str) -> str:
    """Encrypt a short text."""
    return _fernet().encrypt(secret.encode()).decode()


def unseal(sealed: str) -> str | None:
    """The text; None when it is not ours, too old, or sealed with another key."""
    try:
        return _fernet().decrypt(sealed.encode(), ttl=int(LASTS.total_seconds())).decode()
    except InvalidToken:
        return None


def _fernet() -> Fernet:
    key = HKDF(algorithm=SHA256(), length=32, salt=None, info=b"graft.checkpoints.push")
    return Fernet(base64.urlsafe_b64encode(key.derive(settings.SECRET_KEY.encode())))
