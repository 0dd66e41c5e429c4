"""Runs inside Detectron2's interpreter, as a script: `detectron2_backend` starts it and speaks with it through pipes.

Detectron2's DensePose is a package called `densepose`, as this one is, so the two cannot live in one process. This
file imports nothing of ours and must run on the older Pythons Detectron2 needs. A message is its length (8 bytes,
big-endian) and an .npz of plain arrays. First comes "ready" or "missing"; then, for each photo, an answer; the end of
the input is the end of the work.
"""

from __future__ import annotations

import io
import json
import os
import sys


def main():
    forget_our_package()
    # Detectron2 logs to the standard output: answers go through a copy of it, everything else to the errors.
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    try:
        look = load(**json.loads(sys.argv[1]))
    except ImportError as error:
        send(answers, missing=str(error))
        return
    send(answers, ready=True)
    while True:
        request = receive(sys.stdin.buffer)
        if request is None:
            return
        send(answers, **look(request["bgr"], int(request["at_most"])))


def forget_our_package():
    """Make `import densepose` find Detectron2's: a script's own folder and our root leave the search path."""
    own = os.path.dirname(os.path.abspath(__file__))
    ours = {own, os.path.dirname(own)}
    sys.path[:] = [path for path in sys.path if os.path.abspath(path or os.curdir) not in ours]


def load(config, weights, device, min_score):
    """Detectron2's predictor as a function: uint8 (h, w, 3) BGR and a count -> boxes, scores, label maps of boxes."""
    from detectron2.config import get_cfg
    from detectron2.engine.defaults import DefaultPredictor

    from densepose import add_densepose_config
    from densepose.converters import ToChartResultConverter

    cfg = get_cfg()
    add_densepose_config(cfg)
    cfg.merge_from_file(config)
    cfg.MODEL.WEIGHTS = weights
    cfg.MODEL.DEVICE = device
    cfg.MODEL.ROI_HEADS.SCORE_THRESH_TEST = min_score
    predictor = DefaultPredictor(cfg)

    def look(bgr, at_most):
        found = predictor(bgr)["instances"][:at_most].to("cpu")
        answer = {"boxes": found.pred_boxes.tensor.numpy(), "scores": found.scores.numpy()}
        for n in range(len(found)):
            result = ToChartResultConverter.convert(found.pred_densepose[n], found.pred_boxes[[n]])
            answer[f"labels_{n}"] = result.labels.numpy().astype("uint8")
        return answer

    return look


def send(stream, **arrays):
    import numpy as np

    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    stream.write(buffer.getbuffer().nbytes.to_bytes(8, "big"))
    stream.write(buffer.getvalue())
    stream.flush()


def receive(stream):
    """The next message as {name: array}, or None at the end."""
    import numpy as np

    head = stream.read(8)
    if len(head) < 8:
        return None
    with np.load(io.BytesIO(stream.read(int.from_bytes(head, "big"))), allow_pickle=False) as arrays:
        return dict(arrays)


if __name__ == "__main__":
    main()
