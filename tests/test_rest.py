"""The REST door: pictures out in the shape that was asked for, and problems with the status and code they deserve."""

import base64
import io
import json
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from tests import hostile
from tests.rest_client import door, pictures, png, problem, wait_until
from tests.tiny import garment, person, tiny_tryon
from tests.web_fakes import FakeTryOn, person_picture


@pytest.fixture(scope="module")
def tryon():
    return FakeTryOn()


@pytest.fixture(scope="module")
def rest(tryon):
    with door(tryon, max_upload_mb=2, queue_size=3) as rest:
        yield rest


def pixels(data):
    with Image.open(io.BytesIO(data)) as image:
        assert image.format == "PNG"
        return np.asarray(image)


def test_a_picture_with_exact_pixels_and_everything_about_it(rest):
    answer = rest.tryon(seed=7)
    assert answer.status_code == 200 and answer.headers["content-type"] == "image/png"
    found = pixels(answer.content)
    same = (found == np.asarray(person_picture())).all(-1)
    assert same[:100].all() and same[200:].all() and not same[110:190, 100:200].any()
    info = json.loads(answer.headers["x-result-info"])
    assert info["seed"] == 7 and info["engine"] == "plain@1" and "seconds" in info
    assert answer.headers["cache-control"] == "no-store"


def test_every_option_reaches_the_try_on(rest, tryon):
    mask = np.zeros((400, 300), np.uint8)
    mask[300:350, 50:100] = 255
    answer = rest.tryon(files=pictures(mask=png(Image.fromarray(mask))), part="lower", steps=11, guidance="0.5", seed=3,
                        show="input & result", engine="careful", size="288x384")
    assert answer.status_code == 200
    info = json.loads(answer.headers["x-result-info"])
    assert [info[name] for name in ("part", "steps", "guidance", "seed", "engine", "size")] == [
        "lower", 11, 0.5, 3, "careful@1", [288, 384]]
    assert pixels(answer.content).shape == (400, 3 * 308 - 8, 3)
    assert tryon.requests[-1].variations == 1


def test_empty_fields_count_as_left_out(rest):
    answer = rest.tryon(files=pictures(mask=b""), part="", steps="", seed=" ", engine="")
    assert json.loads(answer.headers["x-result-info"])["steps"] == 4


def test_json_carries_the_picture_itself_or_its_address(rest):
    inside = rest.tryon(accept="application/json").json()
    kind, _, data = inside["pictures"][0].partition(",")
    assert kind == "data:image/png;base64" and inside["seed"] == 42
    linked = rest.tryon(accept="application/json", pictures="url").json()
    assert linked["pictures"][0].startswith("/v1/jobs/")
    fetched = rest.get(linked["pictures"][0])
    assert np.array_equal(pixels(fetched.content), pixels(base64.b64decode(data)))


def test_variations_come_all_in_json_and_the_first_as_png():
    files = {"person": ("p.png", png(person()), "image/png"), "garment": ("g.png", png(garment()), "image/png")}
    with door(tiny_tryon()) as rest:
        told = rest.tryon(files=files, variations=3, accept="application/json").json()
        assert told["seeds"] == [42, 43, 44] and len(set(told["pictures"])) == 3
        first = rest.tryon(files=files, variations=3)
        alone = rest.tryon(files=files)
        assert np.array_equal(pixels(first.content), pixels(alone.content))
        linked = rest.tryon(files=files, variations=2, accept="application/json", pictures="url").json()
        urls = linked["pictures"]
        second = pixels(rest.get(urls[1]).content)
        assert len(urls) == 2 and not np.array_equal(second, pixels(rest.get(urls[0]).content))
        assert problem(rest.get(urls[1].replace("picture=2", "picture=3")), 422)["code"] == "option.picture"


@pytest.mark.parametrize(("accept", "kind"), [
    ("", "image/png"), ("*/*", "image/png"), ("image/*", "image/png"), ("text/html, */*;q=0.1", "image/png"),
    ("application/json", "application/json"), ("application/json, image/png;q=0.5", "application/json"),
    ("image/png;q=0.2, application/*", "application/json"), ("application/json;q=nonsense, image/png", "image/png"),
])
def test_accept_says_which_kind_comes_back(rest, accept, kind):
    assert rest.tryon(accept=accept).headers["content-type"] == kind


@pytest.mark.parametrize("accept", ["text/html", "image/webp", "image/png;q=0", "application/xml, image/jpeg"])
def test_what_cannot_be_accepted_is_not_even_begun(rest, tryon, accept):
    before = len(tryon.requests)
    assert problem(rest.tryon(accept=accept), 406)["code"] == "accept.type"
    assert len(tryon.requests) == before


def test_a_mask(rest):
    photo = {"person": pictures()["person"]}
    answer = rest.tryon("/v1/mask", files=photo, part="upper")
    found = pixels(answer.content)
    assert found.shape == (400, 300) and set(np.unique(found)) == {0, 255}
    told = rest.tryon("/v1/mask", files=photo, accept="application/json", engine="careful").json()
    assert told["part"] == "upper" and told["notes"] == [] and len(told["pictures"]) == 1


def test_engines(rest):
    found = rest.get("/v1/engines").json()["engines"]
    assert [each["name"] for each in found] == ["plain", "careful"] and [each["default"] for each in found] == [True,
                                                                                                                False]
    assert found[1]["steps"] == {"default": 20, "minimum": 10, "maximum": 100} and found[1]["commercial"] is False
    assert found[0]["sizes"] == ["288x384"] and found[0]["parts"] == ["upper", "lower", "overall"]


@pytest.mark.parametrize(("options", "status", "code", "words"), [
    ({"steps": 0}, 422, "option.steps", "from 1 to 50"),
    ({"steps": "many"}, 422, "option.steps", "'many'"),
    ({"steps": "1.5"}, 422, "option.steps", "1.5"),
    ({"steps": "9" * 100}, 422, "option.steps", "9999"),
    ({"guidance": "nan"}, 422, "option.guidance", "from 0 to 7.5"),
    ({"guidance": 8}, 422, "option.guidance", "from 0 to 7.5"),
    ({"seed": -2}, 422, "option.seed", "2147483647"),
    ({"part": "hat"}, 422, "option.part", '"lower"'),
    ({"show": "all"}, 422, "option.show", "input & result"),
    ({"engine": "<b>x</b>"}, 422, "option.engine", '"plain"'),
    ({"size": "1x1"}, 422, "option.size", "288x384"),
    ({"variations": 9}, 422, "option.variations", "from 1 to 4"),
    ({"pictures": "carrier pigeon"}, 422, "option.pictures", '"url"'),
    ({"part": "x" * 300}, 422, "option.part", "longer than"),
    ({"stpes": 3}, 422, "form.unknown", "'stpes'"),
])
def test_a_wrong_option_is_named_with_what_is_accepted(rest, tryon, options, status, code, words):
    before = len(tryon.requests)
    said = problem(rest.tryon(**options), status)
    assert said["code"] == code and words in said["message"] and len(said["message"]) < 400
    assert len(tryon.requests) == before and rest.service.gate.running == 0


@pytest.mark.parametrize(("files", "status", "code"), [
    ({"garment": pictures()["garment"]}, 422, "image.missing"),
    ({"person": pictures()["person"]}, 422, "image.missing"),
    ({"person": ("p", b""), "garment": pictures()["garment"]}, 422, "image.missing"),
    (pictures(person=b"This is no picture"), 415, "image.format"),
    (pictures(person=hostile.whole("PNG", 15_000, 15_000)), 413, "image.too_large"),
    (pictures(garment=hostile.good("JPEG")[:-900]), 422, "image.broken"),
    (pictures(person=png(Image.new("RGB", (300, 400)))), 422, "person.not_found"),
    (pictures(person=bytes(2 * 2**20 + 1)), 413, "form.too_large"),
    (pictures(mask=png(Image.new("L", (300, 400)))), 422, "mask.empty"),
])
def test_pictures_that_cannot_be_used(rest, files, status, code):
    assert problem(rest.tryon(files=files), status)["code"] == code


def multipart(*parts, end=b"--x--\r\n"):
    return b"".join(b"--x\r\n" + part + b"\r\n" for part in parts) + end


def text(name, value, extra=b""):
    return b'Content-Disposition: form-data; name="%s"\r\n%s\r\n%s' % (name, extra, value)


@pytest.mark.parametrize(("body", "kind", "status", "code"), [
    (b"{}", "application/json", 415, "form.type"),
    (b"", "", 415, "form.type"),
    (b"a=b", "application/x-www-form-urlencoded", 415, "form.type"),
    (multipart(text(b"part", b"upper")), "multipart/form-data", 415, "form.type"),
    (b"", "multipart/form-data; boundary=x", 400, "form.broken"),
    (b"nonsense", "multipart/form-data; boundary=x", 400, "form.broken"),
    (multipart(text(b"part", b"upper"), end=b""), "multipart/form-data; boundary=x", 400, "form.broken"),
    (multipart(text(b"part", b"upper")), "multipart/form-data; boundary=y", 400, "form.broken"),
    (multipart(text(b"part", b"upper")), "multipart/form-data; boundary=" + "x" * 300, 400, "form.broken"),
    (multipart(text(b"part", b"upper", b"X: " + b"y" * 5000 + b"\r\n")), "multipart/form-data; boundary=x", 400,
     "form.broken"),
    (multipart(text(b"part", b"upper"), text(b"part", b"lower")), "multipart/form-data; boundary=x", 422,
     "form.repeated"),
    (multipart(b"Content-Type: text/plain\r\n\r\nno name"), "multipart/form-data; boundary=x", 422, "form.unknown"),
    (multipart(text(b"person", b"x"), text(b"garment", b"x"), text(b"part", b"\xff\xfe")),
     "multipart/form-data; boundary=x", 422, "option.part"),
    (multipart(text(b"\xff", b"x")), "multipart/form-data; boundary=x", 422, "form.unknown"),
    (multipart(text(b"../../etc/passwd", b"x")), "multipart/form-data; boundary=x", 422, "form.unknown"),
])
def test_bodies_that_are_no_form_of_ours(rest, body, kind, status, code):
    for path in ("/v1/tryon", "/v1/jobs"):
        answer = rest.client.post(path, content=body, headers={"Content-Type": kind})
        assert problem(answer, status)["code"] == code


def test_every_hostile_file_is_answered_in_words(rest):
    answered = {name: (rest.tryon(files=pictures(person=data)), code)
                for name, (data, code) in hostile.table().items() if 0 < len(data) < 2 * 2**20}
    for name, (answer, code) in answered.items():
        assert answer.status_code in (413, 415, 422) and answer.json()["code"] == code, name
    assert len(answered) > 40


def test_paths_and_methods_that_do_not_exist(rest):
    assert problem(rest.get("/v1/nothing"), 404)["code"] == "http.404"
    answer = rest.get("/v1/tryon")
    assert problem(answer, 405)["code"] == "http.405" and "POST" in answer.headers["allow"]
    assert problem(rest.client.put("/v1/jobs/x"), 405)


def test_a_fault_of_ours_is_told_by_its_number_only(rest, tryon, monkeypatch, caplog):
    def breaks(*_):
        raise RuntimeError("secret: /srv/models/key")

    monkeypatch.setattr(tryon, "_run", breaks)
    said = problem(rest.tryon(), 500)
    assert "secret" not in json.dumps(said) and said["code"] == "server.failed"
    number = said["message"].split("number ")[1][:8]
    assert f"error {number}" in caplog.text and "secret" in caplog.text


def test_one_at_a_time_and_a_full_queue_says_so(rest, tryon):
    tryon.gate.clear()
    tryon.started.clear()
    with ThreadPoolExecutor(8) as pool:
        sent = [pool.submit(rest.tryon, seed=seed, steps=1) for seed in range(4)]
        wait_until(lambda: rest.service.gate.waiting == 3)
        answer = rest.tryon()
        said = problem(answer, 503)
        assert said["code"] == "queue.full" and said["retry_after"] == int(answer.headers["retry-after"])
        assert "3 are waiting" in said["message"]
        tryon.gate.set()
        seeds = [json.loads(each.result().headers["x-result-info"])["seed"] for each in sent]
    assert seeds == [0, 1, 2, 3]
    assert rest.service.gate.running == 0 and rest.tryon().status_code == 200


def test_the_figures_count_what_was_asked_and_refused(rest, tryon):
    def value(line):
        rows = rest.get("/metrics").text.splitlines()
        return sum(float(row.rpartition(" ")[2]) for row in rows if row.startswith(line))

    done = 'catvton_requests_total{outcome="done",route="/v1/tryon"}'
    refused = 'catvton_refusals_total{code="option.seed"}'
    before = value(done), value(refused), value('catvton_stage_seconds_count{stage="generate"}')
    rest.tryon()
    rest.tryon(seed="x")
    assert (value(done), value(refused), value('catvton_stage_seconds_count{stage="generate"}')) == (
        before[0] + 1, before[1] + 1, before[2] + 1)
    tryon.gate.clear()
    tryon.started.clear()
    waiting = [threading.Thread(target=rest.tryon) for _ in range(2)]
    for thread in waiting:
        thread.start()
    wait_until(lambda: rest.service.gate.waiting)
    assert value("catvton_queue_length") == 1 and value("catvton_jobs_in_flight") == 1
    tryon.gate.set()
    for thread in waiting:
        thread.join()
    assert value('catvton_http_requests_total{method="POST",route="/v1/tryon",status="422"}') > 0
    assert value("catvton_gpu_memory_bytes") == 0


def test_the_page_about_the_door_asks_nobody_else(rest):
    page = rest.get("/v1/docs")
    assert page.status_code == 200 and "<script" not in page.text
    assert "//" not in page.text.replace("http://localhost", "")
    assert "default-src 'none'" in page.headers["content-security-policy"]
    for words in ("POST /v1/tryon", "GET /v1/jobs/{id}", "integer 1 to 100", "problem+json", "curl"):
        assert words in page.text


def test_the_schema_says_what_is_there(rest):
    schema = rest.get("/v1/openapi.json").json()
    assert schema["openapi"] == "3.1.0" and schema["servers"] == [{"url": "/v1"}]
    fields = schema["paths"]["/tryon"]["post"]["requestBody"]["content"]["multipart/form-data"]["schema"]["properties"]
    assert fields["engine"]["enum"] == ["plain", "careful"] and fields["steps"]["maximum"] == 100
    operations = [operation for item in schema["paths"].values() for name, operation in item.items()
                  if name != "parameters"]
    assert len({operation["operationId"] for operation in operations}) == len(operations) == 7
    references = {part for part in json.dumps(schema).split('"') if part.startswith("#/")}
    for reference in references:
        node = schema
        for step in reference.removeprefix("#/").split("/"):
            node = node[step]
