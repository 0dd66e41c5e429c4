"""VITON-HD and DressCode on disk: which cases there are, and training pairs from any of the four kinds of set."""

import numpy as np
import pytest
from PIL import Image

from catvton import datasets
from catvton.datasets import Case, DressCode, VitonHD, open_source
from catvton.errors import InputError
from tests.fake_sets import mask, person, write_dresscode, write_shards, write_table, write_vitonhd


def code_of(call, *args, **kwargs):
    with pytest.raises(InputError) as caught:
        call(*args, **kwargs)
    return caught.value.code, str(caught.value)


def test_the_packages_names_are_there():
    for name in datasets.__all__:
        assert getattr(datasets, name).__name__ == name
        assert name in dir(datasets)
    with pytest.raises(AttributeError, match="nothing"):
        datasets.nothing  # noqa: B018


# -- VITON-HD --------------------------------------------------------------------------------------------------------


def test_vitonhd_cases(tmp_path):
    root = write_vitonhd(tmp_path, pairs=3)
    vitonhd = VitonHD(root)
    paired, unpaired = vitonhd.cases(paired=True), vitonhd.cases("test", paired=False)
    assert paired[0] == Case(
        name="10000_00",
        part="upper",
        category="",
        person=root / "test/image/10000_00.jpg",
        garment=root / "test/cloth/10000_00.jpg",
        mask=root / "test/agnostic-mask/10000_00_mask.png",
        suffix=".jpg",
    )
    assert [case.garment.name for case in paired] == ["10000_00.jpg", "10001_00.jpg", "10002_00.jpg"]
    assert [case.garment.name for case in unpaired] == ["10001_00.jpg", "10002_00.jpg", "10000_00.jpg"]
    assert [case.name for case in paired] == [case.name for case in unpaired]
    assert vitonhd.truth(unpaired[1]) == unpaired[1].person


def test_vitonhd_training_pairs_are_made_by_name_whatever_the_list_says(tmp_path):
    write_vitonhd(tmp_path, pairs=2)
    (tmp_path / "train_pairs.txt").write_text("00000_00.jpg 00001_00.jpg\n00001_00.jpg 00000_00.jpg\n")
    cases = VitonHD(tmp_path).cases("train", paired=True)
    assert [(case.person.name, case.garment.name) for case in cases] == [
        ("00000_00.jpg", "00000_00.jpg"),
        ("00001_00.jpg", "00001_00.jpg"),
    ]
    assert all("train" in case.person.parts for case in cases)
    assert code_of(VitonHD(tmp_path).cases, "train", paired=False)[0] == "data.split"
    assert code_of(VitonHD(tmp_path).cases, "validation", paired=True)[0] == "data.split"


@pytest.mark.parametrize("lists", ["beside the splits", "above them"])
def test_vitonhd_may_lie_in_its_zips_folder(tmp_path, lists):
    home = write_vitonhd(tmp_path / "zalando-hd-resized", pairs=2)
    if lists == "above them":
        for path in home.glob("*.txt"):
            path.rename(tmp_path / path.name)
    cases = VitonHD(tmp_path).cases(paired=False)
    assert [case.person for case in cases] == [home / f"test/image/1000{i}_00.jpg" for i in range(2)]


def test_vitonhd_prefers_the_list_that_says_it_is_unpaired(tmp_path):
    write_vitonhd(tmp_path, pairs=3)
    (tmp_path / "test_pairs_unpaired.txt").write_text("\ufeff10000_00.jpg 10002_00.jpg\r\n\r\n", encoding="utf-8")
    (case,) = VitonHD(tmp_path).cases(paired=False)
    assert (case.person.name, case.garment.name) == ("10000_00.jpg", "10002_00.jpg")


def test_a_list_that_is_missing_or_wrong_is_refused(tmp_path):
    write_vitonhd(tmp_path, pairs=2)
    path = tmp_path / "test_pairs.txt"
    path.write_text("10000_00.jpg 10001_00.jpg\n10001_00.jpg\n")
    code, said = code_of(VitonHD(tmp_path).cases, paired=True)
    assert code == "data.list" and 'Line 2 is "10001_00.jpg"' in said and str(path) in said
    path.unlink()
    code, said = code_of(VitonHD(tmp_path).cases, paired=True)
    assert code == "data.list" and str(path) in said and "missing" in said


def test_another_folder_is_refused_by_name(tmp_path):
    write_dresscode(tmp_path / "dresscode", per_category=1)
    assert code_of(VitonHD, tmp_path / "dresscode")[0] == "data.vitonhd"
    assert code_of(DressCode, tmp_path)[0] == "data.dresscode"
    assert code_of(DressCode, tmp_path / "dresscode", ["hats"])[0] == "data.category"
    assert code_of(DressCode, tmp_path / "dresscode", [])[0] == "data.category"


# -- DressCode -------------------------------------------------------------------------------------------------------


def test_dresscode_cases(tmp_path):
    root = write_dresscode(tmp_path, per_category=2)
    cases = DressCode(root).cases("test", paired=True)
    assert cases[2] == Case(
        name="lower_body/000006_0",
        part="lower",
        category="lower_body",
        person=root / "lower_body/images/000006_0.jpg",
        garment=root / "lower_body/images/000006_1.jpg",
        mask=root / "lower_body/agnostic_masks/000006_0.png",
    )
    assert [case.part for case in cases] == ["upper"] * 2 + ["lower"] * 2 + ["overall"] * 2
    unpaired = DressCode(root, ["dresses"]).cases("test", paired=False)
    assert [(case.name, case.garment.name) for case in unpaired] == [
        ("dresses/000010_0", "000011_1.jpg"),
        ("dresses/000011_0", "000010_1.jpg"),
    ]
    assert [case.name for case in DressCode(root).cases("train", paired=True)][:2] == [
        "upper_body/000000_0",
        "upper_body/000001_0",
    ]


def test_dresscode_reads_the_common_lists_third_column(tmp_path):
    root = write_dresscode(tmp_path / "DressCode", per_category=1)
    lines = []
    for number, category in enumerate(["upper_body", "lower_body", "dresses"]):
        path = root / category / "test_pairs_unpaired.txt"
        lines += [f"{line} {number}" for line in path.read_text().splitlines()]
        path.unlink()
    (root / "test_pairs_unpaired.txt").write_text("\n".join(reversed(lines)))
    cases = DressCode(tmp_path).cases(paired=False)
    assert [case.name for case in cases] == ["upper_body/000001_0", "lower_body/000003_0", "dresses/000005_0"]
    (root / "test_pairs_unpaired.txt").write_text(lines[0])
    assert code_of(DressCode(tmp_path).cases, paired=False)[1].endswith("This list has no pairs.")


# -- pictures and sources --------------------------------------------------------------------------------------------


def test_a_cases_pictures(tmp_path):
    write_vitonhd(tmp_path, pairs=1)
    (case,) = VitonHD(tmp_path).cases("train", paired=True)
    pictures = case.pictures()
    assert (pictures.name, pictures.part) == ("00000_00", "upper")
    assert (pictures.person.mode, pictures.garment.mode, pictures.mask.mode) == ("RGB", "RGB", "L")
    assert np.abs(np.asarray(pictures.person).astype(int) - person("00000_00")).mean() < 6
    assert np.array_equal(pictures.mask, mask())
    case.mask.unlink()
    assert case.pictures().mask is None


def test_a_turned_photo_is_set_upright(tmp_path):
    write_vitonhd(tmp_path, pairs=1)
    (case,) = VitonHD(tmp_path).cases("train", paired=True)
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (64, 48)).save(case.person, exif=exif)
    assert case.pictures().person.size == (48, 64)


def test_a_picture_that_cannot_be_had_is_named(tmp_path):
    write_vitonhd(tmp_path, pairs=1)
    (case,) = VitonHD(tmp_path).cases("train", paired=True)
    case.garment.write_bytes(case.garment.read_bytes()[:900])
    code, said = code_of(case.pictures)
    assert code == "image.broken" and str(case.garment) in said
    case.garment.unlink()
    code, said = code_of(case.pictures)
    assert code == "image.not_found" and str(case.garment) in said


@pytest.mark.parametrize(("masks", "missing"), [(True, 0), (False, 1)])
def test_every_kind_of_set_is_a_source(tmp_path, masks, missing):
    specs = [
        (f"vitonhd:{write_vitonhd(tmp_path / 'v', pairs=3, masks=masks)}", 3, ["upper"] * 3),
        (f"dresscode:{write_dresscode(tmp_path / 'd', per_category=1, masks=masks)}", 3, ["upper", "lower", "overall"]),
        (f"csv:{write_table(tmp_path / 't', pairs=4, masks=masks)}", 4, ["upper", "lower", "overall", "upper"]),
        (f"shards:{write_shards(tmp_path / 's', pairs=3, masks=masks)}", 3, ["upper", "lower", "overall"]),
    ]
    for spec, count, parts in specs:
        source = open_source(spec)
        pictures = list(source)
        assert source.name == spec and len(source) == len(pictures) == count
        assert [each.part for each in pictures] == parts
        assert source.masks_missing() == count * missing
        assert all((each.mask is None) is not masks for each in pictures)
        assert len({each.name for each in pictures}) == count
        assert [np.asarray(each.person).tobytes() for each in source] == [
            np.asarray(each.person).tobytes() for each in pictures
        ]


@pytest.mark.parametrize("spec", ["vitonhd", "vitonhd:", "tar:x", ""])
def test_an_unknown_source_is_refused(spec):
    code, said = code_of(open_source, spec)
    assert code == "data.spec" and "shards:" in said
