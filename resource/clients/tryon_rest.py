"""A try-on through the REST door: python resource/clients/tryon_rest.py person.jpg garment.jpg result.png

Needs httpx, or any other HTTP client. An app with accounts: set CATVTON_KEY to an API key.
"""

import json
import os
import sys
import time
from pathlib import Path

import httpx


def main(person: str, garment: str, result: str) -> int:
    key = os.environ.get("CATVTON_KEY")
    headers = {"Accept": "image/png"} | ({"Authorization": f"Bearer {key}"} if key else {})
    with httpx.Client(base_url=os.environ.get("APP", "http://127.0.0.1:7860"), headers=headers, timeout=300) as http:
        while True:
            files = {"person": Path(person).read_bytes(), "garment": Path(garment).read_bytes()}
            answer = http.post("/v1/tryon", files=files, data={"part": "upper", "seed": 42})
            if answer.status_code not in (429, 503) or "retry-after" not in answer.headers:
                break
            time.sleep(int(answer.headers["retry-after"]))  # too many at once, or too often
    if answer.status_code != 200:
        problem = answer.json()  # "code" is stable and for programs, "message" is for people
        print(f"{problem['code']}: {problem['message']}", file=sys.stderr)
        return 1
    Path(result).write_bytes(answer.content)
    info = json.loads(answer.headers["x-result-info"])
    print(f"{result}: engine {info['engine']}, seed {info['seed']}, job {info['job_id']}")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
