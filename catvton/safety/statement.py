"""What a finished picture's file says of itself to other programs: partly made by a model, by which, in which job.

The words are IPTC's: digital source type "composite with trained algorithmic media", written as XMP, which PNG, JPEG
and WebP all carry. It is honest information for those who keep it: a re-encoded file has lost it. What must outlive
that is `catvton.safety.watermark`'s.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from xml.etree import ElementTree
from xml.sax.saxutils import quoteattr

from PIL import Image, PngImagePlugin

PROGRAM = "CatVTON Studio"
SOURCE_TYPE = "http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia"
JOB_SCHEME = "catvton-job:"
FORMATS = ("PNG", "JPEG", "WEBP")  # by Pillow's names

_RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
_IPTC = "http://iptc.org/std/Iptc4xmpExt/2008-02-29/"
_DUBLIN_CORE = "http://purl.org/dc/elements/1.1/"
_PNG_KEYWORD = "XML:com.adobe.xmp"
_MOST_BYTES = 2**17  # of a stranger's XMP that is read

# Takes a finished file and its media type, e.g. "image/png", and gives back the signed file.
Signer = Callable[[bytes, str], bytes]


@dataclass(frozen=True, kw_only=True)
class Statement:
    """What a file says.

    Attributes:
        engine: "name@revision"; job_id: the job's 12 hexadecimal digits; either may be "" in a file that was read.
        signer: signs the file once it is written; None leaves it unsigned.
    """

    engine: str
    job_id: str
    signer: Signer | None = field(default=None, compare=False, repr=False)

    def xmp(self) -> bytes:
        """The statement as an XMP packet."""
        name, _, revision = self.engine.partition("@")
        values = {
            "Iptc4xmpExt:DigitalSourceType": SOURCE_TYPE,
            "Iptc4xmpExt:AISystemUsed": f"{PROGRAM}, {name}",
            "Iptc4xmpExt:AISystemVersionUsed": revision,
            "dc:identifier": JOB_SCHEME + self.job_id,
        }
        attributes = " ".join(f"{key}={quoteattr(value)}" for key, value in values.items())
        return (
            '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">'
            f'<rdf:RDF xmlns:rdf="{_RDF}"><rdf:Description rdf:about="" xmlns:Iptc4xmpExt="{_IPTC}" '
            f'xmlns:dc="{_DUBLIN_CORE}" {attributes}/></rdf:RDF></x:xmpmeta><?xpacket end="w"?>'
        ).encode()

    def options(self, format: str) -> dict[str, Any]:
        """What Pillow's `save` must be given for a file of `format` ("PNG", "JPEG" or "WEBP") to say this."""
        if format != "PNG":
            return {"xmp": self.xmp()}
        chunks = PngImagePlugin.PngInfo()
        chunks.add_itxt(_PNG_KEYWORD, self.xmp().decode())
        return {"pnginfo": chunks}

    def signed(self, data: bytes, format: str) -> bytes:
        """The finished file, signed where there is a signer."""
        return data if self.signer is None else self.signer(data, f"image/{format.lower()}")


def read_statement(data: bytes) -> Statement | None:
    """What a picture file (its bytes) says; None where it says nothing of the kind, or is no picture."""
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            found = image.info.get("xmp") or image.info.get(_PNG_KEYWORD) or b""
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None
    return _understood(found.encode() if isinstance(found, str) else found)


def _understood(xmp: bytes) -> Statement | None:
    if len(xmp) > _MOST_BYTES or b"<!" in xmp:  # XMP declares no entities; whoever does means harm
        return None
    try:
        root = ElementTree.fromstring(xmp.strip(b"\0 \r\n\t"))
    except (ElementTree.ParseError, ValueError, LookupError):
        return None
    if _value(root, _IPTC, "DigitalSourceType") != SOURCE_TYPE:
        return None
    maker, job = _value(root, _IPTC, "AISystemUsed"), _value(root, _DUBLIN_CORE, "identifier")
    name = maker.removeprefix(f"{PROGRAM}, ")
    revision = _value(root, _IPTC, "AISystemVersionUsed")
    return Statement(
        engine=(f"{name}@{revision}" if revision else name) if maker.startswith(PROGRAM) else "",
        job_id=job.removeprefix(JOB_SCHEME) if job.startswith(JOB_SCHEME) else "",
    )


def _value(root: ElementTree.Element, namespace: str, name: str) -> str:
    """A property's text: XMP may be written with attributes, as here, or with elements, as others rewrite it."""
    key = f"{{{namespace}}}{name}"
    for element in root.iter():
        if key in element.attrib:
            return element.attrib[key].strip()
        if element.tag == key:
            return "".join(element.itertext()).strip()
    return ""
