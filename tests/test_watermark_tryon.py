"""What becomes of a finished picture in a run: its marks, its record, its statement; without them nothing changes."""

import base64
import io
import logging
from dataclasses import dataclass, field

import numpy as np
import pytest
from PIL import Image

from catvton.engines import StepReport
from catvton.errors import Cancelled, InputError, ResultWithheld
from catvton.images import png_bytes
from catvton.records import Job
from catvton.result import SHOWS, TryOnRequest
from catvton.safety import Verdict
from catvton.safety.statement import Statement, read_statement
from catvton.safety.watermark import TiledWatermark
from catvton.service.readiness import warm_up
from catvton.settings import Settings
from catvton.tryon import TryOn
from catvton.web.desk import Desk
from catvton.web.looks import looks_of
from catvton.web.shelf import Kept
from catvton.web.tempfolder import TempFolder
from catvton.web.texts import Texts
from tests import tiny
from tests.rest_client import door, wait_until
from tests.watermark_attacks import as_file

SIZE = (300, 400)  # large enough for the mark


@dataclass
class Notebook:
    """A recorder that keeps what it is told."""

    jobs: list[Job] = field(default_factory=list)
    pictures: list[list[Image.Image]] = field(default_factory=list)
    closed: int = 0

    def record(self, job, pictures=()):
        self.jobs.append(job)
        self.pictures.append(list(pictures))

    def close(self):
        self.closed += 1


def dresser(**options) -> TryOn:
    return TryOn([tiny.tiny_engine()], tiny.TinyMasker(), **options)


def request(**changes) -> TryOnRequest:
    return TryOnRequest(**({"person": tiny.person(SIZE), "garment": tiny.garment(), "steps": 2} | changes))


def pixels(image: Image.Image) -> np.ndarray:
    return np.asarray(image, np.int16)


@pytest.fixture(scope="module")
def plain():
    return dresser().run(request(variations=2))


# ---- the mark --------------------------------------------------------------------------------------------------------


def test_every_variation_carries_the_jobs_number(plain):
    result = dresser(watermark=TiledWatermark()).run(request(variations=2))
    for before, after in zip(plain.images, result.images, strict=True):
        assert TiledWatermark().read(as_file(after, "JPEG", quality=75)) == int(result.job_id, 16)
        assert 0 < np.abs(pixels(before) - pixels(after)).max() <= 6
    assert len(result.job_id) == 12 and result.image is result.images[0]
    assert (result.seeds, result.flags, result.notes) == (plain.seeds, plain.flags, plain.notes)
    assert list(result.seconds) == [*plain.seconds, "record"]


def test_without_a_mark_nothing_outside_the_mask_moves(plain):
    outside = plain.mask == 0
    assert np.array_equal(pixels(plain.image)[outside], pixels(plain.person)[outside])
    again = dresser(recorder=Notebook()).run(request(variations=2))
    assert [image.tobytes() for image in again.images] == [image.tobytes() for image in plain.images]
    assert again.job_id != plain.job_id
    assert "record" not in plain.seconds


def test_pictures_shown_on_the_way_are_marked_too():
    shown: list[Image.Image] = []

    def look(report: StepReport) -> None:
        if report.stage == "generate" and report.step:
            shown.append(report.preview())

    result = dresser(watermark=TiledWatermark()).run(request(), on_step=look)
    assert len(shown) == 2
    assert {TiledWatermark().read(picture) for picture in shown} == {int(result.job_id, 16)}


def test_the_photo_shown_on_the_way_is_not(plain):
    first: list[Image.Image] = []
    dresser(watermark=TiledWatermark()).run(request(), on_step=lambda report: first.append(report.preview()))
    assert first[0].tobytes() == plain.person.tobytes()


def test_too_small_a_picture_is_handed_out_and_flagged(caplog):
    with caplog.at_level(logging.WARNING, logger="catvton"):
        result = dresser(watermark=TiledWatermark()).run(request(person=tiny.person(), variations=2))
    assert result.image.tobytes() == dresser().run(request(person=tiny.person())).image.tobytes()
    assert result.flags == ("unmarked:2",)
    assert f"job {result.job_id}: 2 of 2 pictures cannot carry the watermark" in caplog.text


def test_the_label_is_over_everything(plain):
    result = dresser(watermark=TiledWatermark(), label=True).run(request())
    marked = dresser(watermark=TiledWatermark()).run(request())
    changed = np.abs(pixels(result.image) - pixels(plain.image)).max(axis=2) > 6
    rows, columns = np.nonzero(changed)
    assert rows.min() > 370 and columns.min() > 260
    assert TiledWatermark().read(result.image) == int(result.job_id, 16)
    assert result.image.size == marked.image.size


def test_the_statement_names_engine_and_job(plain):
    assert plain.statement == Statement(engine="tiny@0", job_id=plain.job_id)
    assert "statement" not in plain.info()


def test_the_signer_signs_what_is_written():
    result = dresser(signer=lambda data, media_type: data + media_type.encode()).run(request())
    assert png_bytes(result.image, statement=result.statement).endswith(b"image/png")


# ---- handed out ------------------------------------------------------------------------------------------------------


def told_by(data: bytes) -> set[str]:
    """The jobs a picture's pixels and its file name: one, if all is well."""
    number = TiledWatermark().read(Image.open(io.BytesIO(data)))
    return {"no mark" if number is None else f"{number:012x}", read_statement(data).job_id}


def files() -> dict[str, tuple[str, bytes]]:
    return {"person": ("p.png", png_bytes(tiny.person(SIZE))), "garment": ("g.png", png_bytes(tiny.garment()))}


def test_what_the_rest_door_hands_out():
    with door(dresser(watermark=TiledWatermark())) as rest:
        picture = rest.client.post("/v1/tryon", files=files(), headers={"Accept": "image/png"})
        assert told_by(picture.content) == {read_statement(picture.content).job_id}
        told = rest.client.post("/v1/tryon", files=files(), data={"variations": "2", "show": "input & result"},
                                headers={"Accept": "application/json"}).json()  # fmt: skip
        pictures = [base64.b64decode(each.partition(",")[2]) for each in told["pictures"]]
        assert [told_by(each) for each in pictures] == [{told["job_id"]}] * 2
        job = rest.client.post("/v1/jobs", files=files()).json()
        wait_until(lambda: rest.get(job["url"]).json()["state"] == "done")
        kept = rest.get(f"{job['url']}/result", headers={"Accept": "image/png"}).content
        assert told_by(kept) == {read_statement(kept).job_id}


@pytest.mark.parametrize("show", SHOWS)
def test_what_gradios_api_hands_out(tmp_path, show):
    desk = Desk(tryon=dresser(watermark=TiledWatermark()), folder=TempFolder(tmp_path), texts=Texts.read())
    path, info = list(desk.answer_tryon(request(show=show)))[-1]
    assert told_by(path.read_bytes()) == {info["job_id"]}
    desk.folder.close()


def test_what_the_page_hands_out():
    result = dresser(watermark=TiledWatermark(), signer=lambda data, media_type: data + b"signed").run(request())
    (look,) = looks_of(result, person=Kept(data=png_bytes(result.person), size=SIZE), garments=(), part="upper")
    assert told_by(look.file()) == {result.job_id} and look.file().endswith(b"signed")
    assert TiledWatermark().read(look.comparison("input & result")) == int(result.job_id, 16)


def test_an_outfit_tells_of_its_last_garment():
    tryon = dresser(watermark=TiledWatermark())
    first = tryon.run(request())
    second = tryon.run(request(person=first.image, garment=tiny.garment("navy")))
    assert TiledWatermark().read(second.image) == int(second.job_id, 16) != int(first.job_id, 16)


# ---- the record ------------------------------------------------------------------------------------------------------


def test_a_job_is_written_down_as_it_was():
    notebook = Notebook()
    result = dresser(recorder=notebook).run(request(account="ann", seed=7, variations=2, guidance=1.5))
    (job,) = notebook.jobs
    assert (job.id, job.account, job.engine, job.outcome) == (result.job_id, "ann", "tiny@0", "done")
    assert (job.part, job.steps, job.guidance, job.seed, job.size) == ("upper", 2, 1.5, 7, tiny.SIZE)
    assert (job.pictures, job.flags) == (2, ())
    assert set(job.seconds) == {"open", "mask", "place", "generate", "paste"}
    assert [picture.tobytes() for picture in notebook.pictures[0]] == [image.tobytes() for image in result.images]
    assert job.time.tzinfo is not None


class Flags:
    """A checker with its answers ready."""

    def __init__(self, *flags: bool) -> None:
        self.flags = flags

    def check(self, images):
        return [Verdict(flagged=flag, scores={}) for flag in self.flags]


def test_withheld_pictures_are_counted_and_never_kept():
    notebook = Notebook()
    dresser(recorder=notebook, safety=lambda card: Flags(True, False)).run(request(variations=2))
    with pytest.raises(ResultWithheld):
        dresser(recorder=notebook, safety=lambda card: Flags(True)).run(request())
    some, none = notebook.jobs
    assert (some.outcome, some.pictures, some.flags) == ("done", 1, ("withheld:1",))
    assert (none.outcome, none.pictures, none.engine) == ("refused result.withheld", 0, "tiny@0")
    assert [len(pictures) for pictures in notebook.pictures] == [1, 0]


@pytest.mark.parametrize(("changes", "code", "engine"), [
    ({"person": b"no picture"}, "image.kind", "tiny@0"),
    ({"part": "hat"}, "option.part", None),
    ({"person": Image.new("RGB", SIZE, "white")}, "person.not_found", "tiny@0"),
])  # fmt: skip
def test_refusals_are_written_down_by_their_code(changes, code, engine):
    notebook = Notebook()
    with pytest.raises(InputError) as caught:
        dresser(recorder=notebook).run(request(**changes, account="bob"))
    (job,) = notebook.jobs
    assert caught.value.code.startswith(code.partition(".")[0])
    assert (job.outcome, job.engine, job.account) == (f"refused {caught.value.code}", engine, "bob")


def test_faults_and_cancelled_runs_are_told_apart(monkeypatch):
    notebook = Notebook()
    tryon = dresser(recorder=notebook)

    def stop(report):
        raise Cancelled("The run was stopped.")

    with pytest.raises(Cancelled):
        tryon.run(request(), on_step=stop)
    monkeypatch.setattr("catvton.tryon.paste_back", lambda *args, **options: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        tryon.run(request())
    assert [job.outcome for job in notebook.jobs] == ["stopped", "failed"]
    assert [set(job.seconds) for job in notebook.jobs] == [{"open"}, {"open", "mask", "place", "generate"}]


def test_nothing_of_a_file_reaches_the_record(tmp_path):
    notebook = Notebook()
    path = tmp_path / "Ann Example at home.png"
    tiny.person(SIZE).save(path)
    dresser(recorder=notebook).run(request(person=path))
    with pytest.raises(InputError):
        dresser(recorder=notebook).run(request(person=tmp_path / "Ann's other photo.png"))
    assert "Ann" not in repr(notebook.jobs) and str(tmp_path) not in repr(notebook.jobs)


def test_warming_up_is_no_persons_job():
    notebook = Notebook()
    with door(dresser(recorder=notebook)) as rest:
        warm_up(rest.service.tryon, rest.service.readiness)
        assert rest.service.readiness.ready and notebook.jobs == []
        assert rest.client.post("/v1/tryon", files=files()).status_code == 200
    assert [job.account for job in notebook.jobs] == [None]


def test_closing_closes_the_recorder():
    notebook = Notebook()
    dresser(recorder=notebook).close()
    dresser().close()
    assert notebook.closed == 1


# ---- by the settings -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("watermark", "service", "marked", "recorded"), [
    ("auto", True, True, True), ("auto", False, False, False),
    ("on", True, True, True), ("on", False, True, True),
    ("off", True, False, True), ("off", False, False, False),
])  # fmt: skip
def test_who_marks_and_who_records(tmp_path, watermark, service, marked, recorded):
    from catvton.startup import parts

    made = parts(Settings(watermark=watermark, data_dir=tmp_path, device="cpu"), service=service)
    assert (made["watermark"] is not None, made["recorder"] is not None) == (marked, recorded)
    assert (made["label"], made["signer"]) == (False, None)
    if recorded:
        made["recorder"].close()


def test_no_records_where_none_are_wanted(tmp_path):
    from catvton.startup import parts

    made = parts(Settings(records_days=0, data_dir=tmp_path, device="cpu"), service=True)
    assert made["recorder"] is None
    assert list(tmp_path.iterdir()) == []


def test_the_settings_reach_the_try_on(tmp_path):
    settings = Settings(watermark="on", label=True, data_dir=tmp_path, device="cpu")
    tryon = TryOn.from_settings(settings, service=False)
    assert tryon._marker.label and isinstance(tryon._marker.watermark, TiledWatermark)
    tryon.close()


def test_a_file_keeps_what_it_needs_to_be_traced():
    result = dresser(watermark=TiledWatermark()).run(request())
    data = png_bytes(result.show("input & result"), statement=result.statement)
    assert TiledWatermark().read(Image.open(io.BytesIO(data))) == int(read_statement(data).job_id, 16)
