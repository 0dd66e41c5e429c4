"""What a result's file says of itself, the signed kind included, and the label that people see."""

import datetime
import io
import json
import logging
from pathlib import Path

import c2pa
import numpy as np
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from PIL import Image, PngImagePlugin

from catvton.errors import SettingsError
from catvton.images import open_picture, png_bytes, save_picture
from catvton.safety.credentials import ContentCredentials
from catvton.safety.label import labelled
from catvton.safety.statement import SOURCE_TYPE, Statement, read_statement
from catvton.settings import Settings
from catvton.startup import handing_out

SAID = Statement(engine="compact@1", job_id="00c0ffee1234")
PICTURE = Image.fromarray(np.random.default_rng(0).integers(0, 256, (60, 50, 3), dtype=np.uint8))


def written(tmp_path: Path, ending: str, statement: Statement | None = SAID) -> bytes:
    save_picture(PICTURE, tmp_path / f"p{ending}", statement=statement)
    return (tmp_path / f"p{ending}").read_bytes()


# ---- the statement ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", [".png", ".jpg", ".jpeg", ".webp"])
def test_every_format_carries_it(tmp_path, ending):
    data = written(tmp_path, ending)
    assert read_statement(data) == SAID
    assert b"http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia" in data
    assert read_statement(written(tmp_path, ending, None)) is None


@pytest.mark.parametrize("ending", [".png", ".webp"])
def test_it_moves_no_pixel(tmp_path, ending):
    assert Image.open(io.BytesIO(written(tmp_path, ending))).convert("RGB").tobytes() == PICTURE.tobytes()


def test_as_bytes():
    assert read_statement(png_bytes(PICTURE, statement=SAID)) == SAID
    assert read_statement(png_bytes(PICTURE)) is None


def test_it_is_the_only_thing_that_is_said(tmp_path):
    chunks = Image.open(io.BytesIO(written(tmp_path, ".png"))).info
    assert set(chunks) == {"xmp", "XML:com.adobe.xmp"}
    picture = open_picture(written(tmp_path, ".png"))
    assert picture.info == {}  # and it does not travel on into the next result


def test_engines_with_odd_names_stay_whole(tmp_path):
    odd = Statement(engine='"own" <engine> & more@2026-01', job_id="000000000001")
    assert read_statement(png_bytes(PICTURE, statement=odd)) == odd
    bare = Statement(engine="own", job_id="000000000001")
    assert read_statement(png_bytes(PICTURE, statement=bare)) == bare


def with_xmp(xmp: str) -> bytes:
    chunks, file = PngImagePlugin.PngInfo(), io.BytesIO()
    chunks.add_itxt("XML:com.adobe.xmp", xmp)
    PICTURE.save(file, "PNG", pnginfo=chunks)
    return file.getvalue()


def test_as_other_programs_rewrite_it():
    elements = f"""<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
      <rdf:Description xmlns:e="http://iptc.org/std/Iptc4xmpExt/2008-02-29/" xmlns:dc="http://purl.org/dc/elements/1.1/">
        <e:DigitalSourceType> {SOURCE_TYPE} </e:DigitalSourceType>
        <e:AISystemUsed>CatVTON Studio, compact</e:AISystemUsed><e:AISystemVersionUsed>1</e:AISystemVersionUsed>
        <dc:identifier>catvton-job:00c0ffee1234</dc:identifier>
      </rdf:Description></rdf:RDF></x:xmpmeta>"""
    assert read_statement(with_xmp(elements)) == SAID


def test_what_other_makers_say():
    theirs = f'<a xmlns:e="http://iptc.org/std/Iptc4xmpExt/2008-02-29/" e:DigitalSourceType="{SOURCE_TYPE}"/>'
    assert read_statement(with_xmp(theirs)) == Statement(engine="", job_id="")
    assert read_statement(with_xmp(theirs.replace("composite", "pure"))) is None


@pytest.mark.parametrize("data", [
    b"", b"no picture", with_xmp("<broken"), with_xmp(""), with_xmp("x" * 200_000),
    with_xmp(f'<!DOCTYPE a [<!ENTITY b "{SOURCE_TYPE}">]><a>&b;</a>'), png_bytes(PICTURE)[:200],
])  # fmt: skip
def test_nothing_is_understood_of_what_is_not_there(data):
    assert read_statement(data) is None


# ---- content credentials ---------------------------------------------------------------------------------------------


def certificate(folder: Path, key=None, *, days: int = 30) -> tuple[Path, Path]:
    """(certificate chain, key): files of a signer and of a root made for this test."""
    root, key = ec.generate_private_key(ec.SECP256R1()), key or ec.generate_private_key(ec.SECP256R1())
    names = {who: x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, who)]) for who in ("Root", "Shop")}
    now = datetime.datetime.now(datetime.UTC)

    def signed(who, public, *, ca: bool):
        usage = dict.fromkeys(["content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
                               "crl_sign", "encipher_only", "decipher_only"], False)  # fmt: skip
        builder = x509.CertificateBuilder(
            issuer_name=names["Root"], subject_name=names[who], public_key=public, serial_number=2 - ca,
            not_valid_before=now - datetime.timedelta(60), not_valid_after=now + datetime.timedelta(days),
        )  # fmt: skip
        builder = builder.add_extension(x509.BasicConstraints(ca, None), True)
        builder = builder.add_extension(x509.KeyUsage(not ca, **usage, key_cert_sign=ca), True)
        builder = builder.add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(root.public_key()), False)
        builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(public), False)
        if not ca:
            builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION]), False)
        return builder.sign(root, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    paths = folder / "chain.pem", folder / "key.pem"
    paths[0].write_bytes(signed("Shop", key.public_key(), ca=False) + signed("Root", root.public_key(), ca=True))
    paths[1].write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                                           serialization.NoEncryption()))
    return paths


def credentials(data: bytes, media_type: str) -> dict:
    """What a reader of content credentials finds, its own validation included."""
    with c2pa.Reader(media_type, io.BytesIO(data)) as reader:
        return json.loads(reader.json())


KEYS = {
    "p256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "p384": lambda: ec.generate_private_key(ec.SECP384R1()),
    "rsa": lambda: rsa.generate_private_key(65537, 2048),
    "ed25519": ed25519.Ed25519PrivateKey.generate,
}


@pytest.mark.parametrize("kind", KEYS)
def test_any_usual_key_signs(tmp_path, kind):
    signer = ContentCredentials(*certificate(tmp_path, KEYS[kind]()))
    data = png_bytes(PICTURE, statement=Statement(engine="e", job_id="0" * 12, signer=signer))
    found = credentials(data, "image/png")
    assert found["validation_state"] == "Valid"
    assert [fault["code"] for fault in found["validation_status"]] == ["signingCredential.untrusted"]  # a test's root


@pytest.mark.parametrize(("ending", "media_type"), [(".png", "image/png"), (".jpg", "image/jpeg"),
                                                    (".webp", "image/webp")])  # fmt: skip
def test_a_signed_file_says_both(tmp_path, ending, media_type):
    signer = ContentCredentials(*certificate(tmp_path))
    data = written(tmp_path, ending, Statement(engine="compact@1", job_id="00c0ffee1234", signer=signer))
    assert read_statement(data) == SAID
    found = credentials(data, media_type)
    manifest = found["manifests"][found["active_manifest"]]
    assert manifest["signature_info"]["issuer"] == "Shop"
    (action,) = manifest["assertions"][0]["data"]["actions"]
    assert (action["action"], action["digitalSourceType"]) == ("c2pa.created", SOURCE_TYPE)
    if ending != ".jpg":
        assert Image.open(io.BytesIO(data)).convert("RGB").tobytes() == PICTURE.tobytes()


def test_a_changed_file_is_found_out(tmp_path):
    signer = ContentCredentials(*certificate(tmp_path))
    data = bytearray(png_bytes(PICTURE, statement=Statement(engine="e", job_id="0" * 12, signer=signer)))
    data[-40] ^= 1
    assert credentials(bytes(data), "image/png")["validation_state"] == "Invalid"


def test_what_cannot_be_signed_is_handed_out_and_logged(tmp_path, caplog):
    signer = ContentCredentials(*certificate(tmp_path))
    with caplog.at_level(logging.ERROR, logger="catvton.safety.credentials"):
        assert signer(b"no picture", "image/png") == b"no picture"
    assert "unsigned" in caplog.text


def test_settings_that_cannot_sign(tmp_path):
    chain, key = certificate(tmp_path)
    other = tmp_path / "other"
    other.mkdir()
    stranger = certificate(other)[1]
    (tmp_path / "text").write_text("no key")

    def refusal(**values) -> str:
        with pytest.raises(SettingsError) as caught:
            handing_out(Settings(**values), service=False)
        return str(caught.value)

    assert "set both" in refusal(c2pa_certificate=chain)
    assert "set both" in refusal(c2pa_key=key)
    assert "CATVTON_C2PA_KEY" in refusal(c2pa_certificate=chain, c2pa_key=tmp_path / "nothing.pem")
    assert "no private key" in refusal(c2pa_certificate=chain, c2pa_key=tmp_path / "text")
    assert "cannot sign" in refusal(c2pa_certificate=tmp_path / "text", c2pa_key=key)
    assert "cannot sign" in refusal(c2pa_certificate=chain, c2pa_key=stranger)
    assert handing_out(Settings(c2pa_certificate=chain, c2pa_key=key), service=False)["signer"] is not None


def test_without_the_package_the_setting_says_what_to_install(tmp_path, monkeypatch):
    chain, key = certificate(tmp_path)
    monkeypatch.setitem(__import__("sys").modules, "c2pa", None)
    with pytest.raises(SettingsError, match=r"requirements-c2pa\.txt"):
        ContentCredentials(chain, key)


# ---- the label -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(32, 32), (60, 900), (768, 1024), (3000, 400)])
@pytest.mark.parametrize("ground", ["white", "black", (128, 128, 128)])
def test_the_label_stands_out_in_its_corner(size, ground):
    picture = Image.new("RGB", size, ground)
    before, after = np.asarray(picture, np.int16), np.asarray(labelled(picture), np.int16)
    assert after.shape == before.shape
    rows, columns = np.nonzero(np.abs(after - before).max(axis=2) > 20)
    assert rows.min() >= size[1] - max(30, min(size) // 10) and columns.min() >= size[0] - max(40, min(size) // 8)
    tag = after[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1].mean(axis=2)
    assert contrast(tag.max(), np.median(tag[tag < 200])) > 7  # WCAG AAA
    assert tag.shape[0] >= 7  # pixels: smaller letters could not be read


def contrast(light: float, dark: float) -> float:
    """The contrast ratio of WCAG 2 of two greys."""
    lighter, darker = (((level / 255 + 0.055) / 1.055) ** 2.4 if level > 10.3 else level / 255 / 12.92
                       for level in (light, dark))  # fmt: skip
    return (lighter + 0.05) / (darker + 0.05)


def test_the_label_leaves_the_original_alone():
    before = PICTURE.tobytes()
    assert labelled(PICTURE).tobytes() != before
    assert PICTURE.tobytes() == before
