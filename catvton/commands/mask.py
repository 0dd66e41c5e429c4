"""`mask`: only find which pixels of a photo may change."""

from __future__ import annotations

import argparse
import json

from catvton.commands.common import picture_path
from catvton.result import PARTS


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--person", required=True, metavar="FILE", help="photo of the person")
    parser.add_argument("--part", default="upper", help=f"what may change: {', '.join(PARTS)} (default: upper)")
    parser.add_argument("--out", required=True, metavar="FILE", help="where to write it: white may change (.png)")
    parser.add_argument("--json", action="store_true", help="one JSON object on the output, for programs")


def run(args: argparse.Namespace) -> int:
    out = picture_path(args.out)
    from catvton.images import save_picture
    from catvton.tryon import TryOn

    found = TryOn.from_settings().mask(args.person, args.part)
    save_picture(found.mask, out)
    share = float((found.mask > 0).mean())
    if args.json:
        print(json.dumps({"mask": str(out), "part": args.part, "share": round(share, 4), "notes": list(found.notes)}))
    else:
        print(f"written:  {out} ({share:.0%} of the photo may change)")
        for note in found.notes:
            print(f"note:     {note}")
    return 0
