"""Pairs of one's own: a table of files, and WebDataset shards."""

import json
import tarfile
from pathlib import Path

import numpy as np
import pytest

from catvton.datasets import PairTable, Shards
from catvton.errors import InputError
from tests.fake_sets import add_sample, encoded, mask, sample, write_shards, write_table

# -- tables ----------------------------------------------------------------------------------------------------------


def refusal(path):
    with pytest.raises(InputError) as caught:
        PairTable(path)
    assert str(path) in str(caught.value)
    return caught.value.code, str(caught.value)


def test_a_tables_paths_are_relative_to_it(tmp_path, monkeypatch):
    path = write_table(tmp_path, pairs=2)
    monkeypatch.chdir("/")
    first, second = PairTable(path).cases()
    assert (first.name, first.part, first.category) == ("00002_look00", "upper", "")
    assert first.person == tmp_path / "people/look00.jpg" and first.garment == tmp_path / "clothes/look00.jpg"
    assert second.mask == tmp_path / "masks/look01.png"
    assert np.array_equal(second.pictures().mask, mask("lower"))


def test_a_mask_may_be_left_out_of_a_table_or_of_a_line(tmp_path):
    path = write_table(tmp_path, pairs=2)
    person, garment = "people/look00.jpg", "clothes/look00.jpg"
    path.write_text(f"part, person, garment, mask\nupper,{person},{garment},\nlower,{tmp_path}/{person},{garment},\n")
    relative, absolute = PairTable(path).cases()
    assert relative.mask == tmp_path / "masks/upper/people/look00.png"
    assert absolute.mask.is_relative_to(tmp_path / "masks/lower") and relative.pictures().mask is None
    path.write_text(f"person,garment,part\n{person},{garment},upper\n")
    assert PairTable(path).cases()[0].mask == relative.mask


def test_rows_of_one_person_have_names_of_their_own(tmp_path):
    path = write_table(tmp_path, pairs=1)
    path.write_text(path.read_text() + path.read_text().splitlines()[1] + "\n")
    assert [case.name for case in PairTable(path).cases()] == ["00002_look00", "00003_look00"]


@pytest.mark.parametrize(
    ("row", "code", "said"),
    [
        ("people/look01.jpg,clothes/none.jpg,,upper", "table.file", "line 3, column garment: "),
        ("people/look01.jpg,clothes/look01.jpg,masks/no.png,upper", "table.file", "line 3, column mask: "),
        ("people/look01.jpg,clothes/look01.jpg,,shoes", "table.cell", 'line 3, column part: "shoes"'),
        (",clothes/look01.jpg,,upper", "table.cell", "line 3, column person: it is empty"),
        ("people/look01.jpg,clothes/look01.jpg", "table.cell", "line 3, column part: it is empty"),
        ("people/look01.jpg,clothes/look01.jpg,,upper,1", "table.cell", "line 3 has more cells"),
    ],
)
def test_a_tables_fault_is_named_by_line_and_column(tmp_path, row, code, said):
    path = write_table(tmp_path, pairs=2)
    path.write_text("\n".join([*path.read_text().splitlines()[:2], row]))
    found = refusal(path)
    assert found[0] == code and said in found[1]


@pytest.mark.parametrize(
    ("text", "code", "said"),
    [
        ("person,part\n", "table.column", "line 1 lacks garment"),
        ("person,garment,part,msk\n", "table.column", "msk"),
        ("person,garment,part,part\n", "table.column", "part, part"),
        ("", "table.column", "line 1 lacks person, garment, part"),
        ("person,garment,part\n\n", "table.empty", "no pairs"),
        ("person,garment,part\n\udcff,a,upper\n", "table.unreadable", "UTF-8"),
    ],
)
def test_what_is_no_table_of_pairs_is_refused(tmp_path, text, code, said):
    path = tmp_path / "pairs.csv"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    found = refusal(path)
    assert found[0] == code and said in found[1]
    assert refusal(tmp_path / "none.csv")[0] == "table.not_found"


# -- shards ----------------------------------------------------------------------------------------------------------


def test_shards_are_read_in_order_and_whole(tmp_path):
    shards = Shards(write_shards(tmp_path, pairs=5, per_shard=2))
    assert [Path(url).name for url in shards.urls] == [f"pairs-00000{i}.tar" for i in range(3)]
    names = [pictures.name for pictures in shards]
    assert names == ["000000/000000", "000000/000001", "000001/000002", "000001/000003", "000002/000004"]
    assert len(shards) == 5 and names == [pictures.name for pictures in shards]


def test_a_share_of_the_shards_is_never_left_out(tmp_path, monkeypatch):
    """webdataset would split shards by the process's rank; here every process sees the same pairs."""
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert len(list(Shards(write_shards(tmp_path, pairs=4)))) == 4


def test_shards_may_come_from_a_command(tmp_path):
    pattern = write_shards(tmp_path, pairs=3, masks=False)
    piped, plain = Shards(f"pipe:cat {pattern}"), Shards(pattern)
    assert len(piped) == piped.masks_missing() == 3
    assert [np.asarray(p.garment).tobytes() for p in piped] == [np.asarray(p.garment).tobytes() for p in plain]


def test_shards_count_the_masks_that_are_missing(tmp_path):
    path = tmp_path / "a.tar"
    with tarfile.open(path, "w") as tar:
        for i in range(3):
            add_sample(tar, f"look.s/{i}", sample(f"look{i}", "upper", masks=i == 1))
    shards = Shards(str(path))
    assert (len(shards), shards.masks_missing()) == (3, 2)
    assert [pictures.mask is None for pictures in shards] == [True, False, True]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"person.jpg": None}, "sample 000007 has no person.jpg"),
        ({"garment.jpg": None}, "sample 000007 has no garment.jpg"),
        ({"part.txt": None}, "sample 000007 needs a part.txt"),
        ({"part.txt": b"shoes"}, "upper, lower, overall"),
        ({"part.txt": None, "json": json.dumps(["upper"]).encode()}, "needs a part.txt"),
        ({"part.txt": None, "json": b"{"}, "needs a part.txt"),
    ],
)
def test_a_shards_faulty_sample_is_named(tmp_path, change, said):
    files = {name: data for name, data in (sample("a", "upper") | change).items() if data is not None}
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        add_sample(tar, "000007", files)
    with pytest.raises(InputError, match=said) as caught:
        list(Shards(str(tmp_path / "a.tar")))
    assert caught.value.code == "shards.sample" and "a.tar" in str(caught.value)


def test_a_shards_damaged_picture_is_named(tmp_path):
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        add_sample(tar, "000007", sample("a", "upper") | {"garment.jpg": encoded(mask())[:300]})
    with pytest.raises(InputError, match=r"a\.tar: the garment of sample 000007 is damaged"):
        list(Shards(str(tmp_path / "a.tar")))


@pytest.mark.parametrize("read", [list, len])
def test_a_damaged_shard_is_named(tmp_path, read):
    pattern = write_shards(tmp_path, pairs=4)
    second = tmp_path / "pairs-000001.tar"
    second.write_bytes(second.read_bytes()[:2000])
    with pytest.raises(InputError, match=r"pairs-000001\.tar cannot be read") as caught:
        read(Shards(pattern))
    assert caught.value.code == "shards.broken"


@pytest.mark.parametrize(
    ("pattern", "code"), [("none-{0..3}.tar", "shards.not_found"), ("x-{0..3.tar", "shards.pattern")]
)
def test_shards_that_are_not_there_are_refused(tmp_path, pattern, code):
    with pytest.raises(InputError) as caught:
        Shards(str(tmp_path / pattern))
    assert caught.value.code == code
