"""Pictures of every accepted kind come in upright, 8-bit and bare; masks come in as 0 and 255."""

import io

import numpy as np
import pillow_heif
import pytest
from PIL import Image, ImageCms, PngImagePlugin

from catvton.errors import InputError
from catvton.images import Limits, open_mask, open_picture, png_bytes, save_picture

ORIENTATION = 0x0112
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
LOSSLESS = {"PNG": {}, "WEBP": {"lossless": True}, "BMP": {}, "TIFF": {}}
LOSSY = {"JPEG": {"quality": 95}, "AVIF": {"quality": 95}, "WEBP": {"quality": 95}}


def photo(width=64, height=48):
    """A smooth picture with no symmetry: red grows to the right, green grows downwards, blue marks the left top."""
    y, x = np.mgrid[0:height, 0:width]
    pixels = np.stack([x * 255 // width, y * 255 // height, np.where((x < width // 4) & (y < height // 4), 255, 40)], 2)
    return pixels.astype(np.uint8)


def encode(image, kind, **options):
    file = io.BytesIO()
    (Image.fromarray(image) if isinstance(image, np.ndarray) else image).save(file, kind, **options)
    return file.getvalue()


def heic(image, **options):
    file = io.BytesIO()
    pillow_heif.from_pillow(Image.fromarray(image)).save(file, quality=95, **options)
    return file.getvalue()


def exif(orientation):
    tags = Image.Exif()
    tags[ORIENTATION] = orientation
    return tags


def near(image, expected, tolerance):
    """Whether a picture is `expected` up to the losses of its format."""
    found = np.asarray(image)
    return found.shape == expected.shape and np.abs(found.astype(int) - expected).mean() < tolerance


def upright_of(pixels, orientation):
    """What a viewer shows for stored `pixels`, by EXIF's definition of the eight orientations."""
    if orientation in (5, 6, 7, 8):  # rows and columns change places
        pixels = pixels.transpose(1, 0, 2)
    mirrored, upside_down = orientation in (2, 3, 6, 7), orientation in (3, 4, 7, 8)
    return pixels[::-1 if upside_down else 1, ::-1 if mirrored else 1]


# ---- kinds of files --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", LOSSLESS)
def test_lossless_kinds_keep_every_pixel(kind):
    opened = open_picture(encode(photo(), kind, **LOSSLESS[kind]))
    assert opened.mode == "RGB" and np.array_equal(opened, photo())


@pytest.mark.parametrize("kind", LOSSY)
def test_lossy_kinds_keep_the_picture(kind):
    assert near(open_picture(encode(photo(), kind, **LOSSY[kind])), photo(), tolerance=6)


def test_heic_keeps_the_picture():
    assert near(open_picture(heic(photo())), photo(), tolerance=6)


def test_opening_heic_leaves_pillows_list_of_readers_alone(monkeypatch):
    monkeypatch.delitem(Image.OPEN, "HEIF", raising=False)
    before = dict(Image.OPEN), dict(Image.EXTENSION)
    open_picture(heic(photo()))
    open_picture(encode(photo(), "AVIF"))
    assert (dict(Image.OPEN), dict(Image.EXTENSION)) == before


def test_the_name_and_the_ending_do_not_matter(tmp_path):
    path = tmp_path / "holiday.txt"
    path.write_bytes(encode(photo(), "PNG"))
    assert np.array_equal(open_picture(path), photo())


def test_a_phones_multi_picture_jpeg_gives_its_first():
    both = Image.fromarray(photo())
    data = encode(both, "MPO", save_all=True, append_images=[Image.new("RGB", both.size, "red")], quality=95)
    assert near(open_picture(data), photo(), tolerance=6)


@pytest.mark.parametrize("kind, options", [("GIF", {}), ("WEBP", {"lossless": True}), ("PNG", {}), ("TIFF", {})])
def test_of_an_animation_the_first_frame_counts(kind, options):
    frames = [Image.new("RGB", (40, 40), colour) for colour in ("red", "lime", "blue")]
    data = encode(frames[0], kind, save_all=True, append_images=frames[1:], **options)
    opened = np.asarray(open_picture(data))
    assert (opened == (255, 0, 0)).all()


# ---- sources ---------------------------------------------------------------------------------------------------------


def test_every_kind_of_source_gives_the_same(tmp_path):
    data = encode(photo(), "PNG")
    path = tmp_path / "photo.png"
    path.write_bytes(data)
    lazy = Image.open(path)
    sources = [path, str(path), data, bytearray(data), memoryview(data), io.BytesIO(data), path.open("rb"), lazy,
               Image.fromarray(photo()), photo(), photo()[:, :, ::-1][:, :, ::-1]]
    for source in sources:
        assert np.array_equal(open_picture(source), photo()), type(source)


def test_the_source_is_left_as_it_was():
    image, pixels = Image.fromarray(photo()), photo()
    image.info["comment"] = "mine"
    opened = open_picture(image)
    opened.paste("black", (0, 0, 64, 48))
    assert np.array_equal(image, photo()) and image.info == {"comment": "mine"} and opened.info == {}
    open_picture(pixels).paste("black", (0, 0, 64, 48))
    assert np.array_equal(pixels, photo())


@pytest.mark.parametrize("array, expected", [
    (photo().astype(np.float32) / 255, photo()),
    (photo().astype(np.float64) / 255, photo()),
    (photo().astype(np.uint16) * 257, photo()),
    (photo().astype(np.int64), photo()),
    (photo()[:, :, 0], np.repeat(photo()[:, :, :1], 3, axis=2)),
    (photo()[:, :, :1], np.repeat(photo()[:, :, :1], 3, axis=2)),
    (np.dstack([photo(), np.full((48, 64), 255, np.uint8)]), photo()),
])
def test_arrays_of_other_types(array, expected):
    assert np.array_equal(open_picture(array), expected)


# ---- modes and colours -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "LA", "CMYK", "YCbCr", "HSV", "RGBX", "I", "I;16"])
def test_every_mode_becomes_rgb(mode):
    grey = Image.fromarray(photo()[:, :, 0])
    if mode in ("I", "I;16"):
        image = Image.fromarray(np.asarray(grey).astype({"I": np.int32, "I;16": np.uint16}[mode]) * 257)
    else:
        image = Image.fromarray(photo()).convert(mode)
    opened = open_picture(image)
    grey_only = mode in ("1", "L", "LA", "I", "I;16")
    expected = np.asarray((grey if mode[0] == "I" else image.convert("L")).convert("RGB")) if grey_only else photo()
    assert opened.mode == "RGB"
    assert near(opened, expected, tolerance=20 if mode == "P" else 3)


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_16_bit_greys_are_scaled_not_cut_off(kind):
    ramp = np.linspace(0, 65535, 64 * 48).reshape(48, 64).astype(np.uint16)
    opened = np.asarray(open_picture(encode(ramp, kind)))
    assert np.abs(opened[:, :, 0] - ramp / 257).max() <= 0.5
    assert np.array_equal(opened[:, :, 0], opened[:, :, 2])


def test_16_bit_colour_png():
    assert np.array_equal(open_picture(png_of_16_bit_colour(photo().astype(np.uint16) * 257)), photo())


def png_of_16_bit_colour(pixels):
    """Pillow cannot write one: header, one IDAT of unfiltered rows of big-endian samples, end."""
    import struct
    import zlib

    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    height, width, _ = pixels.shape
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)
    header = struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def test_cmyk_jpeg_keeps_its_colours():
    data = encode(Image.fromarray(photo()).convert("CMYK"), "JPEG", quality=95)
    assert near(open_picture(data), photo(), tolerance=6)


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF"])
def test_transparency_lies_on_white(kind):
    layer = np.dstack([photo(), np.zeros((48, 64), np.uint8)])
    layer[:, 20:40, 3], layer[:, 40:, 3] = 128, 255
    opened = np.asarray(open_picture(encode(layer, kind, **LOSSLESS[kind]))).astype(int)
    assert (opened[:, :20] == 255).all()
    assert np.abs(opened[:, 20:40] - (photo()[:, 20:40] * 128.0 + 255 * 127) / 255).max() <= 1
    assert np.array_equal(opened[:, 40:], photo()[:, 40:])


def test_a_transparent_palette_colour_lies_on_white():
    image = Image.new("P", (40, 40), 1)
    image.putpalette([0, 0, 0, 200, 10, 10])
    image.paste(0, (0, 0, 20, 40))
    for kind in ("PNG", "GIF"):
        opened = np.asarray(open_picture(encode(image, kind, transparency=0)))
        assert (opened[:, :20] == 255).all() and (opened[:, 20:] == (200, 10, 10)).all()


def test_a_transparent_colour_of_an_rgb_png_lies_on_white():
    pixels = np.full((40, 40, 3), (9, 9, 9), np.uint8)
    pixels[:, 20:] = (200, 10, 10)
    opened = np.asarray(open_picture(encode(pixels, "PNG", transparency=(9, 9, 9))))
    assert (opened[:, :20] == 255).all() and (opened[:, 20:] == (200, 10, 10)).all()


@pytest.mark.parametrize("exact", [True, False])
def test_a_profile_that_calls_itself_srgb_changes_no_number(exact):
    """Makers round its curves in their own way; a round trip through them would move pixels by one."""
    profile = SRGB if exact else with_swapped_colours(SRGB)
    assert np.array_equal(open_picture(encode(photo(), "PNG", icc_profile=profile)), photo())


def test_another_profile_is_brought_to_srgb():
    profile = with_swapped_colours(SRGB).replace("sRGB".encode("utf-16-be"), "test".encode("utf-16-be"))
    opened = np.asarray(open_picture(encode(np.full((40, 40, 3), (250, 20, 20), np.uint8), "PNG", icc_profile=profile)))
    assert opened[20, 20, 1] > 200 and opened[20, 20, 0] < 120


def with_swapped_colours(profile):
    """A profile with its red and its green primary exchanged: two tags of its table change names."""
    swapped = bytearray(profile)
    red, green = profile.index(b"rXYZ", 128), profile.index(b"gXYZ", 128)
    swapped[red:red + 4], swapped[green:green + 4] = b"gXYZ", b"rXYZ"
    return bytes(swapped)


def test_a_nonsense_profile_is_ignored():
    assert np.array_equal(open_picture(encode(photo(), "PNG", icc_profile=b"not a profile" * 20)), photo())


# ---- EXIF ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(orientation):
    data = encode(photo(), "PNG", exif=exif(orientation))
    assert np.array_equal(open_picture(data), upright_of(photo(), orientation))
    assert np.array_equal(open_picture(Image.open(io.BytesIO(data))), upright_of(photo(), orientation))


@pytest.mark.parametrize("orientation", [3, 6, 7])
@pytest.mark.parametrize("kind", ["JPEG", "WEBP", "AVIF", "HEIC"])
def test_exif_orientation_is_applied_once_in_every_kind(kind, orientation):
    tags = exif(orientation)
    data = heic(photo(), exif=tags.tobytes()) if kind == "HEIC" else encode(photo(), kind, exif=tags, quality=95)
    assert near(open_picture(data), upright_of(photo(), orientation), tolerance=8)


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
@pytest.mark.parametrize("tags", [
    b"Exif\0\0", b"Exif\0\0II*\0\xff\xff\xff\xff", b"Exif\0\0MM\0*\0\0\0\x08\xff\xff", b"\0" * 9,
])
def test_nonsense_exif_is_ignored(tags):
    assert near(open_picture(encode(photo(), "JPEG", exif=tags, quality=95)), photo(), tolerance=6)


def test_nothing_but_pixels_gets_through():
    tags = exif(1)
    tags[0x010E] = "taken at home"
    text = PngImagePlugin.PngInfo()
    text.add_text("Comment", "secret")
    opened = open_picture(encode(photo(), "PNG", exif=tags, pnginfo=text, dpi=(72, 72)))
    assert opened.info == {} and not opened.getexif()
    data = png_bytes(opened)
    assert b"secret" not in data and b"taken at home" not in data and b"eXIf" not in data


# ---- limits ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size, code", [
    ((31, 90), "image.too_small"), ((90, 31), "image.too_small"), ((101, 40), "image.too_large"),
    ((40, 101), "image.too_large"), ((80, 80), "image.too_large"),
])
def test_limits_hold_for_files_pil_and_arrays(size, code):
    limits = Limits(min_side=32, max_side=100, max_pixels=6000)
    image = Image.new("RGB", size)
    for source in (encode(image, "PNG"), image, np.asarray(image)):
        with pytest.raises(InputError, match=f"{size[0]} x {size[1]}") as caught:
            open_picture(source, limits=limits)
        assert caught.value.code == code
    assert open_picture(Image.new("RGB", (100, 60)), limits=limits).size == (100, 60)


def test_sentences_name_the_picture():
    with pytest.raises(InputError, match="The garment photo is 1 x 1 pixels: at least 32 x 32 are needed"):
        open_picture(encode(Image.new("RGB", (1, 1)), "PNG"), what="garment photo")


# ---- masks -----------------------------------------------------------------------------------------------------------

SIZE = (60, 80)


def drawn():
    mask = np.zeros((80, 60), np.uint8)
    mask[20:60, 10:50] = 255
    mask[20:30, 10:20] = 0
    return mask


def test_a_mask_of_any_mode_is_the_same_mask():
    grey, bits = Image.fromarray(drawn()), drawn() > 0
    palette = grey.convert("P")
    layer = Image.new("RGBA", SIZE, (0, 0, 0, 0))
    layer.paste("white", mask=grey)
    sources = {
        "L": grey, "1": grey.convert("1"), "RGB": grey.convert("RGB"), "RGBA": grey.convert("RGBA"), "P": palette,
        "CMYK": grey.convert("CMYK"), "I;16": Image.fromarray(drawn().astype(np.uint16) * 257), "white layer": layer,
        "bool": bits, "0 and 1": bits.astype(np.uint8), "0 and 1 picture": Image.fromarray(bits.astype(np.uint8)),
        "float": bits.astype(np.float32), "int64": drawn().astype(np.int64), "HxWx1": drawn()[:, :, None],
        "png": encode(drawn(), "PNG"), "gif": encode(drawn(), "GIF"),
    }
    for name, source in sources.items():
        mask = open_mask(source, size=SIZE)
        assert mask.dtype == np.uint8 and np.array_equal(mask, drawn()), name


@pytest.mark.parametrize("colour", ["white", "black", "red", "navy", "yellow"])
def test_a_painted_layer_counts_where_it_is_painted(colour):
    layer = Image.new("RGBA", SIZE, (255, 255, 255, 0))  # the colour under what is transparent does not matter
    layer.paste(colour, mask=Image.fromarray(drawn()))
    assert np.array_equal(open_mask(layer, size=SIZE), drawn())


def test_an_opaque_black_picture_with_an_alpha_channel_is_an_empty_mask():
    with pytest.raises(InputError) as caught:
        open_mask(Image.new("RGBA", SIZE, "black"), size=SIZE)
    assert caught.value.code == "mask.empty"


def test_half_brightness_is_the_threshold():
    ramp = np.repeat(np.arange(0, 240, 4, dtype=np.uint8)[None], 80, axis=0)
    assert np.array_equal(open_mask(ramp, size=SIZE), np.where(ramp >= 128, 255, 0))


def test_a_jpeg_mask_has_clean_values():
    mask = open_mask(encode(drawn(), "JPEG", quality=80), size=SIZE)
    assert set(np.unique(mask)) == {0, 255} and (mask != drawn()).mean() < 0.02


def test_a_mask_turned_by_exif_is_turned():
    stored = np.rot90(drawn(), 1).copy()
    assert np.array_equal(open_mask(encode(stored, "PNG", exif=exif(6)), size=SIZE), drawn())


@pytest.mark.parametrize("size", [(120, 160), (30, 40), (600, 800), (61, 81), (45, 60)])
def test_a_mask_of_the_same_shape_is_resized(size):
    scaled = Image.fromarray(drawn()).resize(size, Image.Resampling.NEAREST)
    mask = open_mask(scaled, size=SIZE, limits=Limits(min_side=1))
    assert mask.shape == (80, 60) and (mask != drawn()).mean() < 0.06
    assert set(np.unique(mask)) == {0, 255}


def test_a_scaled_mask_of_an_odd_photo_is_accepted():
    """3024 x 4032 scaled to fit 1000 x 1000 is 750 x 1000; 3023 x 4032 gives 749.75, rounded either way."""
    for width in (749, 750):
        mask = np.zeros((1000, width), np.uint8)
        mask[300:600, 200:500] = 255
        assert open_mask(mask, size=(3023, 4032)).shape == (4032, 3023)


@pytest.mark.parametrize("size, hint", [
    ((60, 70), "60 x 70"), ((80, 60), "turned by 90 degrees"), ((80, 80), "80 x 80"),
])
def test_a_mask_of_another_shape_is_refused(size, hint):
    with pytest.raises(InputError, match=hint) as caught:
        open_mask(Image.new("L", size, 255), size=SIZE)
    assert caught.value.code == "mask.size" and "60 x 80" in str(caught.value)


@pytest.mark.parametrize("value, code", [(0, "mask.empty"), (100, "mask.empty"), (255, "mask.full"), (1, "mask.full")])
def test_empty_and_full_masks_are_refused(value, code):
    with pytest.raises(InputError) as caught:
        open_mask(np.full((80, 60), value, np.uint8), size=SIZE)
    assert caught.value.code == code


def test_a_mask_that_is_lost_in_resizing_is_empty():
    mask = np.zeros((800, 600), np.uint8)
    mask[401, 301] = 255
    with pytest.raises(InputError) as caught:
        open_mask(mask, size=SIZE)
    assert caught.value.code == "mask.empty"


# ---- writing ---------------------------------------------------------------------------------------------------------


def noise(channels=3):
    return np.random.default_rng(1).integers(0, 256, (50, 40, channels), dtype=np.uint8)


@pytest.mark.parametrize("ending", [".png", ".PNG", ".webp"])
def test_png_and_webp_keep_every_pixel(tmp_path, ending):
    path = tmp_path / f"result{ending}"
    for image in (noise(), Image.fromarray(noise())):
        save_picture(image, path)
        assert np.array_equal(Image.open(path), noise())
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_jpeg_is_written_at_high_quality(tmp_path):
    for ending in (".jpg", ".jpeg"):
        save_picture(photo(), str(tmp_path / f"result{ending}"))
        assert near(Image.open(tmp_path / f"result{ending}"), photo(), tolerance=3)
    save_picture(np.dstack([photo(), np.zeros((48, 64), np.uint8)]), tmp_path / "clear.jpg")
    assert (np.asarray(Image.open(tmp_path / "clear.jpg")) == 255).all()


def test_masks_and_transparent_pictures_are_written_as_they_are(tmp_path):
    save_picture(drawn(), tmp_path / "mask.png")
    assert Image.open(tmp_path / "mask.png").mode == "L" and np.array_equal(Image.open(tmp_path / "mask.png"), drawn())
    save_picture(noise(4), tmp_path / "cut.png")
    assert np.array_equal(Image.open(tmp_path / "cut.png"), noise(4))


def test_png_bytes_are_exact_and_bare():
    image = Image.fromarray(noise())
    image.info.update(comment="secret", icc_profile=b"secret profile")
    data = png_bytes(image)
    assert np.array_equal(Image.open(io.BytesIO(data)), noise()) and b"iCCP" not in data and b"secret" not in data
    assert image.info["comment"] == "secret"


@pytest.mark.parametrize("name, code", [
    ("result", "output.format"), ("result.gif", "output.format"), ("missing/result.png", "output.write"),
    (".", "output.format"),
])
def test_what_cannot_be_written_is_said(tmp_path, name, code):
    with pytest.raises(InputError, match="Cannot write") as caught:
        save_picture(noise(), tmp_path / name)
    assert caught.value.code == code and not list(tmp_path.iterdir())


def test_a_folder_in_the_way_is_said_and_nothing_is_left(tmp_path):
    (tmp_path / "result.png").mkdir()
    with pytest.raises(InputError) as caught:
        save_picture(noise(), tmp_path / "result.png")
    assert caught.value.code == "output.write" and [file.name for file in tmp_path.iterdir()] == ["result.png"]
