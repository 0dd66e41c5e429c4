"""Commands that have commands of their own: `evaluate` and `train`."""

from __future__ import annotations

import argparse
import importlib
import pkgutil


def add_commands(parser: argparse.ArgumentParser, package: str) -> None:
    """Let `parser` choose between the modules of a package; `args.subcommand(args)` then runs the chosen one.

    Each module has `SUMMARY` (what it does, in one line), `add_arguments(parser)` and `run(args)`, and imports nothing
    heavy at its top: all are imported, so that the help can list them.
    """
    choices = parser.add_subparsers(metavar="WHAT", required=True)
    for name in sorted(module.name for module in pkgutil.iter_modules(importlib.import_module(package).__path__)):
        home = importlib.import_module(f"{package}.{name}")
        child = choices.add_parser(name, help=home.SUMMARY, description=f"{home.SUMMARY[0].upper()}{home.SUMMARY[1:]}.")
        home.add_arguments(child)
        # The outer parser has it too: without a default of its own this one leaves what was said there.
        said = {"action": "store_true", "default": argparse.SUPPRESS}
        child.add_argument("-v", "--verbose", **said, help="say more about what happens")
        child.set_defaults(subcommand=home.run)
