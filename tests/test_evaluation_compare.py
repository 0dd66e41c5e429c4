"""Folders of results beside published figures: sources are named, places are fair, and all four outputs agree."""

import csv
import io
import json
import re
import shutil
from html.parser import HTMLParser

import pytest
from PIL import Image

from catvton import cli
from catvton.errors import InputError, SettingsError
from catvton.evaluation import plots
from catvton.evaluation.compare import Row, compare, letter, place
from catvton.evaluation.compare_folders import read_folders
from catvton.evaluation.compare_page import as_page
from catvton.evaluation.compare_pictures import extremes, judge, shown
from catvton.evaluation.compare_text import as_csv, as_json, as_markdown, cell
from catvton.evaluation.conditions import METRICS, Conditions, conditions
from catvton.evaluation.networks import NETWORKS
from catvton.evaluation.published import DATASETS, PUBLISHED, read_published

SSIM, LPIPS, FID, KID = METRICS
BRIEF = ("DCI-VTON", "StableVTON", "StableGarment", "MV-VTON", "GP-VTON", "LaDI-VTON", "IDM-VTON", "OOTDiffusion",
         "CatVTON")  # fmt: skip
PAPER = {
    "dataset": "vitonhd", "split": "test", "paired": True, "engine": "catvton@vitonhd", "size": [384, 512],
    "repaint": True, "resize": "lanczos", "file_format": "jpeg", "jpeg_quality": 75, "images": 2032,
    "networks": {name: {"file": network.file, "sha256": network.sha256} for name, network in NETWORKS.items()},
}  # fmt: skip
PAIRED = ("vitonhd", True)


def scores(names=("00001_00", "00002_00", "00003_00"), **changed):
    each = {name: {"ssim": 0.9 - 0.1 * i, "lpips": 0.02 + 0.01 * i} for i, name in enumerate(names)}
    return {
        "images": 2032, "ssim": 0.8, "lpips": 0.03, "fid": 5.5, "kid": 0.45,
        "fid_interval": [5.1, 5.9], "kid_interval": [0.4, 0.5], "each": each,
    } | changed  # fmt: skip


@pytest.fixture
def results(tmp_path):
    """results("name", protocol={...}, scores={...}) -> a folder of results that was made like the paper's."""

    def write(name, *, protocol=None, scored=None):
        folder = tmp_path / name
        folder.mkdir(parents=True)
        (folder / "protocol.json").write_text(json.dumps(PAPER | (protocol or {})))
        (folder / "scores.json").write_text(json.dumps(scored or scores()))
        return folder

    return write


@pytest.fixture
def unpaired(results):
    only = {"ssim": None, "lpips": None, "each": {}}
    return results("strangers", protocol={"paired": False}, scored=scores(**only))


def tables_of(*paths, keys=(PAIRED,)):
    folders = read_folders(paths)
    return compare(folders, read_published(), keys=keys), folders


def group_of(table, name):
    return next((letter, rows) for letter, rows in table.lettered() for row in rows if row.name == name)


# ---- what is published -----------------------------------------------------------------------------------------------


def test_the_briefs_systems_are_in_every_table_and_every_row_has_a_source():
    rows = read_published()
    for dataset in DATASETS:
        for paired in (True, False):
            assert {row.system for row in rows if (row.dataset, row.paired) == (dataset, paired)} >= {*BRIEF, "Leffa"}
    assert {"FastFit", "DeCo-VTON"} <= {row.system for row in rows}
    assert all(row.source.url.startswith("https://") and row.source.table and row.source.basis for row in rows)
    assert all("ssim" not in row.figures and "lpips" not in row.figures for row in rows if not row.paired)


def test_figures_are_those_of_the_paper_and_absent_ones_stay_absent():
    rows = {(row.system, row.dataset, row.paired): row for row in read_published() if row.source.id == "catvton"}
    assert rows["CatVTON", "vitonhd", True].figures == {"ssim": 0.8704, "lpips": 0.0565, "fid": 5.425, "kid": 0.411}
    assert rows["LaDI-VTON", "dresscode", False].figures == {"fid": 10.676, "kid": 5.787}
    assert rows["DCI-VTON", "dresscode", True].figures == {}


@pytest.mark.parametrize(
    ("file", "old", "new", "says"),
    [
        ("results.csv", "system,dataset", "system,colour,dataset", "colour is unknown"),
        ("results.csv", ",confidence,", ",trust,", "confidence is missing, trust is unknown"),
        ("results.csv", "0.8704,0.0565,5.425,0.411,catvton", "0.8704,0.0565,5.425,0.411,", "source ''"),
        ("results.csv", "0.8704,0.0565,5.425,0.411,catvton", "0.8704,0.0565,5.425,0.411,hearsay", "'hearsay'"),
        ("results.csv", "0.8704,0.0565,5.425,0.411,catvton,verified", "0.8704,,,,catvton,sure", "confidence 'sure'"),
        ("results.csv", "0.8704", "about 0.87", "line 34, ssim: 'about 0.87'"),
        ("results.csv", "0.8704", "nan", "'nan' is not a number"),
        ("results.csv", "CatVTON mask-free,vitonhd,paired", "CatVTON,vitonhd,paired", "two rows for CatVTON vitonhd"),
        ("results.csv", "rounded from the post", "rounded,from the post", "more or fewer cells"),
        ("sources.toml", "repaint = false", "repainted = false", "there is no condition repainted"),
        ("sources.toml", 'measured_by = "the authors of FastFit"\n', "", "[fastfit]: measured_by is missing"),
        ("sources.toml", 'url = "https://arxiv.org/abs/2508.20586"', 'url = "a paper"', "does not begin with https://"),
    ],
)
def test_published_tables_are_read_strictly(tmp_path, file, old, new, says):
    folder = tmp_path / "published"
    shutil.copytree(PUBLISHED, folder)
    text = (folder / file).read_text()
    assert old in text
    (folder / file).write_text(text.replace(old, new, 1))
    with pytest.raises(SettingsError, match=re.escape(says)):
        read_published(folder)


# ---- what compares ---------------------------------------------------------------------------------------------------


def row(name, **figures):
    return Row(name=name, ours=False, figures=figures, intervals={}, conditions=Conditions(), maker="one")


def test_places_follow_the_direction_of_each_figure():
    rows = [row("a", ssim=0.9, fid=9.0), row("b", ssim=0.8, fid=5.0), row("c", ssim=0.9), row("d", kid=1.0)]
    assert [place(each, rows, SSIM) for each in rows] == [(1, 3), (3, 3), (1, 3), None]
    assert [place(each, rows, FID) for each in rows] == [(2, 2), (1, 2), None, None]
    assert place(rows[3], rows, KID) is None  # alone, there is nothing to be ahead of


def test_a_folder_made_as_in_the_paper_is_ranked_with_it_and_one_without_repaint_is_not(results):
    alike, bare = results("alike"), results("bare", protocol={"repaint": False})
    (table,), _ = tables_of(alike, bare)
    mark, rows = group_of(table, "alike")
    assert (mark, rows[0].source) == ("A", "CatVTON (ICLR 2025), arXiv 2407.15886v2, Table 1")
    assert place(rows[-1], rows, FID) == (3, 12)  # 5.5: after CatVTON and its reproduction, before IDM-VTON
    mark, rows = group_of(table, "bare")
    assert [each.name for each in rows] == ["bare"] and place(rows[0], rows, FID) is None
    assert table.warnings == ("different repaint: yes in alike; no in bare",)


@pytest.mark.parametrize(
    ("changed", "fact"),
    [
        ({"size": [768, 1024]}, "size: 384x512 in alike; 768x1024 in other"),
        ({"resize": "bicubic"}, "resize: lanczos in alike; bicubic in other"),
        ({"file_format": "png", "jpeg_quality": None}, "file format: jpeg 75 in alike; png in other"),
        ({"jpeg_quality": 95}, "file format: jpeg 75 in alike; jpeg 95 in other"),
        ({"networks": PAPER["networks"] | {"inception": {"sha256": "0" * 64}}}, "networks: inception f58cb9b6"),
        ({"networks": {}}, "not stated in other"),
    ],
)  # fmt: skip
def test_a_warning_names_exactly_what_differs(results, changed, fact):
    (table,), _ = tables_of(results("alike"), results("other", protocol=changed))
    assert len(table.warnings) == 1 and table.warnings[0].startswith("different ") and fact in table.warnings[0]
    assert group_of(table, "other")[0] != group_of(table, "alike")[0]


def test_the_number_of_images_is_that_of_the_scores(results):
    (table,), _ = tables_of(results("alike"), results("few", scored=scores(images=3)))
    assert table.warnings == ("different number of images: 2032 in alike; 3 in few",)


def test_two_unstated_conditions_are_not_alike():
    assert not Conditions().alike(Conditions())
    stated, named = conditions(PAPER, paired=True), conditions(PAPER | {"networks": list(NETWORKS)}, paired=True)
    assert stated.alike(named) and named.alike(stated)
    assert conditions(PAPER, paired=False).networks.keys() == {"inception"}


def test_letters_go_on_after_z():
    assert [letter(index) for index in (0, 25, 26, 27, 701, 702)] == ["A", "Z", "AA", "AB", "ZZ", "AAA"]


# ---- folders ---------------------------------------------------------------------------------------------------------


def test_a_runs_folder_stands_for_the_results_in_it(results):
    plain, repaint = results("run/plain", protocol={"repaint": False}), results("run/repaint")
    folders = read_folders([repaint.parent])
    assert [(folder.name, folder.path) for folder in folders] == [("run/plain", plain), ("run/repaint", repaint)]
    assert [folder.name for folder in read_folders([plain])] == ["run/plain"]


def test_folders_of_one_name_are_told_apart(results):
    one, two = results("512/paired"), results("1024/paired")
    assert [folder.name for folder in read_folders([one, two])] == ["512/paired", "1024/paired"]
    with pytest.raises(InputError, match="given twice"):
        read_folders([one, one / ".." / "paired"])


@pytest.mark.parametrize(
    ("file", "text", "says"),
    [
        ("scores.json", None, "scores.json is missing"),
        ("protocol.json", None, "protocol.json is missing"),
        ("protocol.json", "[]", "not an object"),
        ("protocol.json", '{"dataset": "vitonhd"}', 'does not say "paired"'),
        ("scores.json", '{"fid": "low"}', "'low' is not a number"),
        ("scores.json", '{"fid": NaN}', "nan is not a number"),
        ("scores.json", '{"fid": 5.0, "fid_interval": [4.0]}', "not an interval"),
        ("scores.json", '{"fid": 5.0, "each": {"a": 1}}', "not an object of figures"),
    ],
)
def test_a_folder_that_cannot_be_read_is_named(results, file, text, says):
    folder = results("broken")
    if text is None:
        (folder / file).unlink()
    else:
        (folder / file).write_text(text)
    with pytest.raises(InputError, match=re.escape(says)) as caught:
        read_folders([folder])
    assert caught.value.code == "compare.folder" and "broken" in str(caught.value)


# ---- the outputs -----------------------------------------------------------------------------------------------------


def test_json_csv_markdown_and_page_agree(results, unpaired):
    tables, folders = tables_of(results("mine"), unpaired, keys=(PAIRED, ("vitonhd", False)))
    lines = iter(csv.DictReader(io.StringIO(as_csv(tables))))
    markdown = [line for line in as_markdown(tables).splitlines() if re.match(r"\| [^-s]", line)]
    page = Page(as_page(tables, folders))
    grid = iter(zip(markdown, page.rows, strict=True))
    for table, found in zip(tables, as_json(tables)["tables"], strict=True):
        assert (found["dataset"], found["paired"]) == (table.dataset, table.paired)
        for (mark, rows), group in zip(table.lettered(), found["groups"], strict=True):
            for each, told in zip(rows, group["rows"], strict=True):
                line, (text, cells) = next(lines), next(grid)
                assert (line["letter"], group["letter"]) == (mark, mark) and f"| {mark} " in text
                assert told["name"] == line["name"] == each.name and each.name in text and each.name in cells[0]
                for metric, shown_cell in zip(table.metrics, cells[1:], strict=False):
                    value = each.figures.get(metric.key)
                    assert told[metric.key] == value and line[metric.key] == ("" if value is None else str(value))
                    assert f"| {cell(each, rows, metric)} " in text and each.text(metric) in shown_cell
                    ahead = told["places"].get(metric.key, [""])[0]
                    assert line[f"{metric.key}_place"] == str(ahead)
    assert next(lines, None) is None


def test_figures_are_printed_with_the_digits_of_their_source(results):
    (table,), _ = tables_of(results("mine"))
    shown_figures = {row.name: cell(row, [row], FID) for _, rows in table.lettered() for row in rows}
    assert shown_figures["Leffa"] == "4.54" and shown_figures["CatVTON without repaint"] == "6.4"
    assert shown_figures["mine"] == "5.500 [5.100, 5.900]"


class Page(HTMLParser):
    """What a browser would do with the page, and what a screen reader would be told."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.loads, self.links, self.heads, self.images, self.graphics, self.tags = [], [], [], [], [], []
        self.rows, self._cells, self._depth = [], None, 0
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.tags.append(tag)
        assert not any(name.startswith("on") for name in attributes)
        self.links += [attributes["href"]] if tag == "a" else []
        self.loads += [attributes[name] for name in ("src", "href", "xlink:href", "data", "poster", "srcset", "action")
                       if name in attributes and tag != "a"]  # fmt: skip
        self.images += [attributes] if tag == "img" else []
        self.graphics += [attributes] if tag == "svg" else []
        self.heads += [attributes.get("scope")] if tag == "th" else []
        if tag == "th" and attributes.get("scope") == "row":
            self._cells = []
        if self._cells is not None and tag in ("th", "td"):
            self._cells.append("")

    def handle_endtag(self, tag):
        if tag == "tr" and self._cells is not None:
            self.rows.append(self._cells)
            self._cells = None

    def handle_data(self, data):
        if self._cells:
            self._cells[-1] += data


def test_the_page_loads_nothing_and_can_be_read_aloud(results, unpaired):
    folder = results("mine")
    Image.new("RGB", (30, 40), "navy").save(folder / "00001_00.jpg")
    text = as_page(*tables_of(folder, unpaired, keys=(PAIRED, ("vitonhd", False))))
    page = Page(text)
    assert page.loads and all(link.startswith("data:image/jpeg;base64,") for link in page.loads)
    assert not {"script", "link", "iframe", "object", "embed", "base", "form"} & set(page.tags)
    assert "url(" not in text and "@import" not in text and "default-src 'none'" in text
    assert all(link.startswith(("https://", "#")) for link in page.links)
    assert page.images and all(image["alt"].startswith("00001_00: result") for image in page.images)
    assert set(page.heads) == {"col", "row", "rowgroup"}
    assert all(graphic.get("aria-hidden") == "true" or graphic.get("aria-label") for graphic in page.graphics)
    assert '<html lang="en">' in text and "prefers-color-scheme: dark" in text and 'name="viewport"' in text
    assert "No figure found: CatVTON without repaint (B)" in text and "no image has its own figures" in text


def test_names_cannot_break_out_of_the_page(results):
    text = as_page(*tables_of(results("<script>alert(1)<b>", protocol={"engine": '"><img src=x>'})))
    assert "<script" not in text and "<b>" not in text and "<img src=x" not in text


def test_places_are_given_within_a_letter_in_bars_too(results):
    (table,), folders = tables_of(results("bare", protocol={"repaint": False}))
    text = as_page([table], folders)
    fid = text[text.index("<h4>FID") : text.index("<h4>KID")]
    bars = re.findall(r'class="letter">(\w+)<|class="name">([^<]+)<', fid)
    assert [mark for mark, _ in bars if mark] == [mark for mark, _ in table.lettered()]
    assert [name for _, name in bars if name][:2] == ["CatVTON", "CatVTON reproduced"]
    assert bars[-1][1] == "bare"  # though its 5.5 would be third of all
    assert fid.count('class="whisker"') == 1


def test_plots():
    assert plots.bar_axis([0.87, 0.93], higher=True) == plots.Axis(0.7, 0.93)
    axis = plots.bar_axis([4.0, 8.0], higher=False)
    assert 'width="50.0"' in plots.bar(4.0, axis) and "whisker" not in plots.bar(4.0, axis)
    assert 'd="M25.0 6.0H75.0M25.0' in plots.bar(4.0, axis, interval=(2.0, 6.0))
    assert 'width="0.0"' in plots.bar(-0.2, plots.bar_axis([-0.2], higher=False))
    values = [0.0] + [1.0] * 3
    drawn = plots.histogram(values, plots.edges(values), label="A & B")
    assert drawn.count('class="bin"') == 2 and 'height="60.00"' in drawn and 'height="20.00"' in drawn
    assert 'd="M100.0 0V60"' in drawn  # the median
    assert 'aria-label="A &amp; B"' in drawn and plots.edges([0.5, 0.5])[-1] > 0.5


# ---- best and worst --------------------------------------------------------------------------------------------------


def test_best_and_worst_follow_lpips_and_share_no_image(results):
    (folder,) = read_folders([results("mine", scored=scores([f"{i:05d}_00" for i in range(9)]))])
    assert judge(folder) is LPIPS
    best, worst = extremes(folder, LPIPS)
    assert (best[0], worst[0]) == ("00000_00", "00008_00") and len(best) == len(worst) == 4
    assert extremes(folder, SSIM)[0] == best
    (small,) = read_folders([results("small", scored=scores(["a", "b", "c"]))])
    assert extremes(small, LPIPS) == (["a", "b"], ["c"])
    (bare,) = read_folders([results("bare", scored=scores(each={"a": {"ssim": 0.5}}))])
    assert judge(bare) is SSIM


def test_person_and_garment_are_shown_where_the_data_set_is(results, tmp_path):
    root = tmp_path / "data"
    for home, colour in (("image", "red"), ("cloth", "lime")):
        (root / "test" / home).mkdir(parents=True)
        Image.new("RGB", (30, 40), colour).save(root / "test" / home / "00001_00.jpg", quality=95)
    (root / "test_pairs.txt").write_text("00001_00.jpg 00001_00.jpg\n")
    path = results("mine", protocol={"root": str(root)})
    Image.new("RGB", (30, 40), "blue").save(path / "00001_00.png")
    folder, moved = *read_folders([path]), *read_folders([results("moved", protocol={"root": str(tmp_path / "gone")})])
    (one,) = shown(folder, ["00001_00"])
    picture = Image.open(io.BytesIO(one.jpeg))
    assert one.parts == ("person", "garment", "result") and picture.size == (360, 160)
    for x, near in ((60, (255, 0, 0)), (180, (0, 255, 0)), (300, (0, 0, 255))):
        assert all(abs(a - b) < 24 for a, b in zip(picture.getpixel((x, 80)), near, strict=True))
    assert shown(moved, ["00001_00"])[0].parts == () and "file was not found" in as_page(*tables_of(moved.path))


# ---- the command -----------------------------------------------------------------------------------------------------


def evaluate(*words):
    return cli.main(["evaluate", "compare", *map(str, words)])


def test_the_command_writes_all_four_and_prints_one(results, unpaired, tmp_path, capsys):
    mine = results("mine")
    assert evaluate(mine, unpaired, "--out", tmp_path / "out") == 0
    printed = capsys.readouterr().out
    assert "**mine**" in printed and "## VITON-HD, unpaired" in printed
    assert printed == (tmp_path / "out/compare.md").read_text()
    assert {path.name for path in (tmp_path / "out").iterdir()} == {f"compare.{kind}" for kind in
                                                                    ("json", "csv", "md", "html")}  # fmt: skip
    assert evaluate(mine, unpaired, "--unpaired", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert [(table["dataset"], table["paired"]) for table in told["tables"]] == [("vitonhd", False)]


def test_without_folders_the_published_tables_are_shown(capsys):
    assert evaluate("--dataset", "dresscode", "--paired") == 0
    printed = capsys.readouterr().out
    assert printed.startswith("## DressCode, paired") and "VITON-HD, paired" not in printed
    assert re.search(r"\| DCI-VTON +\| – ", printed)


def test_the_command_says_what_it_cannot_do(results, unpaired, tmp_path, capsys):
    assert evaluate(unpaired, "--paired") == 2
    assert "they are about vitonhd unpaired" in capsys.readouterr().err
    (tmp_path / "file").write_text("")
    assert evaluate(results("mine"), "--out", tmp_path / "file") == 2
    assert "Cannot write to" in capsys.readouterr().err
