"""What somebody would try who means harm, at a whole server: other people's files, forged words, bodies without end."""

import json
import select
import socket
from pathlib import Path

import httpx
import pytest
from gradio_client import handle_file
from gradio_client.exceptions import AppError

from catvton.service.accounts import Accounts
from catvton.service.edge import SMALL_BODY
from catvton.settings import Settings
from tests import hostile
from tests.gradio_clients import connect, photos_in
from tests.rest_client import bearer, pictures, png, problem, wait_until
from tests.web_fakes import FakeTryOn, garment_picture, serving

MEGABYTE = 2**20


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("service")


@pytest.fixture(scope="module")
def tryon():
    return FakeTryOn()


@pytest.fixture(scope="module")
def server(tryon, folder):
    people = Accounts.of(Settings(data_dir=folder / "data"))
    for name in ("ana", "ben"):
        people.add(name, "correct horse")
    with serving(tryon, folder / "temp", examples=False, auth="password", data_dir=folder / "data",
                 max_upload_mb=1) as server:
        yield server


@pytest.fixture(scope="module")
def keys(server, folder):
    people = Accounts.of(Settings(data_dir=folder / "data"))
    return {name: people.new_key(name)[1] for name in ("ana", "ben")}


@pytest.fixture(scope="module")
def ana(server, folder):
    return connect(server.url, downloads=folder / "ana", auth=("ana", "correct horse"))


@pytest.fixture(scope="module")
def ben(server, folder):
    """Ben's browser: signed in, by hand."""
    with httpx.Client(base_url=server.url, timeout=300) as http:
        signed_in = http.post("login", data={"username": "ben", "password": "correct horse"})
        cookies = [each.partition(";")[0] for each in signed_in.headers.get_list("set-cookie")]
        yield httpx.Client(base_url=server.url, timeout=300, headers={"Cookie": "; ".join(cookies)})


# ---- files -----------------------------------------------------------------------------------------------------------


def paths_out(server, folder):
    """References to files that are no upload of the one who asks."""
    temp = server.studio.folder.path
    database = folder / "data" / "catvton.db"
    assert database.is_file()
    return [str(database), "/etc/passwd", f"{temp}/../../data/catvton.db", f"{temp}/%2e%2e/%2e%2e/data/catvton.db",
            "../data/catvton.db", "file:///etc/passwd", f"{temp}", f"{temp}/answers", "/proc/self/environ",
            "\\\\host\\share\\x.png", "//etc/passwd", "/etc/passwd\0.png", "http://169.254.169.254/latest/meta-data"]


def test_no_file_of_the_server_can_be_fetched_by_naming_it(server, folder, ben):
    assert ben.get("config").status_code == 200  # he is signed in
    for path in paths_out(server, folder):
        for url in (f"gradio_api/file={path}", f"file={path}", f"gradio_api/file/{path}", f"static/{path}",
                    f"assets/{path}", f"svelte/{path}"):
            try:
                answer = ben.get(httpx.URL(server.url).copy_with(raw_path=("/" + url).encode()))
            except (httpx.InvalidURL, httpx.LocalProtocolError):  # cannot be put into a request at all
                continue
            assert answer.status_code in (400, 403, 404, 405, 422), (url, answer.status_code)
            assert b"SQLite" not in answer.content and b"root:" not in answer.content


def called(browser, *files):
    """What gradio's plain API answers to a try-on of two files, as its client sends them."""
    data = [*files, "upper", None, 1, None, 42, "result only", None, None]
    asked = browser.post("gradio_api/call/tryon", json={"data": data})
    assert asked.status_code == 200, asked.text
    return browser.get(f"gradio_api/call/tryon/{asked.json()['event_id']}").text


def test_nor_can_it_be_handed_in_as_a_photo(server, folder, ben, tryon):
    before = len(tryon.requests)
    for path in paths_out(server, folder):
        for reference in (path, {"path": path}, {"path": path, "meta": {"_type": "gradio.FileData"}},
                          {"path": "x", "url": path, "meta": {"_type": "gradio.FileData"}}):
            answer = called(ben, reference, reference)
            assert "event: error" in answer and "SQLite" not in answer and "root:" not in answer
    assert len(tryon.requests) == before and (folder / "data" / "catvton.db").is_file()


def test_a_name_of_an_upload_goes_nowhere(server, ben):
    for name in ("../../evil.png", "/etc/evil.png", "..\\evil.png", "a\0b.png", "<img src=x onerror=alert(1)>.png",
                 ".env", "x" * 300 + ".png", "CON.png"):
        answer = ben.post("gradio_api/upload", files={"files": (name, png(garment_picture()))})
        assert answer.status_code == 200, name
        for path in answer.json():
            place = Path(path)
            assert place.is_relative_to(server.studio.folder.path) and ".." not in place.parts and "<" not in path
    server.studio.folder.sweep(now=2**40)


def test_one_visitors_upload_is_read_once_and_nobody_can_guess_where_anothers_lies(server, folder, ana, ben):
    upload = ben.post("gradio_api/upload", files={"files": ("p.png", png(garment_picture((1, 2, 3))))}).json()[0]
    asked = {"path": upload, "meta": {"_type": "gradio.FileData"}}
    ana.predict(**photos_in(folder), api_name="/tryon")
    assert len(Path(upload).parent.name) == 64  # a hash of the picture: whoever can name it has the picture already
    other = ben.post("gradio_api/upload", files={"files": ("g.png", png(garment_picture()))}).json()[0]
    assert "event: complete" in called(ben, {"path": other, "meta": {"_type": "gradio.FileData"}}, asked)
    assert ben.get(f"gradio_api/file={upload}").status_code in (403, 404)  # gone the moment it was read


def test_a_picture_that_was_made_for_one_is_not_found_by_another(server, folder, ana, ben, keys):
    with httpx.Client(base_url=server.url, headers=bearer(keys["ana"]), timeout=300) as http:
        told = http.post("v1/jobs", files=pictures()).json()
        wait_until(lambda: http.get(told["url"]).json()["state"] == "done")
        assert http.get(told["url"] + "/result").status_code == 200
        for other in (bearer(keys["ben"]), {"Authorization": bearer(keys["ben"])["Authorization"], "X-User": "ana",
                                            "X-Forwarded-User": "ana", "Cookie": "username=ana"}):
            assert problem(httpx.get(f"{server.url.rstrip('/')}{told['url']}/result", headers=other, timeout=300), 404)
    assert all(len(path.name) == 32 for path in (server.studio.folder.path / "answers").iterdir())
    assert ben.get(f"gradio_api/file={server.studio.folder.path}/answers").status_code in (403, 404)


# ---- words -----------------------------------------------------------------------------------------------------------

MARKUP = "<img src=x onerror=alert(1)>"


def test_markup_in_whatever_can_be_sent_comes_back_as_text_or_not_at_all(server, ana, ben, keys, folder):
    for options in ({"part": MARKUP}, {"engine": MARKUP}, {"show": MARKUP}, {"size": MARKUP}):
        with pytest.raises(AppError) as caught:
            ana.predict(**photos_in(folder), **options, api_name="/tryon")
        assert "<" not in str(caught.value) and "&lt;img" in str(caught.value)
    with httpx.Client(base_url=server.url, headers=bearer(keys["ana"]), timeout=300) as http:
        answers = [http.post("v1/tryon", files=pictures(), data={name: MARKUP}) for name in ("part", "engine", MARKUP)]
        answers += [http.get(f"v1/{MARKUP}"), http.get(f"v1/jobs/{MARKUP}"), http.get("v1/docs", params={"x": MARKUP}),
                    http.post("v1/tryon", content=b"x", headers={"Content-Type": f"multipart/form-data; {MARKUP}"})]
    for answer in answers:
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "html" not in answer.headers["content-type"] or MARKUP not in answer.text
    signing_in = httpx.post(server.url + "login", data={"username": MARKUP, "password": MARKUP}, timeout=300)
    assert signing_in.status_code == 400 and "html" not in signing_in.headers["content-type"]


def test_what_a_visitor_writes_into_headers_is_repeated_only_where_it_is_harmless(server):
    for said, repeated in (("abc-123.DEF_4567", True), ("<script>alert(1)</script>", False), ("x" * 65, False),
                           ("short", False)):
        answer = httpx.get(server.url + "healthz", headers={"X-Request-ID": said, "X-Forwarded-Host": "evil.example",
                                                            "X-Forwarded-Proto": "javascript"}, timeout=300)
        assert (answer.headers["x-request-id"] == said) is repeated
        assert "evil.example" not in str(answer.headers) + answer.text


# ---- bodies ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("path", "limit"), [("v1/tryon", 4 * MEGABYTE), ("v1/jobs", 4 * MEGABYTE),
                                             ("gradio_api/upload", 4 * MEGABYTE), ("gradio_api/queue/join", SMALL_BODY),
                                             ("login", SMALL_BODY), ("gradio_api/call/tryon", SMALL_BODY)])
def test_a_body_that_is_too_large_is_refused_by_what_it_says_or_where_it_gets_too_large(server, ben, keys, path, limit):
    headers = {"Content-Type": "multipart/form-data; boundary=x", "Cookie": ben.headers["cookie"]}
    headers |= bearer(keys["ben"]) if path.startswith("v1") else {}
    assert _status_after_headers(server, path, str(limit + 1), headers) == 413  # before a byte of it was sent
    status, sent = _status_of_endless(server, path, headers)
    assert status in (400, 413) and sent < limit + 20 * MEGABYTE  # what the connection itself holds comes on top


def _status_of_endless(server, path, headers):
    """(what is answered to a form that never ends, how many bytes of it had been sent by then)."""
    sent, piece = 0, bytes(MEGABYTE)
    with _connected(server, f"POST /{path}", headers | {"Transfer-Encoding": "chunked"}) as connection:
        begin = b'--x\r\nContent-Disposition: form-data; name="person"; filename="p.png"\r\n\r\n'
        connection.sendall(b"%x\r\n%s\r\n" % (len(begin), begin))
        while not select.select([connection], [], [], 0)[0] and sent < 200 * MEGABYTE:
            try:
                connection.sendall(b"%x\r\n%s\r\n" % (len(piece), piece))
            except OSError:  # it hung up on us, and its answer may be lost
                return 413, sent
            sent += len(piece)
        return int(connection.makefile("rb").readline().split()[1]), sent


def _status_after_headers(server, path, length, headers):
    """What is answered to a request whose body never comes."""
    with _connected(server, f"POST /{path}", headers | {"Content-Length": length}) as connection:
        return int(connection.makefile("rb").readline().split()[1])


def _connected(server, request, headers):
    host, port = server.url.removeprefix("http://").rstrip("/").split(":")
    lines = [f"{request} HTTP/1.1", f"Host: {host}", *(f"{name}: {value}" for name, value in headers.items())]
    connection = socket.create_connection((host, int(port)), timeout=300)
    connection.sendall("\r\n".join([*lines, "", ""]).encode())
    return connection


@pytest.mark.parametrize("length", ["-1", "abc", "1e9", "99999999999999999999999", "+5", ""])
def test_a_length_that_is_none_does_not_get_past_the_limit(server, length):
    assert _status_after_headers(server, "v1/tryon", length, {}) in (400, 401, 413)


def test_bombs_are_answered_in_words_at_both_doors(server, ana, keys, folder):
    bombs = {name: data for name, (data, code) in hostile.table().items()
             if code in ("image.too_large", "image.broken") and len(data) < MEGABYTE}
    assert {"225 million pixels, honest", "text that unpacks to 80 MB", "2 billion wide"} <= set(bombs)
    for name in ("225 million pixels, honest", "text that unpacks to 80 MB", "2 billion wide"):
        said = httpx.post(server.url + "v1/tryon", files=pictures(person=bombs[name]), headers=bearer(keys["ben"]),
                          timeout=300)
        assert said.status_code in (413, 422) and said.json()["code"] in ("image.too_large", "image.broken"), name
        path = folder / "bomb.png"
        path.write_bytes(bombs[name])
        with pytest.raises(AppError) as caught:
            ana.predict(person=handle_file(path), garment=handle_file(path), api_name="/tryon")
        assert caught.value.title == said.json()["code"]


def test_json_that_nests_without_end_is_no_fault_of_ours(ben):
    deep = b'{"data":' + b"[" * 200_000 + b"]" * 200_000 + b"}"
    for path in ("gradio_api/queue/join", "gradio_api/call/tryon", "gradio_api/call/mask"):
        answer = ben.post(path, content=deep, headers={"Content-Type": "application/json"})
        assert answer.status_code in (400, 422), path


def test_the_server_still_serves(server, ana, ben, folder):
    """After all of that."""
    assert ana.predict(**photos_in(folder), api_name="/tryon")[1]["seed"] == 42
    assert json.loads(ben.get("healthz").text) == {"status": "alive"}
