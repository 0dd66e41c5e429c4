"""The validator: a clean set has no fault, and every kind of fault is found in a set that has it, and named."""

import io
import json

import numpy as np
import pytest
from PIL import Image, ImageFilter

from catvton.cli import main
from catvton.datasets import DressCode, Fault, VitonHD, faults
from catvton.datasets.check import check_truth_folder
from catvton.datasets.faults import described, fit
from tests.fake_sets import encoded, mask, person, write_dresscode, write_vitonhd

KINDS = {value for name, value in vars(faults).items() if name.isupper() and isinstance(value, str)}


def kinds_of(found):
    return [fault.kind for fault in found]


def write(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encoded(pixels, "PNG" if path.suffix == ".png" else "JPEG"))


def cut(path):
    path.write_bytes(path.read_bytes()[:-400])


def add_line(path, line):
    path.write_text(path.read_text() + line + "\n")


def agnostic(size=(48, 64)):
    """The grey picture that is not a mask: the person before a white wall, the garment's place painted grey."""
    pixels = person("10001_00", size=size)
    pixels[pixels.min(axis=2) > 200] = 255
    pixels[mask(size=size) > 0] = 128
    return pixels


# -- clean sets ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("split", ["test", "train"])
def test_clean_sets_have_no_fault(tmp_path, split):
    vitonhd = VitonHD(write_vitonhd(tmp_path / "v"))
    dresscode = DressCode(write_dresscode(tmp_path / "d"))
    for source in (vitonhd, dresscode):
        for paired in (True, False) if split == "test" else (True,):
            assert source.check(split, paired=paired, thorough=True) == []


@pytest.mark.parametrize("kind", ["JPEG", "blurred"])
@pytest.mark.parametrize("size", [(48, 64), (384, 512)])
def test_a_mask_with_soft_edges_is_a_mask(tmp_path, kind, size):
    vitonhd = VitonHD(write_vitonhd(tmp_path, pairs=1, size=size))
    path = tmp_path / "test/agnostic-mask/10000_00_mask.png"
    picture = Image.fromarray(mask(size=size)).convert("RGB")
    if kind == "JPEG":
        picture.save(path, "JPEG", quality=75)
    else:
        picture.filter(ImageFilter.GaussianBlur(size[1] / 200)).save(path)
    assert vitonhd.check(paired=True) == []


def test_a_pixel_off_three_to_four_is_rounding(tmp_path):
    assert VitonHD(write_vitonhd(tmp_path, size=(192, 257))).check(paired=True) == []


# -- faults ----------------------------------------------------------------------------------------------------------

TEST_LIST = "test_pairs.txt"
VITONHD_FAULTS = {
    # what is done to a clean set: (kind, path, what the sentence says)
    "no list": (lambda r: (r / TEST_LIST).unlink(), faults.LIST_MISSING, TEST_LIST, "missing"),
    "empty list": (lambda r: (r / TEST_LIST).write_text("\n"), faults.LIST_EMPTY, TEST_LIST, "no pairs"),
    "one name": (
        lambda r: add_line(r / TEST_LIST, "10009_00.jpg"),
        faults.LINE_MALFORMED, TEST_LIST, 'Line 5 is "10009_00.jpg"',
    ),
    "a path": (
        lambda r: add_line(r / TEST_LIST, "../a.jpg ../b.jpg"),
        faults.LINE_MALFORMED, TEST_LIST, "Line 5",
    ),
    "line twice": (
        lambda r: add_line(r / TEST_LIST, "10001_00.jpg 10000_00.jpg"),
        faults.LINE_DUPLICATE, TEST_LIST, "Line 5 lists 10001_00.jpg again, after line 2",
    ),
    "trained on": (
        lambda r: add_line(r / "train_pairs.txt", "10001_00.jpg 10001_00.jpg"),
        faults.TRAINED_ON, TEST_LIST, "Line 2 lists 10001_00.jpg",
    ),
    "paired list": (
        lambda r: (r / TEST_LIST).write_text("".join(f"1000{i}_00.jpg 1000{i}_00.jpg\n" for i in range(4))),
        faults.NOT_UNPAIRED, TEST_LIST, "4 of 4 lines",
    ),
    "no person": (
        lambda r: (r / "test/image/10001_00.jpg").unlink(),
        faults.PERSON_MISSING, "test/image/10001_00.jpg", "person's photo is missing",
    ),
    "no garment": (
        lambda r: (r / "test/cloth/10001_00.jpg").unlink(),
        faults.GARMENT_MISSING, "test/cloth/10001_00.jpg", "garment's photo is missing",
    ),
    "no mask": (
        lambda r: (r / "test/agnostic-mask/10001_00_mask.png").unlink(),
        faults.MASK_MISSING, "test/agnostic-mask/10001_00_mask.png", "can be made",
    ),
    "no picture": (
        lambda r: (r / "test/cloth/10001_00.jpg").write_text("<html>"),
        faults.UNREADABLE, "test/cloth/10001_00.jpg", "not a picture",
    ),
    "cut mask": (
        lambda r: (r / "test/agnostic-mask/10001_00_mask.png").write_bytes(encoded(mask(), "PNG")[:70]),
        faults.UNREADABLE, "test/agnostic-mask/10001_00_mask.png", "cut short",
    ),
    "small garment": (
        lambda r: write(r / "test/cloth/10001_00.jpg", np.zeros((32, 24, 3), np.uint8)),
        faults.SIZES_DIFFER, "test/cloth/10001_00.jpg", "The garment is 24x32 and its person 10000_00.jpg 48x64",
    ),
    "small mask": (
        lambda r: write(r / "test/agnostic-mask/10001_00_mask.png", mask(size=(24, 32))),
        faults.MASK_SIZE, "test/agnostic-mask/10001_00_mask.png", "The mask is 24x32 and its photo 48x64",
    ),
    "grey mask": (
        lambda r: write(r / "test/agnostic-mask/10001_00_mask.png", agnostic()),
        faults.MASK_GREY, "test/agnostic-mask/10001_00_mask.png", "agnostic picture",
    ),
    "grey JPEG": (
        lambda r: (r / "test/agnostic-mask/10001_00_mask.png").write_bytes(encoded(agnostic())),
        faults.MASK_GREY, "test/agnostic-mask/10001_00_mask.png", "agnostic picture",
    ),
    "mask of ones": (
        lambda r: write(r / "test/agnostic-mask/10001_00_mask.png", mask() // 255),
        faults.MASK_UNIFORM, "test/agnostic-mask/10001_00_mask.png", "marks nothing",
    ),
    "full mask": (
        lambda r: write(r / "test/agnostic-mask/10001_00_mask.png", mask() | 255),
        faults.MASK_UNIFORM, "test/agnostic-mask/10001_00_mask.png", "marks everything",
    ),
    "old layout": (
        lambda r: (r / "test/openpose-img").mkdir(),
        faults.OLD_LAYOUT, "test/openpose-img", "2021 layout",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", VITONHD_FAULTS)
def test_a_fault_is_found_and_named(tmp_path, name):
    spoil, kind, path, said = VITONHD_FAULTS[name]
    write_vitonhd(tmp_path, pairs=4)
    spoil(tmp_path)
    (fault,) = VitonHD(tmp_path).check(paired=False)
    assert (fault.kind, fault.path) == (kind, tmp_path / path)
    assert said in fault.message
    assert fit([fault]) is fault.harmless is (kind in (faults.MASK_MISSING, faults.OLD_LAYOUT))


def test_every_missing_file_is_named(tmp_path):
    write_vitonhd(tmp_path, pairs=3)
    people, garments = sorted((tmp_path / "test/image").iterdir()), sorted((tmp_path / "test/cloth").iterdir())
    for path in (*people[1:], *garments):
        path.unlink()
    found = VitonHD(tmp_path).check(paired=True)
    assert {fault.path for fault in found} == {*people[1:], *garments}
    assert sorted(kinds_of(found)) == [faults.GARMENT_MISSING] * 3 + [faults.PERSON_MISSING] * 2


def test_a_photo_cut_short_is_found_by_the_thorough_check(tmp_path):
    vitonhd = VitonHD(write_vitonhd(tmp_path, pairs=2, size=(96, 128)))
    for name in ("image/10000_00.jpg", "cloth/10001_00.jpg"):
        cut(tmp_path / "test" / name)
    assert vitonhd.check(paired=True) == []
    found = vitonhd.check(paired=True, thorough=True)
    assert kinds_of(found) == [faults.UNREADABLE] * 2
    assert [fault.path.name for fault in found] == ["10000_00.jpg", "10001_00.jpg"]


def test_photos_that_are_not_three_to_four(tmp_path):
    write_vitonhd(tmp_path, pairs=1, size=(64, 64))
    found = VitonHD(tmp_path).check(paired=True)
    assert kinds_of(found) == [faults.NOT_3_TO_4] * 2
    assert [fault.path.parent.name for fault in found] == ["image", "cloth"] and "64x64" in found[0].message


def test_the_released_training_list_is_named_and_does_not_stop_anyone(tmp_path):
    write_vitonhd(tmp_path, pairs=4)
    names = [f"0000{i}_00.jpg" for i in (0, 2, 1, 3)]
    (tmp_path / "train_pairs.txt").write_text("".join(f"0000{i}_00.jpg {name}\n" for i, name in enumerate(names)))
    (fault,) = VitonHD(tmp_path).check("train", paired=True)
    assert fault.kind == faults.PAIRS_MISMATCHED and fault.harmless
    assert "2 of 4 lines" in fault.message and "line 2 (00001_00.jpg 00002_00.jpg)" in fault.message


def test_an_unpaired_list_may_give_someone_their_own_garment_by_chance(tmp_path):
    write_vitonhd(tmp_path, pairs=4)
    order = [0, 2, 3, 1]
    (tmp_path / TEST_LIST).write_text("".join(f"1000{i}_00.jpg 1000{j}_00.jpg\n" for i, j in enumerate(order)))
    assert VitonHD(tmp_path).check(paired=False) == []


# -- DressCode -------------------------------------------------------------------------------------------------------


def test_dresscode_faults_are_those_of_every_category(tmp_path):
    root = write_dresscode(tmp_path)
    (root / "upper_body/images/000002_0.jpg").unlink()
    (root / "lower_body/test_pairs_paired.txt").unlink()
    add_line(root / "dresses/test_pairs_paired.txt", "000010_1.jpg 000010_0.jpg")
    found = DressCode(root).check(paired=True)
    assert {(fault.kind, fault.path.relative_to(root).as_posix()) for fault in found} == {
        (faults.PERSON_MISSING, "upper_body/images/000002_0.jpg"),
        (faults.LIST_MISSING, "lower_body/test_pairs_paired.txt"),
        (faults.LINE_MALFORMED, "dresses/test_pairs_paired.txt"),
    }
    assert DressCode(root, ["lower_body"]).check(paired=False) == []


def test_dresscode_lists_that_were_taken_for_one_another(tmp_path):
    folder = write_dresscode(tmp_path) / "dresses"
    paired, unpaired = (folder / f"test_pairs_{way}paired.txt" for way in ("", "un"))
    (folder / "kept").write_text(paired.read_text())
    paired.write_text(unpaired.read_text())
    unpaired.write_text((folder / "kept").read_text())
    assert kinds_of(DressCode(tmp_path).check(paired=True)) == [faults.PAIRS_MISMATCHED]
    assert kinds_of(DressCode(tmp_path).check(paired=False)) == [faults.NOT_UNPAIRED]
    cases = DressCode(tmp_path, ["dresses"]).cases(paired=True)
    assert [case.garment.name for case in cases] == ["000010_1.jpg", "000011_1.jpg"]


def test_a_common_list_is_complained_about_once(tmp_path):
    root = write_dresscode(tmp_path, per_category=1)
    lines = ""
    for number, category in enumerate(["upper_body", "lower_body", "dresses"]):
        path = root / category / "test_pairs_paired.txt"
        lines += f"{path.read_text().strip()} {number}\n"
        path.unlink()
    (root / "test_pairs_paired.txt").write_text(f"{lines}what is this\n")
    (fault,) = DressCode(root).check(paired=True)
    assert fault.kind == faults.LINE_MALFORMED and "Line 4" in fault.message


def test_a_folder_of_truths_holds_the_test_people_and_nobody_else(tmp_path):
    dresscode = DressCode(write_dresscode(tmp_path / "d"), ["dresses"])
    cases, truth = dresscode.cases(paired=True), tmp_path / "truth"
    truth.mkdir()
    for case in cases:
        (truth / f"{case.person.stem}.png").write_bytes(case.person.read_bytes())
    (truth / "scores.json").write_text("{}")
    assert dresscode.check_truth(truth) == []
    (truth / "more").mkdir()
    for name in ("more/000010_1.jpg", "000000_1.jpg", "000008_0.jpg", "999999_0.jpg"):
        (truth / name).write_bytes(b"")
    (truth / "000011_0.png").unlink()
    (truth / "more/000010_0.png").write_bytes(b"")  # a second one, perhaps a mask
    found = {fault.path.relative_to(truth).as_posix(): fault.kind for fault in dresscode.check_truth(truth)}
    assert found == {
        "more/000010_1.jpg": faults.TRUTH_GARMENT,  # clean-fid reads the folders below too
        "000000_1.jpg": faults.TRUTH_GARMENT,
        "000008_0.jpg": faults.TRUTH_TRAINING,
        "999999_0.jpg": faults.TRUTH_EXTRA,
        "more/000010_0.png": faults.TRUTH_EXTRA,
        "000011_0": faults.TRUTH_MISSING,
    }
    without_list = {fault.path.name: fault.kind for fault in check_truth_folder(truth, cases)}
    assert without_list["000008_0.jpg"] == faults.TRUTH_EXTRA


def test_every_kind_of_fault_has_a_test():
    tested = {kind for _, kind, _, _ in VITONHD_FAULTS.values()}
    elsewhere = {faults.PAIRS_MISMATCHED, faults.NOT_3_TO_4}
    truth = {kind for kind in KINDS if kind.startswith("truth.")}
    assert tested | elsewhere | truth == KINDS and len(truth) == 4


# -- the report ------------------------------------------------------------------------------------------------------


def test_a_report_names_what_stops_first_and_counts_what_it_leaves_out(tmp_path):
    some = [Fault(faults.MASK_MISSING, tmp_path / "m.png", "Gone.")]
    some += [Fault(faults.PERSON_MISSING, tmp_path / f"{i}.jpg", "Gone.") for i in range(4)]
    assert described(some, shown=3).splitlines() == [
        "person.missing: 4",
        *[f"  {tmp_path}/{i}.jpg: Gone." for i in range(3)],
        "  ... and 1 more",
        "mask.missing: 1 (harmless)",
        f"  {tmp_path}/m.png: Gone.",
    ]
    assert len(described(some, shown=None).splitlines()) == 7


def command(*words):
    return main(["evaluate", "dataset", *map(str, words)])


def test_the_command_reports_a_fit_set(tmp_path, capsys):
    write_vitonhd(tmp_path, pairs=2, masks=False)
    assert command("vitonhd", "--root", tmp_path) == 0
    said = capsys.readouterr().out
    assert "test split: 2 paired cases, 2 unpaired cases" in said
    assert "mask.missing: 2 (harmless)" in said and said.endswith("It is fit to use.\n")


def test_the_command_reports_an_unfit_set(tmp_path, capsys):
    write_dresscode(tmp_path)
    (tmp_path / "dresses/test_pairs_unpaired.txt").unlink()
    cut(tmp_path / "dresses/images/000008_0.jpg")
    assert command("dresscode", "--root", tmp_path) == 2
    said = capsys.readouterr().out
    assert "list.missing: 1\n" in said and "not fit to use. Faults to be mended: 1." in said
    assert command("dresscode", "--root", tmp_path, "--unpaired") == 2
    assert command("dresscode", "--root", tmp_path, "--paired") == 0
    assert command("dresscode", "--root", tmp_path, "--split", "train") == 0
    capsys.readouterr()
    assert command("dresscode", "--root", tmp_path, "--split", "train", "--thorough", "--json") == 2
    said = json.loads(capsys.readouterr().out)
    assert (said["set"], said["split"], said["cases"], said["fit"]) == ("dresscode", "train", {"paired": 6}, False)
    assert said["faults"] == [
        {
            "kind": "picture.unreadable",
            "path": str(tmp_path / "dresses/images/000008_0.jpg"),
            "message": "This file is damaged, cut short or not a picture.",
            "harmless": False,
        }
    ]


def test_the_command_checks_a_folder_of_truths(tmp_path, capsys):
    write_dresscode(tmp_path, per_category=1)
    assert command("dresscode", "--root", tmp_path, "--truth", tmp_path / "dresses/images") == 2
    said = capsys.readouterr().out
    assert "truth.garment: 2" in said and "truth.training: 1" in said and "truth.missing: 2" in said
    assert command("dresscode", "--root", tmp_path, "--truth", tmp_path / "none") == 2
    assert "is no folder" in capsys.readouterr().err


def test_a_mask_is_judged_by_its_light_whatever_its_mode(tmp_path):
    vitonhd = VitonHD(write_vitonhd(tmp_path, pairs=1))
    for mode in ("1", "P", "RGB", "RGBA"):
        file = io.BytesIO()
        Image.fromarray(mask()).convert(mode).save(file, "PNG")
        (tmp_path / "test/agnostic-mask/10000_00_mask.png").write_bytes(file.getvalue())
        assert vitonhd.check(paired=True) == []
