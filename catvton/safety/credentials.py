"""C2PA content credentials: a finished file signed with the operator's certificate, so that others can check its maker.

An extra (`requirements-c2pa.txt`). Nothing is fetched: the certificate chain is the operator's, and no time stamp is
asked for. Like any metadata, the signature is lost when a file is re-encoded.
"""

from __future__ import annotations

import io
import json
import logging
from pathlib import Path
from typing import Any

from catvton.errors import SettingsError
from catvton.safety.statement import PROGRAM, SOURCE_TYPE

log = logging.getLogger(__name__)

INSTALL = "python -m pip install -r requirements-c2pa.txt"


class ContentCredentials:
    """Signs files. One object serves any number of threads.

    Args:
        certificate: PEM file, the signer's certificate first, then those that vouch for it.
        key: PEM file of its private key, without a passphrase: EC (P-256, P-384 or P-521), RSA or Ed25519.

    Raises:
        SettingsError: the package is not installed, or a signature cannot be made with these files.
    """

    def __init__(self, certificate: Path, key: Path) -> None:
        try:
            import c2pa
        except ImportError as error:
            raise SettingsError(f"CATVTON_C2PA_CERTIFICATE needs one more package: {INSTALL}") from error
        self._c2pa = c2pa
        self._certificate = _read("CATVTON_C2PA_CERTIFICATE", certificate)
        self._key = _read("CATVTON_C2PA_KEY", key)
        self._algorithm = _algorithm(self._key)
        self._try()

    def __call__(self, data: bytes, media_type: str) -> bytes:
        """The signed file. What cannot be signed is logged and handed back as it came: nobody waits for it twice.

        Args:
            data: a whole file of `media_type`: "image/png", "image/jpeg" or "image/webp".
        """
        try:
            return self._signed(data, media_type)
        except self._c2pa.C2paError as error:
            log.error("a picture was handed out unsigned: %s", error)
            return data

    def _try(self) -> None:
        from PIL import Image

        file = io.BytesIO()
        Image.new("RGB", (8, 8)).save(file, "PNG")
        try:
            self._signed(file.getvalue(), "image/png")
        except self._c2pa.C2paError as error:
            raise SettingsError(f"CATVTON_C2PA_CERTIFICATE and CATVTON_C2PA_KEY cannot sign: {error}") from error

    def _signed(self, data: bytes, media_type: str) -> bytes:
        info = self._c2pa.C2paSignerInfo(self._algorithm, self._certificate, self._key, None)
        signed = io.BytesIO()
        with self._c2pa.Signer.from_info(info) as signer, self._c2pa.Builder(json.dumps(_manifest())) as builder:
            builder.sign(signer, media_type, io.BytesIO(data), signed)
        return signed.getvalue()


def _manifest() -> dict[str, Any]:
    from catvton import __version__

    made = {"action": "c2pa.created", "digitalSourceType": SOURCE_TYPE, "softwareAgent": {"name": PROGRAM}}
    return {
        "claim_generator_info": [{"name": PROGRAM, "version": __version__}],
        "assertions": [{"label": "c2pa.actions.v2", "data": {"actions": [made]}}],
    }


def _read(name: str, path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise SettingsError(f"{name}: cannot read {str(path)!r}: {error.strerror}.") from error


def _algorithm(key: bytes) -> str:
    """C2PA's name of the algorithm that goes with a private key (PEM)."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        found = load_pem_private_key(key, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise SettingsError("CATVTON_C2PA_KEY is no private key in PEM without a passphrase.") from error
    if isinstance(found, ec.EllipticCurvePrivateKey) and found.curve.key_size in (256, 384, 521):
        return {256: "es256", 384: "es384", 521: "es512"}[found.curve.key_size]
    if isinstance(found, rsa.RSAPrivateKey):
        return "ps256"
    if isinstance(found, ed25519.Ed25519PrivateKey):
        return "ed25519"
    raise SettingsError("CATVTON_C2PA_KEY is of a kind that C2PA has no use for: EC, RSA or Ed25519 is accepted.")
