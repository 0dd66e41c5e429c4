"""A try-on through the app's named endpoints, with progress:

    python resource/clients/tryon_gradio.py person.jpg garment.jpg result.png

Needs gradio_client. An app with accounts: set CATVTON_USER and CATVTON_PASSWORD.
"""

import os
import shutil
import sys

from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError


def main(person: str, garment: str, result: str) -> int:
    user = os.environ.get("CATVTON_USER")
    client = Client(os.environ.get("APP", "http://127.0.0.1:7860"), verbose=False,
                    auth=(user, os.environ["CATVTON_PASSWORD"]) if user else None)
    print("engines:", ", ".join(engine["name"] for engine in client.predict(api_name="/engines")))
    job = client.submit(person=handle_file(person), garment=handle_file(garment), part="upper", seed=42,
                        api_name="/tryon")
    for _, info in job:
        if "stage" in info:  # not done yet; of the stage "waiting" the step is how many are before you
            print(f"{info['stage']} {info['step']}/{info['steps']}")
    try:
        picture, info = job.result()
    except AppError as error:
        print(f"{error.title}: {error}", file=sys.stderr)  # a stable code for programs, a sentence for people
        return 1
    shutil.copyfile(picture, result)
    print(f"{result}: engine {info['engine']}, seed {info['seed']}, job {info['job_id']}")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
