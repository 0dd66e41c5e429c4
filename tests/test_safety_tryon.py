"""What the safety checker flags does not leave a run: no picture, no preview, no file; and what does leave says so."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import pytest
from PIL import Image

from catvton.engines import PipelineEngine, StepReport
from catvton.errors import InputError, ResultWithheld, WeightsError
from catvton.images import png_bytes
from catvton.result import TryOnRequest, TryOnResult
from catvton.safety import Verdict
from catvton.safety.stable_diffusion import StableDiffusionChecker
from catvton.tryon import TryOn
from catvton.web import fragments
from catvton.web.previews import Moment
from catvton.web.studio import Choices, Studio
from catvton.web.tempfolder import TempFolder
from catvton.web.texts import Texts
from tests import tiny, tiny_checker


@dataclass
class FakeChecker:
    """Flags the n-th picture of a run if `flags[n]` says so, and keeps what it was shown."""

    flags: Sequence[bool]
    seen: list[list[Image.Image]] = field(default_factory=list)

    def check(self, images: Sequence[Image.Image]) -> list[Verdict]:
        self.seen.append(list(images))
        return [
            Verdict(flagged=flag, scores={"ankles": 0.25 if flag else -0.5}, hits=("ankles",) if flag else ())
            for flag in self.flags[: len(images)]
        ]


def checked(*flags: bool, **changes) -> tuple[TryOn, FakeChecker]:
    checker = FakeChecker(flags)
    return TryOn([tiny.tiny_engine(**changes)], tiny.TinyMasker(), safety=lambda card: checker), checker


@pytest.fixture(scope="module")
def unchecked() -> TryOn:
    return tiny.tiny_tryon()


def request(**changes) -> TryOnRequest:
    return TryOnRequest(**({"person": tiny.person(), "garment": tiny.garment(), "steps": 2} | changes))


def same(a: Image.Image, b: Image.Image) -> bool:
    return np.array_equal(np.asarray(a), np.asarray(b))


def withheld(call: Callable[[], object]) -> ResultWithheld:
    with pytest.raises(ResultWithheld) as caught:
        call()
    assert caught.value.code == "result.withheld" and isinstance(caught.value, InputError)
    return caught.value


# ---- one picture -----------------------------------------------------------------------------------------------------


def test_a_clean_result_is_the_same_as_without_a_checker(unchecked):
    tryon, checker = checked(False)
    plain, result = unchecked.run(request()), tryon.run(request())
    assert same(result.image, plain.image)
    assert (result.seed, result.seeds, result.flags, result.notes) == (42, (42,), (), plain.notes)
    assert list(result.seconds) == [*plain.seconds, "check"]
    assert len(checker.seen) == 1
    assert plain.info()["seeds"] == [42]


def test_a_flagged_result_is_withheld_with_a_plain_sentence():
    tryon, _ = checked(True)
    sentence = str(withheld(lambda: tryon.run(request())))
    assert sentence == (
        "The picture was withheld: the safety checker took it for something that should not be shown. "
        "That is often a false alarm: try another seed or another photo."
    )


@pytest.mark.parametrize("flagged", [True, False])
def test_nothing_unchecked_is_ever_previewed(unchecked, flagged):
    tryon, _ = checked(flagged)
    reports: list[StepReport] = []
    shown: list[Image.Image] = []

    def look(report: StepReport) -> None:
        reports.append(report)
        shown.append(report.preview())

    if flagged:
        withheld(lambda: tryon.run(request(), on_step=look))
    else:
        tryon.run(request(), on_step=look)
    told = [(report.stage, report.step) for report in reports]
    assert told == [("mask", 0), ("place", 0), *(("generate", n) for n in range(3)), ("paste", 2), ("check", 2)]
    assert all(same(picture, tiny.person()) for picture in shown)
    assert all(same(report.preview(), tiny.person()) for report in reports)  # nor afterwards
    assert not same(unchecked.run(request()).image, tiny.person())  # there was something to hide


def test_a_stream_ends_with_the_refusal_and_no_result():
    tryon, _ = checked(True)
    items: list[object] = []
    withheld(lambda: items.extend(tryon.stream(request())))
    assert not any(isinstance(item, TryOnResult) for item in items)


def test_scores_are_logged_and_pictures_are_not(caplog):
    tryon, _ = checked(True, False)
    with caplog.at_level(logging.DEBUG, logger="catvton"):
        result = tryon.run(request(seed=7, variations=2))
    said = {record.levelname: record.getMessage() for record in caplog.records if "seed" in record.getMessage()}
    assert said["INFO"] == f"job {result.job_id}: seed 7 withheld for ankles (ankles +0.250)"
    assert said["DEBUG"] == f"job {result.job_id}: seed 8 passed (ankles -0.500)"
    assert not any("Image" in record.getMessage() for record in caplog.records)


# ---- several ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("flags", "kept", "note"),
    [
        ((False, True, False), (0, 2), "1 of 3 pictures was withheld: the safety checker took it for something"),
        ((True, False, True), (1,), "2 of 3 pictures were withheld: the safety checker took them for something"),
        ((False, False, False), (0, 1, 2), None),
    ],
)
def test_only_clean_variations_are_kept_with_their_seeds(unchecked, flags, kept, note):
    tryon, _ = checked(*flags)
    plain = unchecked.run(request(seed=20, variations=3))
    result = tryon.run(request(seed=20, variations=3))
    assert len(result.images) == len(kept) and result.image is result.images[0]
    assert all(same(image, plain.images[index]) for image, index in zip(result.images, kept, strict=True))
    assert result.seeds == tuple(20 + index for index in kept) and result.seed == result.seeds[0]
    assert result.info()["seeds"] == list(result.seeds)
    if note is None:
        assert (result.flags, result.notes) == ((), plain.notes)
    else:
        assert result.flags == (f"withheld:{3 - len(kept)}",)
        assert result.notes[:-1] == plain.notes and result.notes[-1].startswith(note)
        assert same(unchecked.run(request(seed=result.seed)).image, result.image)


def test_all_variations_withheld_is_the_error():
    tryon, _ = checked(True, True, True)
    sentence = str(withheld(lambda: tryon.run(request(variations=3))))
    assert sentence.startswith("All 3 pictures were withheld: the safety checker took them for")


def test_a_checker_that_forgets_a_picture_passes_none():
    tryon, _ = checked(False)  # one verdict for two pictures
    with pytest.raises(ValueError):
        tryon.run(request(variations=2))


# ---- what the checker sees -------------------------------------------------------------------------------------------


def test_the_checker_sees_the_person_wherever_they_stand():
    """CLIP looks at a picture's middle square; of a wide photo that may be the wall beside the person."""
    photo = Image.new("RGB", (600, 150), "white")
    photo.paste(tiny.person(), (0, 0))
    mask = np.zeros((150, 600), np.uint8)
    mask[:, :90] = tiny.mask()
    tryon, checker = checked(False, False)
    result = tryon.run(request(person=photo, mask=mask, variations=2))
    width, height = tiny.SIZE
    first, second = (np.asarray(image, np.int16) for image in checker.seen[0])
    assert checker.seen[0][0].size == (width, height)
    top = (height - width) // 2
    differs = np.abs(first - second)[top : top + width].max(axis=2) > 0
    assert differs.mean() > 0.05  # the two variations differ where they were made, inside the middle square
    middle = np.asarray(result.images[0], np.int16)[:, 225:375], np.asarray(result.images[1], np.int16)[:, 225:375]
    assert np.array_equal(*middle)  # and nowhere in the photo's


def test_the_picture_that_was_refused_is_the_one_that_is_missing(unchecked):
    plain = unchecked.run(request(seed=5, variations=4))
    darkest = int(np.argmin([np.asarray(image).mean() for image in plain.images]))

    class Darkest:
        def check(self, images):
            means = [float(np.asarray(image).mean()) for image in images]
            return [Verdict(flagged=mean == min(means), scores={"dark": -mean}) for mean in means]

    tryon = TryOn([tiny.tiny_engine()], tiny.TinyMasker(), safety=lambda card: Darkest())
    result = tryon.run(request(seed=5, variations=4))
    expected = [image for index, image in enumerate(plain.images) if index != darkest]
    assert len(result.images) == 3
    assert all(same(a, b) for a, b in zip(result.images, expected, strict=True))


# ---- which engine, and when ------------------------------------------------------------------------------------------


def test_each_engine_has_its_own_checker_or_none():
    checkers = {"tiny": None, "official": FakeChecker([True])}
    engines = [tiny.tiny_engine(), tiny.tiny_engine(name="official")]
    tryon = TryOn(engines, tiny.TinyMasker(), safety=lambda card: checkers[card.name])
    result = tryon.run(request())
    assert "check" not in result.seconds and result.flags == ()
    withheld(lambda: tryon.run(request(engine="official")))


def test_without_its_checker_an_engine_makes_nothing(monkeypatch):
    def missing(card):
        raise WeightsError(f"The safety checker of {card.name} lacks config.json.")

    monkeypatch.setattr(PipelineEngine, "generate", lambda *args, **options: pytest.fail("it generated"))
    tryon = TryOn([tiny.tiny_engine()], tiny.TinyMasker(), safety=missing)
    for call in (lambda: tryon.run(request()), tryon.load):
        with pytest.raises(WeightsError, match=r"lacks config\.json"):
            call()


@pytest.mark.parametrize(("adjustment", "passes"), [(-0.5, True), (0.5, False)])
def test_the_real_checker_at_work(tmp_path, unchecked, adjustment, passes):
    checker = StableDiffusionChecker.from_folder(tiny_checker.write(tmp_path), adjustment=adjustment)
    tryon = TryOn([tiny.tiny_engine()], tiny.TinyMasker(), safety=lambda card: checker)
    if passes:
        assert same(tryon.run(request()).image, unchecked.run(request()).image)
    else:
        withheld(lambda: tryon.run(request()))


# ---- the page and the API --------------------------------------------------------------------------------------------


@pytest.fixture
def studio(tmp_path):
    tryon, _ = checked(True)
    folder = TempFolder(tmp_path)
    yield Studio(tryon=tryon, folder=folder, texts=Texts.read())
    folder.close()


def choose(studio: Studio) -> None:
    for slot, picture in (("person", tiny.person()), ("garment", tiny.garment())):
        path = studio.folder.path / f"up-{slot}.png"
        path.write_bytes(png_bytes(picture))
        studio.folder.uploads.update([str(path)])
        studio.choose("me", slot, path)


def test_the_page_says_it_where_results_appear_and_keeps_no_picture(studio):
    choose(studio)
    before = sorted(studio.folder.path.rglob("*"))
    error = withheld(lambda: list(studio.dress("me", Choices(part="upper", steps=2))))
    trouble = studio.trouble(error)
    assert (trouble.sentence, trouble.place, trouble.stopped) == (str(error), "run", False)
    assert sorted(studio.folder.path.rglob("*")) == before
    with pytest.raises(InputError):
        studio.download("me", 1)


def test_the_api_answers_with_the_sentence_and_no_file(studio):
    before = sorted(studio.folder.path.rglob("*"))
    pictures = {"person": png_bytes(tiny.person()), "garment": png_bytes(tiny.garment())}
    withheld(lambda: list(studio.answer_tryon(TryOnRequest(**pictures, steps=2))))
    assert sorted(studio.folder.path.rglob("*")) == before


def test_the_page_has_words_for_the_check():
    assert "Checking the picture" in fragments.working(Texts.read(), Moment(stage="check", step=2, steps=2))
    assert "Checking the photos" in fragments.working(Texts.read(), Moment(stage="screen"))
