"""Every error has a stable code, each of which is documented, once, for both doors."""

import ast
from html import escape
from pathlib import Path

from catvton.errors import Cancelled, InputError, WeightsError
from catvton.service.codes import CODES
from catvton.service.problems import code_of, problem_of, status_of
from tests.rest_client import door
from tests.web_fakes import FakeTryOn

CATVTON = Path(__file__).resolve().parent.parent / "catvton"
# Rooms no request of another program comes to.
ELSEWHERE = ("commands", "training", "evaluation", "datasets", "hub", "records", "cli.py", "ccp.py", "bench.py")
# Errors of the page's own controls, of the operator at the command line, and of Python callers.
NOT_OF_THE_DOORS = {
    "garment.full", "result.missing", "example.missing", "account.name", "account.password", "account.taken",
    "account.unknown", "image.array", "image.not_found", "output.format", "output.write", "input.invalid",
}  # fmt: skip
FILLED_IN = {"option.*", "*.missing"}  # f-strings; the fuzz of the REST door meets what they become


def codes_in(path):
    """Every string given as a `code`, with * for what is filled in later."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.keyword) or node.arg != "code":
            continue
        if isinstance(node.value, ast.Constant):
            yield node.value.value
        elif isinstance(node.value, ast.JoinedStr):
            yield "".join(part.value if isinstance(part, ast.Constant) else "*" for part in node.value.values)


def sources():
    return [path for path in CATVTON.rglob("*.py") if path.relative_to(CATVTON).parts[0] not in ELSEWHERE]


def test_every_code_in_the_source_is_documented():
    used = {code for path in sources() for code in codes_in(path)}
    assert len(used) > 40
    assert used - set(CODES) - NOT_OF_THE_DOORS - FILLED_IN == set()


def test_no_code_is_documented_that_there_is_not():
    words = {node.value for path in sources() if path.name != "codes.py"
             for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
             if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    made = {code for code in CODES if code.startswith(("option.", "http."))}
    assert set(CODES) - made - words == set()


def test_each_has_a_status_and_a_sentence_in_the_document_and_on_its_page():
    with door(FakeTryOn()) as rest:
        problem = rest.get("/v1/openapi.json").json()["components"]["schemas"]["Problem"]["properties"]["code"]
        page = rest.get("/v1/docs").text
    assert problem["enum"] == list(CODES)
    for code, meaning in CODES.items():
        assert meaning.endswith(".") and 400 <= status_of(code) < 600
        assert f"<code>{code}</code></td><td><code>{status_of(code).value}</code>" in page and escape(meaning) in page


def test_every_kind_of_error_has_one():
    errors = {"option.seed": InputError("No.", code="option.seed"), "run.stopped": Cancelled("stopped"),
              "engine.missing": WeightsError("gone"), "server.failed": RuntimeError("secret")}
    for code, error in errors.items():
        assert code_of(error) == code == problem_of(error)["code"]
        assert "secret" not in problem_of(error)["message"]
