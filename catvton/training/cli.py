"""`python -m catvton train WHAT`: everything that is trained, by the name of what comes out."""

from __future__ import annotations

import argparse

from catvton.subcommands import add_commands


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_commands(parser, "catvton.training.commands")


def run(args: argparse.Namespace) -> int:
    """Train. Stopped by ctrl-C or SIGTERM the run keeps what it learned, and `--resume` goes on from there."""
    return args.subcommand(args)
