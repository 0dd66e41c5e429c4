"""The command line: finds the command, runs it, and turns our own errors into one sentence and an exit code.

Exit codes: 0 done, 1 the app is incomplete (weights missing), 2 the request or a setting is wrong, 130 stopped.
`models` ends with 2 whenever something is missing, damaged or cannot be had: that is what it was asked about.
"""

from __future__ import annotations

import argparse
import importlib
import logging
import sys
from collections.abc import Sequence

from catvton.errors import Cancelled, InputError, SettingsError, TryOnError

PROGRAM = "python -m catvton"

# name: (module with add_arguments(parser) and run(args) -> int, what it does). A module is imported when it is used.
COMMANDS = {
    "tryon": ("catvton.commands.tryon", "dress a person: two photos in, one picture out"),
    "mask": ("catvton.commands.mask", "only find which pixels of a photo may change"),
    "serve": ("catvton.commands.serve", "start the web app and its API"),
    "models": ("catvton.commands.models", "list, download, verify and switch the engines' weights"),
    "users": ("catvton.commands.users", "make and remove accounts, set passwords, hand out API keys"),
    "trace": ("catvton.commands.trace", "find the job that made a picture"),
    "records": ("catvton.commands.records", "list, purge and forget what is remembered of jobs"),
    "doctor": ("catvton.commands.doctor", "check this deployment and say what is wrong with it"),
    "bench": ("catvton.commands.bench", "measure seconds and memory on this machine"),
    "train": ("catvton.training.cli", "train networks, distil and prune them, in any of the known recipes"),
    "evaluate": ("catvton.evaluation.cli", "measure: the built-in model, published benchmarks, robustness"),
}

EXAMPLES = f"""examples:
  {PROGRAM} tryon --person me.jpg --garment shirt.jpg --part upper --out result.png
  {PROGRAM} serve
  {PROGRAM} COMMAND --help      what a command takes
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command. Returns the exit code; argparse itself exits with 0 (help) or 2 (an argument it cannot read)."""
    argv = list(sys.argv[1:] if argv is None else argv)
    args = build_parser(argv[0] if argv else "").parse_args(argv)
    logging.basicConfig(level=logging.INFO if args.verbose else logging.WARNING, format="%(levelname)s %(message)s")
    try:
        return args.run(args)
    except (InputError, SettingsError) as error:
        return _say(error, code=2)
    except (KeyboardInterrupt, Cancelled):
        return _say("Stopped.", code=130)
    except TryOnError as error:
        return _say(error, code=1)


def build_parser(command: str = "") -> argparse.ArgumentParser:
    """The parser with every command's name and only `command`'s arguments, so that nothing else is imported."""
    parser = argparse.ArgumentParser(
        prog=PROGRAM,
        description="Virtual try-on: photos of a person and of a garment make a photo of the person wearing it.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for name, (module, summary) in COMMANDS.items():
        child = commands.add_parser(name, help=summary, description=f"{summary[0].upper()}{summary[1:]}.")
        if name == command:
            home = importlib.import_module(module)
            home.add_arguments(child)
            child.add_argument("-v", "--verbose", action="store_true", help="say more about what happens")
            child.set_defaults(run=home.run)
    return parser


def _say(message: object, *, code: int) -> int:
    print(f"{PROGRAM}: {message}", file=sys.stderr)
    return code
