"""The evaluation itself: perfect answers get perfect figures, wrong ones do not; the command prints what it found."""

import json

import numpy as np
import pytest
from PIL import Image

from catvton import cli
from catvton.ccp import CCP, CLASSES, Clothing, cut_window, window_box
from catvton.errors import InputError, WeightsError
from catvton.evaluation import SECTIONS, groups, report, suite, unpaired
from catvton.evaluation.metrics import Likeness, lab_histogram
from catvton.evaluation.oracles import oracles
from catvton.evaluation.paired import FLAT, Paired, Score, paired, row_of
from catvton.evaluation.parsing import parsing
from catvton.evaluation.protocol import FIGURE_SIZE, Case, cases, samples
from catvton.evaluation.sheets import painted, sheet
from catvton.evaluation.subject import Subject, subject
from catvton.evaluation.unpaired import Lists, Wish, closest, core_of, dummy, read_lists
from catvton.evaluation.ways import PlacementOnly, Remembering, WholePath, as_way, changed_outside
from catvton.evaluation.words import WORDS, shirt, words
from catvton.result import PARTS
from catvton.tryon import TryOn
from model.compact_parser import CompactParser
from tests import small_sets, tiny

COLOURS = {"a": "crimson", "b": "seagreen", "c": "gold", "d": "midnightblue"}
CLOTH = (0.25, 0.25, 0.75, 0.75)
WISHES = tuple(
    Wish(i, part, c, CLOTH)
    for (i, c), part in zip(COLOURS.items(), ("upper", "lower", "overall", "upper"), strict=True)
)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    root = tmp_path_factory.mktemp("data")
    return small_sets.write_clothing(small_sets.write_ccp(root), COLOURS)


@pytest.fixture(scope="module")
def ccp(data) -> CCP:
    return CCP(data)


@pytest.fixture(scope="module")
def ready(ccp):
    return list(samples(ccp, cases(ccp)[:2], (96, 128)))


def truth_of(ccp):
    def probabilities(window: Image.Image) -> np.ndarray:
        labels = cut_window(ccp.labels(1), window_box(ccp.labels(1)), FIGURE_SIZE)  # the same figure in every photo
        return np.eye(len(CLASSES), dtype=np.float32)[labels].transpose(2, 0, 1)

    return probabilities


# ---- parser ----------------------------------------------------------------------------------------------------------


def test_a_perfect_parser(ccp):
    shown = []
    found = parsing(ccp, truth_of(ccp), [1, 11], on_photo=lambda *seen: shown.append(seen))
    assert (found.mean, found.photos, len(shown)) == (1.0, 2, 2)
    assert np.isnan(found.each["dress"]) and found.each["upper"] == 1.0


def test_a_blind_parser(ccp):
    background = np.zeros((8, 64, 48), np.float32)  # at another size, as engines may
    background[0] = 1
    found = parsing(ccp, lambda _: background, [1, 11])
    labels = cut_window(ccp.labels(1), window_box(ccp.labels(1)), FIGURE_SIZE)
    assert found.each["background"] == pytest.approx(np.mean(labels == 0))
    assert found.each["upper"] == 0.0
    assert found.mean == pytest.approx(np.mean(labels == 0) / 6)  # of six classes that occur, one is partly right


# ---- paired ----------------------------------------------------------------------------------------------------------


def test_the_photo_itself_is_perfect(ready):
    found = paired(ready, {"photo": lambda sample: Image.fromarray(sample.truth)})
    assert found.cases == 2
    for area in ("region", "mask"):
        assert found.mean("photo", area) == Likeness(pytest.approx(0), pytest.approx(1))


def test_flat_colour_is_measured_beside(ready):
    found = paired(ready, {"blank": lambda _: Image.new("RGB", (30, 40), "white")})
    region, mask = found.mean(FLAT), found.mean(FLAT, "mask")
    assert 0 < region.colour < mask.colour < found.mean("blank", "mask").colour
    trousers = found.mean(FLAT, kind="lower")  # of one colour, so the flat colour is nearly right
    assert trousers.colour < found.mean(FLAT, kind="upper").colour


def test_only_the_hole_is_taken(ready):
    def spoilt_outside(sample):
        return Image.fromarray(np.where(sample.hole[..., None], sample.truth, 0).astype(np.uint8))

    assert paired(ready, {"way": spoilt_outside}).mean("way", "mask").colour == pytest.approx(0)


def test_means_are_over_cases():
    scores = [
        Score(Case(1, "upper"), "way", Likeness(2, 0.2), Likeness(4, 0.4)),
        Score(Case(1, "lower"), "way", Likeness(6, 0.6), Likeness(8, 0.8)),
    ]
    found = Paired(scores)
    assert found.mean("way") == Likeness(4, pytest.approx(0.4))
    assert found.mean("way", "mask", kind="lower") == Likeness(8, 0.8)
    assert found.table()["way"]["mask"]["all"] == [6, 0.6]
    with pytest.raises(KeyError, match="nothing"):
        found.mean("nothing")


def test_a_way_sees_no_truth(ready):
    seen = []

    def generate(person, garment, mask, part):
        seen.append((person, garment, mask, part))
        return person

    paired(ready, {"way": as_way(generate)})
    for (person, garment, mask, part), sample in zip(seen, ready, strict=True):
        assert (person, garment, part) == (sample.person, sample.garment, sample.case.part)
        assert mask is sample.mask


# ---- unpaired --------------------------------------------------------------------------------------------------------


def painter(colours):
    """Fills the hole with the colour in the middle of the garment picture, or with what `colours` makes of it."""

    def generate(person, garment, mask, part):
        fill = colours(garment.getpixel((garment.width // 2, garment.height // 2)))
        return Image.composite(Image.new("RGB", person.size, fill), person, Image.fromarray(mask))

    return generate


@pytest.mark.parametrize(("colours", "share"), [(lambda seen: seen, 1.0), (lambda _: "gold", 0.25)])
def test_the_right_garment_is_told_by_its_colours(ccp, data, colours, share):
    found = unpaired.unpaired(ccp, Clothing(data), painter(colours), people=[1, 11], garments=WISHES, size=(96, 128))
    assert len(found.seen) == 8
    assert found.share == share
    assert found.table(WISHES)["gold"] == {"gold": 2}


def test_core_is_what_every_sleeve_and_hem_covers(ccp):
    labels = cut_window(ccp.labels(1), window_box(ccp.labels(1)), FIGURE_SIZE)
    upper, lower, both = (core_of(labels, part) for part in PARTS)
    assert np.array_equal(both, upper | lower)
    assert set(labels[upper]) == {CLASSES.index("upper")} and set(labels[lower]) == {CLASSES.index("lower")}
    assert np.ptp(np.nonzero(upper)[1]) <= 2 * 192 / 8
    rows = np.nonzero(labels == CLASSES.index("lower"))[0]
    assert np.nonzero(lower)[0].max() <= (rows.min() + rows.max()) / 2


def test_dummies_hide_what_is_worn(ccp):
    model = dummy(ccp, 1, "overall", FIGURE_SIZE)
    assert (model.mask[model.core] == 255).all()
    assert abs(np.asarray(model.person)[model.core].mean() - 127.5) < 4


def test_closest():
    known = [lab_histogram(np.full((9, 3), shade, np.uint8)) for shade in (20, 120, 220)]
    assert [closest(np.full((5, 3), shade, np.uint8), known) for shade in (30, 110, 215)] == [0, 1, 2]


def test_the_committed_lists():
    lists = read_lists()
    assert len(set(lists.people)) == 40 and all(number % 10 == 1 for number in lists.people)
    assert len(set(lists.word_people)) == 10 and set(lists.word_people) <= set(lists.people)
    assert len({wish.id for wish in lists.garments}) == 20
    assert {wish.part for wish in lists.garments} == set(PARTS)
    for wish in lists.garments:
        left, top, right, bottom = wish.cloth
        assert 0 <= left < right <= 1 and 0 <= top < bottom <= 1


# ---- words and sheets ------------------------------------------------------------------------------------------------


def test_shirts_carry_their_word_unmirrored():
    picture = np.asarray(shirt("LLLL", "#2b2b2b").convert("L"))
    ink = picture[200:420, 180:420] > 150
    rows, columns = np.flatnonzero(ink.any(1)), np.flatnonzero(ink.any(0))
    word = ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    assert word[:, 2].all() and word[2, -8:].sum() == 0  # the first stem is on the left, the last foot has none above
    assert 0.35 < word.shape[1] / 600 < 0.42


def test_words_dress_each_person_in_another(ccp):
    made = list(words(ccp, painter(lambda seen: seen), [1, 11], size=(96, 128)))
    assert [p.word for p in made] == list(WORDS[:2])
    assert made[0].result.size == (96, 128)
    close = made[0].close_up()
    assert close.width < 96 and close.height < 128


def test_sheets_have_a_cell_for_each_picture():
    page = sheet(
        [[Image.new("RGB", (20, 30), "red")], [Image.new("RGB", (9, 9), "blue")] * 3], cell=(40, 60), heads="x"
    )
    assert page.size == (120, 136)
    assert page.getpixel((20, 46)) == (255, 0, 0) and page.getpixel((100, 106)) == (0, 0, 255)
    with pytest.raises(ValueError, match="no rows"):
        sheet([])


def test_labels_are_painted_in_different_colours():
    assert len(set(painted(np.arange(8, dtype=np.uint8)[None]).get_flattened_data())) == 8


def test_rows_show_everything(ready):
    row = row_of(ready[0], {FLAT: ready[0].truth, "way": ready[0].truth})
    assert len(row) == 5


# ---- ways ------------------------------------------------------------------------------------------------------------


def test_whole_path_dresses_and_counts(ready):
    path = WholePath(tiny.tiny_tryon(), steps=1)
    result = as_way(path)(ready[0])
    assert result.size == ready[0].person.size
    assert (path.pictures, path.changed) == (1, 0)
    hidden = ready[0].mask > 0
    assert not np.array_equal(np.asarray(result)[hidden], np.asarray(ready[0].person)[hidden])


def test_changed_pixels_are_counted():
    before, mask = Image.new("RGB", (6, 4)), np.zeros((4, 6), np.uint8)
    mask[:2] = 255
    after = before.copy()
    after.putpixel((0, 0), (9, 9, 9))  # under the mask
    after.putpixel((3, 3), (0, 0, 1))
    assert changed_outside(before, after, mask) == 1


def test_placement_only_gives_back_what_it_was_given():
    engine = PlacementOnly(tiny.tiny_engine())
    person, laid = tiny.person(), tiny.person(seed=5)
    options = {"steps": 1, "guidance": 1.0, "generator": None, "on_step": None}
    assert engine.generate(person, tiny.garment(), tiny.mask(), masked_image=laid, **options) is laid
    assert engine.generate(person, tiny.garment(), tiny.mask(), **options) is person


def test_a_masker_remembers():
    calls = []

    class Counting(tiny.TinyMasker):
        def parse(self, image):
            calls.append(image.size)
            return super().parse(image)

    masker = Remembering(Counting(), most=2)
    one, two, three = (tiny.person(seed=i) for i in range(3))
    parses = [masker.parse(image) for image in (one, one.copy(), two, one)]
    assert len(calls) == 2 and parses[0] is parses[1] is parses[3] is not parses[2]
    masker.parse(three)
    masker.parse(one)  # forgotten: only two are kept
    assert len(calls) == 4
    assert masker(one, "upper").mask.any()


def test_oracles_answer_at_any_size(ccp):
    engine = tiny.tiny_engine()
    ready = list(samples(ccp, cases(ccp)[:1], engine.card.size))
    found = paired(ready, oracles(ccp, engine, steps=1))
    flat = found.mean(FLAT)
    assert found.mean("true placement").structure > flat.structure
    assert found.mean("true placement").colour < flat.colour
    assert np.isfinite(found.mean("true placement + network").colour)
    assert np.isfinite(found.mean("autoencoder").colour)


# ---- table -----------------------------------------------------------------------------------------------------------


def scores(**ways: tuple[float, float, float, float]) -> Paired:
    case = Case(1, "upper")
    return Paired([Score(case, way, Likeness(*f[:2]), Likeness(*f[2:])) for way, f in ways.items()])


@pytest.mark.parametrize(
    ("network", "placement", "met"),
    [
        ((5.0, 0.40, 10.9, 0.33), (6.0, 0.34, 12, 0.3), [True, True]),
        ((5.0, 0.38, 11.1, 0.33), (6.0, 0.34, 12, 0.3), [False, False]),  # not 0.05 above placement alone
        ((7.1, 0.40, 10.9, 0.31), (6.0, 0.34, 12, 0.3), [False, False]),  # further than flat colour
    ],
)
def test_paired_rows_know_what_is_required(network, placement, met):
    found = scores(**{report.ON: network, report.ROUGH: placement, FLAT: (7.0, 0.3, 14, 0.24)})
    rows = report.paired_rows(found, (report.ROUGH, report.ON))
    assert [row.met for row in rows if row.met is not None] == met
    assert len(rows) == 6


def test_the_table_is_aligned():
    rows = [report.outside_row(0, 3), report.seconds_row(6.0, "2 threads"), report.words_row("words.png")]
    lines = report.table(rows).splitlines()
    assert [line.split()[-1] for line in lines[1:3]] == ["yes", "NO"]
    assert len({len(line) for line in lines[1:3]} | {lines[0].rindex("met") + 3}) <= 2


# ---- the command -----------------------------------------------------------------------------------------------------


@pytest.fixture
def small_world(ccp, data, monkeypatch):
    """The command with a tiny engine and lists of two people and four garments."""
    engine = tiny.tiny_engine()
    masker = Remembering(tiny.TinyMasker())
    made = Subject(engine.card, engine, TryOn([engine], masker), TryOn([PlacementOnly(engine)], masker), truth_of(ccp))
    monkeypatch.setattr("catvton.evaluation.subject.subject", lambda *_, **__: made)
    monkeypatch.setattr(suite, "read_lists", lambda: Lists((1, 11), (1,), WISHES))
    return data


def test_the_command_prints_every_figure(small_world, tmp_path, capsys):
    out = tmp_path / "figures"
    command = ["evaluate", "compact", "--data", str(small_world), "--size", "96x128", "--steps", "1", "--limit", "1"]
    assert cli.main([*command, "--stages", "--out", str(out)]) == 0
    printed = capsys.readouterr().out
    for words_of_a_row in (
        "parser mIoU",
        "whole mask: network",
        "region: placement alone",
        "flat colour",
        "unpaired",
        "word",
    ):
        assert words_of_a_row in printed
    assert {path.name for path in out.iterdir()} == {
        *("parser.png", "paired.png", "stages.png", "unpaired.png", "words.png"),
        "figures.json",
    }
    figures = json.loads((out / "figures.json").read_text())
    assert set(SECTIONS) - {"words"} < set(figures)
    assert figures["paired"]["cases"] == 1
    assert figures["unpaired"]["results"] == 4
    assert figures["outside"] == {"changed": 0, "pictures": 1 * 2 + 4 + 1}


def test_the_command_measures_only_what_is_asked(small_world, capsys):
    command = ["evaluate", "compact", "--data", str(small_world), "--size", "96x128", "--limit", "2", "--json"]
    assert cli.main([*command, "--only", "paired", "--network", "off"]) == 0
    figures = json.loads(capsys.readouterr().out)
    assert set(figures) == {"rows", "paired", "outside"}
    assert set(figures["paired"]["ways"]) == {FLAT, report.ROUGH, report.OFF}
    assert figures["paired"]["cases"] == 2


@pytest.mark.parametrize("wrong", [["--limit", "0"], ["--size", "100x100"], ["--size", "big"], ["--reach", "nan"]])
def test_the_command_refuses_in_words(small_world, wrong, capsys):
    assert cli.main(["evaluate", "compact", "--data", str(small_world), *wrong]) == 2
    assert wrong[0] in capsys.readouterr().err


def test_a_folder_without_data_is_refused(small_world, tmp_path, capsys):
    assert cli.main(["evaluate", "compact", "--data", str(tmp_path)]) == 2
    assert "labels.txt" in capsys.readouterr().err


def test_unknown_engines_are_refused():
    with pytest.raises(InputError, match="nothing"):
        subject("nothing")


@pytest.fixture
def registry(monkeypatch):
    monkeypatch.setattr("catvton.evaluation.subject.read_cards", lambda: {"tiny": tiny.CARD})


def test_a_trained_folder_is_measured(registry, tmp_path, ready):
    tiny.tiny_pipeline().save_pretrained(tmp_path)
    CompactParser(widths=(4, 4, 4, 4, 4)).save(tmp_path / "parser")
    made = subject("tiny", folder=tmp_path, device="cpu")
    assert made.card.folder == tmp_path
    assert made.engine.load().vae.config.latent_channels == 4
    assert made.probabilities(ready[0].person).shape == (8, 512, 384)
    assert made.network_off.cards["tiny"] is made.card


def test_a_damaged_parser_is_named(registry, tmp_path):
    (tmp_path / "parser").mkdir()
    with pytest.raises(WeightsError, match="parser"):
        subject("tiny", folder=tmp_path, device="cpu")


def test_spread_takes_from_all_over():
    assert suite.spread(range(10), 4) == [0, 2, 5, 7]
    assert suite.spread(range(3), None) == suite.spread(range(3), 5) == [0, 1, 2]


# ---- groups of people ------------------------------------------------------------------------------------------------


def test_everyone_is_in_one_group_of_each_axis():
    labels = json.loads(groups.LABELS.read_text())["axes"]
    found = groups.read_groups(range(1, 1002, 10))
    for axis in labels.values():
        members = [number for name in axis for number in found[name]]
        assert sorted(members) == list(range(1, 1002, 10))
    assert groups.read_groups([21]) == {"men": {21}, "light": {21}, "slim": {21}}


def test_figures_of_a_group_are_those_of_its_photos(ccp):
    found = parsing(ccp, truth_of(ccp), [1, 11])
    found.matrices[11] = np.roll(found.matrices[11], 1, axis=1)  # everything taken for something else
    figures = groups.parser_figures(found, {"good": frozenset({1}), "bad": frozenset({11})})
    assert figures["good"] == {"photos": 1, "mean_iou": 1.0} and figures["bad"] == {"photos": 1, "mean_iou": 0.0}
    scores = [Score(Case(n, "upper"), "way", Likeness(n, 0.1 * n), Likeness(2 * n, 0.2 * n)) for n in (1, 2, 3)]
    some = groups.paired_figures(Paired(scores), {"two": frozenset({2, 3}), "none": frozenset({9})}, ("way",))
    assert some == {"two": {"cases": 2, "way": {"region": [2.5, 0.25], "mask": [5.0, 0.5]}}}
