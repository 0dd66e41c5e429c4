"""`bench`: seconds and peak memory of each stage, on this machine."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from catvton.bench import machine, machine_lines, markdown, measure
from catvton.commands.common import number
from catvton.errors import InputError
from catvton.options import whole
from catvton.result import TryOnRequest


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--engine", metavar="NAME", help="which model (default: CATVTON_ENGINE)")
    parser.add_argument("--size", metavar="WxH", help="size the engine works at (default: the engine's own)")
    parser.add_argument("--steps", type=number, metavar="N", help="(default: the engine's own)")
    parser.add_argument("--guidance", type=number, metavar="X", help="(default: the engine's own)")
    parser.add_argument("--part", default="upper", help="(default: upper)")
    parser.add_argument("--repeat", type=number, default=3, metavar="N", help="runs to take the median of (default: 3)")
    parser.add_argument("--person", metavar="FILE", help="a photo of your own instead of the first example")
    parser.add_argument("--garment", metavar="FILE", help="a garment of your own instead of the first example")
    parser.add_argument("--json", action="store_true", help="one JSON object on the output, for programs")
    parser.add_argument("--write", type=Path, metavar="FILE", help="write it to a .json file, and a .md beside it")


def run(args: argparse.Namespace) -> int:
    repeat = whole("repeat", args.repeat, minimum=1, maximum=100)
    request = TryOnRequest(
        person=args.person or _example("person"),
        garment=args.garment or _example("garment"),
        part=args.part,
        engine=args.engine,
        size=args.size,
        steps=args.steps,
        guidance=args.guidance,
    )
    from catvton.tryon import TryOn

    figures = {"machine": machine(), **measure(TryOn.from_settings(), request, repeat=repeat)}
    text = json.dumps(figures, indent=2)
    if args.write:
        args.write.parent.mkdir(parents=True, exist_ok=True)
        args.write.write_text(text + "\n", encoding="utf-8")
        args.write.with_suffix(".md").write_text(markdown(figures), encoding="utf-8")
    print(text if args.json else table(figures))
    return 0


def table(figures: dict[str, Any]) -> str:
    """The figures as a small table for a terminal."""
    width, height = figures["size"]
    first, second = machine_lines(figures["machine"])
    lines = [
        f"machine  {first}",
        f"         {second}",
        f"engine   {figures['engine']} at {width}x{height}, {figures['steps']} steps, guidance {figures['guidance']:g}",
        f"photo    {figures['photo'][0]}x{figures['photo'][1]}, loading took {figures['load_seconds']:.1f} s",
        "",
        f"{'stage':<12}{'seconds':>10}{'peak MiB':>12}",
    ]
    for stage, row in figures["stages"].items():
        lines.append(f"{stage:<12}{row['seconds']:>10.2f}{row['peak_mb'] or '':>12}")
    return "\n".join([*lines, f"{'all':<12}{figures['seconds']:>10.2f}"])


def _example(slot: str) -> Path:
    from catvton.web.examples import read_examples

    found = read_examples()[slot]
    if not found:
        raise InputError("There are no example pictures: give --person and --garment.", code="example.missing")
    return found[0].path
