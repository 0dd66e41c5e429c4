"""The commands that look a picture up and that keep the records in order, as an operator meets them."""

import io
import json
import os
import shutil
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from PIL import Image

import catvton.tryon
from catvton import cli
from catvton.images import save_picture
from catvton.records import Job
from catvton.records.database import url_engine
from catvton.records.history import History
from catvton.records.keeper import Keeper
from catvton.records.store import Records
from catvton.result import TryOnRequest
from catvton.safety.statement import Statement
from catvton.safety.watermark import TiledWatermark
from catvton.settings import Settings
from catvton.tryon import TryOn
from tests import tiny

SIZE = (300, 400)


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """An empty working directory, and a data folder of its own."""
    monkeypatch.setenv("CATVTON_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def made(folder) -> Job:
    """A recorded, marked result in r.png, asked for by ann."""
    tryon = TryOn([tiny.tiny_engine()], tiny.TinyMasker(), watermark=TiledWatermark(),
                  recorder=Keeper.from_settings(Settings()))  # fmt: skip
    result = tryon.run(TryOnRequest(person=tiny.person(SIZE), garment=tiny.garment(), steps=2, seed=7, account="ann"))
    tryon.close()
    save_picture(result.image, "r.png", statement=result.statement)
    (job,) = records().list()
    return job


def records() -> Records:
    return Records.of(Settings())


def command(capsys, *arguments: str) -> str:
    assert cli.main([*arguments]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    return out


def refused(capsys, *arguments: str, code: int = 2) -> str:
    assert cli.main([*arguments]) == code
    out, err = capsys.readouterr()
    assert out == "" and "Traceback" not in err
    return err


# ---- trace -----------------------------------------------------------------------------------------------------------


def test_a_picture_leads_to_its_job(capsys, made):
    told = command(capsys, "trace", "r.png").splitlines()
    assert told[0] == f"job:      {made.id} (by its watermark and its file)"
    assert told[1] == f"time:     {made.time:%Y-%m-%d %H:%M:%S} UTC"
    assert told[2:5] == ["account:  ann", "engine:   tiny@0", "settings: upper, 2 steps, guidance 2.5, seed 7, 48x64"]
    assert told[5].startswith("outcome:  done, 1 picture, ") and len(told) == 6


def test_as_json(capsys, made):
    told = json.loads(command(capsys, "trace", "r.png", "--json"))
    assert (told["job_id"], told["watermark"], told["statement"]) == (made.id,) * 3
    assert (told["engine"], told["notes"]) == ("tiny@0", [])
    assert told["record"] == json.loads(json.dumps(made.info()))


def test_what_is_left_of_a_picture_is_enough(capsys, made):
    part = Image.open("r.png").crop((11, 23, 290, 390))
    part.save("part.jpg", quality=80)
    told = command(capsys, "trace", "part.jpg")
    assert told.startswith(f"job:      {made.id} (by its watermark)\n") and "account:  ann" in told


def test_a_file_alone_is_enough(capsys, made):
    save_picture(tiny.person(SIZE), "unmarked.webp", statement=Statement(engine="tiny@0", job_id=made.id))
    assert f"job:      {made.id} (by its file)\n" in command(capsys, "trace", "unmarked.webp")


def test_pixels_are_believed_before_files(capsys, made):
    save_picture(Image.open("r.png"), "forged.png", statement=Statement(engine="best@9", job_id="ffffffffffff"))
    told = command(capsys, "trace", "forged.png")
    assert told.startswith(f"job:      {made.id} ")
    assert f"the pixels are of job {made.id}" in told and "best@9" not in told


def test_when_the_record_is_gone_the_rest_is_told(capsys, made):
    records().forget("ann")
    told = command(capsys, "trace", "r.png")
    assert told.splitlines() == [
        f"job:      {made.id} (by its watermark and its file)",
        "engine:   tiny@0, as the file says",
        "note:     There is no record of this job: it was purged or forgotten, or is kept elsewhere.",
    ]
    told = json.loads(command(capsys, "trace", "r.png", "--json"))
    assert told["record"] is None and told["engine"] == "tiny@0" and len(told["notes"]) == 1


def test_when_the_database_is_away_the_rest_is_told(capsys, made, monkeypatch):
    monkeypatch.setenv("CATVTON_DATABASE_URL", "postgresql://ann:secret@127.0.0.1:1/shop")
    told = command(capsys, "trace", "r.png")
    assert f"job:      {made.id} " in told and "cannot be used just now" in told
    assert "secret" not in told


def test_pictures_that_lead_nowhere(capsys, folder):
    tiny.person(SIZE).save("stranger.png")
    (folder / "text.png").write_text("no picture")
    assert "No watermark was found" in refused(capsys, "trace", "stranger.png")
    assert "picture" in refused(capsys, "trace", "text.png")
    assert "nothing.png" in refused(capsys, "trace", "nothing.png")
    assert not (folder / "data").exists()  # nobody had to be asked


def test_a_refused_job_that_was_recorded_is_told_too(capsys):
    records().add(Job(id="00c0ffee1234", time=datetime(2026, 1, 2, tzinfo=UTC), outcome="refused option.part"))
    save_picture(tiny.person(SIZE), "p.png", statement=Statement(engine="", job_id="00c0ffee1234"))
    told = command(capsys, "trace", "p.png")
    assert "account:  nobody signed in" in told and "outcome:  refused option.part, 0 pictures, 0.0 s" in told


# ---- records ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def kept(folder) -> list[Job]:
    """Four jobs: ann's of today and of 40 days ago, bob's, and a refusal; each with a kept result but the last."""
    now = datetime.now(UTC)
    first = Job(id="000000000001", time=now, account="ann", engine="compact@1", part="upper", steps=1, guidance=1.0,
                seed=1, size=(288, 384), pictures=1)  # fmt: skip
    jobs = [
        first,
        replace(first, id="000000000002", time=now - timedelta(days=40), account="ann"),
        replace(first, id="000000000003", time=now - timedelta(days=2), account="bob"),
        Job(id="000000000004", time=now - timedelta(days=3), outcome="refused image.kind"),
    ]
    store, history = records(), History(folder / "data" / "history", hours=1)
    for job in jobs:
        store.add(job)
        if job.pictures:
            history.keep(job, [Image.new("RGB", (40, 40))])
            old = job.time.timestamp()
            os.utime(folder / "data" / "history" / f"{job.id}-1.png", (old, old))
    return jobs


def ids() -> list[int]:
    return [int(job.id, 16) for job in records().list()]


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "data" / "history").iterdir())


def test_list(capsys, kept):
    told = command(capsys, "records", "list").splitlines()
    assert [line.partition(" ")[0] for line in told] == [*(f"00000000000{n}" for n in (1, 3, 4, 2)), "in"]
    assert told[0].startswith(f"000000000001  {kept[0].time:%Y-%m-%d %H:%M}  ann ")
    assert told[0].split()[-3:] == ["compact@1", "upper", "done"]
    assert told[2].endswith("refused image.kind")
    assert told[-1] == "in all:   3 done, 1 refused image.kind"
    assert len(command(capsys, "records", "list", "--account", "ann").splitlines()) == 3
    (line,) = command(capsys, "records", "list", "--limit", "1", "--json").splitlines()
    assert json.loads(line) == json.loads(json.dumps(kept[0].info()))


def test_list_of_nothing(capsys):
    assert command(capsys, "records", "list") == "in all:   nothing is recorded\n"


@pytest.mark.parametrize(("older_than", "left", "gone"), [
    ("30d", [1, 3, 4], "1 records, 1 kept results"), ("60h", [1, 3], "2 records, 1 kept results"),
    ("4w", [1, 3, 4], "1 records, 1 kept results"), ("0m", [], "4 records, 3 kept results"),
    ("300d", [1, 3, 4, 2], "0 records, 0 kept results"),
])  # fmt: skip
def test_purge(capsys, folder, kept, older_than, left, gone):
    time.sleep(0.01)  # a file written now is not older than now
    assert command(capsys, "records", "purge", "--older-than", older_than) == f"deleted:  {gone}\n"
    assert ids() == left
    assert files(folder) == sorted(f"{number:012x}-1.png" for number in left if number != 4)


@pytest.mark.parametrize("age", ["30", "d", "-1d", "1y", "1.5d", "999999w", ""])
def test_purge_takes_an_age_only(capsys, age):
    with pytest.raises(SystemExit) as ended:
        cli.main(["records", "purge", "--older-than", age])
    assert ended.value.code == 2
    assert "like 30d" in capsys.readouterr().err or age == "-1d"


def test_purge_asks_for_an_age(capsys):
    with pytest.raises(SystemExit):
        cli.main(["records", "purge"])
    assert "--older-than" in capsys.readouterr().err


def test_forget(capsys, folder, kept):
    assert command(capsys, "records", "forget", "ann") == "deleted:  2 records, 2 kept results\n"
    assert ids() == [3, 4]
    assert files(folder) == ["000000000003-1.png"]
    assert command(capsys, "records", "forget", "ann") == "deleted:  0 records, 0 kept results\n"
    assert "Name the account" in refused(capsys, "records", "forget", "")


def test_a_database_that_is_away_is_one_sentence(capsys, monkeypatch):
    monkeypatch.setenv("CATVTON_DATABASE_URL", "postgresql://ann:secret@127.0.0.1:1/shop")
    said = refused(capsys, "records", "list", code=1)
    assert "cannot be used just now" in said and "secret" not in said
    monkeypatch.setenv("CATVTON_DATABASE_URL", "nothing")
    assert "CATVTON_DATABASE_URL" in refused(capsys, "records", "list")


def test_the_data_folder_is_where_the_settings_say(folder, kept):
    assert (folder / "data" / "catvton.db").is_file()
    shutil.rmtree(folder / "data")
    assert Records(url_engine(f"sqlite:///{folder}/data/catvton.db")).list() == []


# ---- tryon --watermark -----------------------------------------------------------------------------------------------


@pytest.fixture
def app(monkeypatch):
    """The tiny engine in a try-on that is otherwise made by the settings."""
    from catvton.startup import handing_out

    def from_settings(cls, settings=None, *, service=False):
        return cls([tiny.tiny_engine()], tiny.TinyMasker(), **handing_out(settings or Settings(), service=service))

    monkeypatch.setattr(catvton.tryon.TryOn, "from_settings", classmethod(from_settings))
    tiny.person(SIZE).save("p.png")
    tiny.garment().save("g.png")


def dress(capsys, *arguments: str) -> dict:
    common = ["tryon", "--person", "p.png", "--garment", "g.png", "--steps", "1", "--json", "--quiet"]
    return json.loads(command(capsys, *common, *arguments))


def test_the_command_line_marks_and_records_when_asked(app, capsys):
    told = dress(capsys, "--out", "o.png", "--watermark", "--seed", "5")
    traced = json.loads(command(capsys, "trace", "o.png", "--json"))
    assert traced["watermark"] == traced["statement"] == traced["record"]["job_id"] == told["job_id"]
    assert traced["record"]["seed"] == 5 and "record" in told["seconds"]


def test_and_otherwise_leaves_the_pixels_alone(app, capsys, folder):
    told = dress(capsys, "--out", "o.png")
    assert not (folder / "data").exists()
    assert "record" not in told["seconds"]
    traced = json.loads(command(capsys, "trace", "o.png", "--json"))
    assert traced["watermark"] is None and traced["statement"] == told["job_id"]


def test_the_label_by_its_setting(app, capsys, monkeypatch):
    dress(capsys, "--out", "o.png")
    monkeypatch.setenv("CATVTON_LABEL", "on")
    dress(capsys, "--out", "l.png")
    plain, labelled = Image.open("o.png"), Image.open("l.png")
    assert plain.crop((0, 0, 200, 400)).tobytes() == labelled.crop((0, 0, 200, 400)).tobytes()
    assert plain.tobytes() != labelled.tobytes()


def test_a_comparison_is_traced_like_the_result(app, capsys):
    told = dress(capsys, "--out", "o.jpg", "--watermark", "--show", "input & result")
    data = io.BytesIO(Path("o.jpg").read_bytes())
    assert Image.open(data).width > 2 * SIZE[0]
    assert told["job_id"] in command(capsys, "trace", "o.jpg")
