"""Measure the speed of every stage beside a plain implementation of the same, and print one table of ratios.

The plain implementation is mostly that of the published recipe, kept in speed/published.py: float32, batches of
3, the loss at the slice's own resolution, all combinations of candidates searched. A ratio of 2 means that it
takes twice as long.
"""

from pathlib import Path

from utils.system.cores import cores
from utils.system.flags import multiple_of_4, natural_number, new_parser, output_file, share
from utils.training.recipes import RECIPES


def build_parser():
    """Return the parser of the command line."""
    parser = new_parser(__doc__, "python benchmark.py --device cpu --repeats 3")
    work = parser.add_argument_group("what is measured")
    work.add_argument(
        "--repeats", type=natural_number, default=5, help="timed runs of each, after one that is not timed"
    )
    work.add_argument("--features", type=multiple_of_4, default=256, help="channels inside the network")
    work.add_argument(
        "--batch-size", type=natural_number, default=RECIPES["default"]["batch_size"], help="slices per training step"
    )
    work.add_argument(
        "--until", type=share, metavar="ERROR",
        help="also train by either recipe until no more than this share of the discs is wrong: many minutes",
    )  # fmt: skip
    machine = parser.add_argument_group("machine")
    machine.add_argument("--threads", type=natural_number, default=cores(), help="CPU threads")
    machine.add_argument("--device", help="cpu, cuda, cuda:1, ... (default: a GPU where there is one)")
    output = parser.add_argument_group("output")
    output.add_argument("--out", type=output_file, default=Path("output/benchmark.json"), help="the table as JSON")
    return parser


if __name__ == "__main__":
    build_parser().parse_args()  # --help and misspelt flags are answered before the slow imports below

# ruff: noqa: E402
import platform
import tempfile

import torch

from speed import beside, memory, network, published, scans, search, until
from speed.timing import HEAD
from utils.system.device import choose_device, has_fast_bfloat16, keep_memory
from utils.system.files import run, save_json

SHAPE = {"stacks": 2, "blocks": 1}


def processor():
    """Return the name of the CPU."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def facts(device, args):
    """Return the machine and the settings of the measurement."""
    gpu = torch.cuda.get_device_name(device) if device.type == "cuda" else None
    return {
        "device": gpu or processor(), "cpu": processor(), "cores": cores(), "threads": args.threads,
        "bfloat16": has_fast_bfloat16(device), "torch": torch.__version__, "features": args.features,
        "batch_size": args.batch_size, "repeats": args.repeats,
    }  # fmt: skip


def measure(args, device, folder):
    """Yield the rows of the table, in order."""
    shape = {**SHAPE, "features": args.features}
    samples = scans.samples_of(scans.make_tree(folder / "samples", 2), folder / "slices")
    yield from network.training_rows(device, shape, args.batch_size, samples, args.repeats)
    if device.type == "cpu":
        yield beside.row(args.batch_size)
    yield network.forward_row(device, shape, args.repeats)
    yield from scans.preparation_rows(folder / "preparation", args.repeats)
    yield from memory.rows(folder / "memory")
    yield search.heatmap_row(args.repeats)
    yield from search.search_rows(args.repeats)
    yield from scans.prediction_rows(folder / "prediction", device, args.repeats)
    if args.until is not None:
        yield until.row(args.until, folder / "until", device)


def main(argv=None):
    """Measure, as the flags say."""
    args = build_parser().parse_args(argv)
    torch.set_num_threads(args.threads)
    device = choose_device(args.device)
    keep_memory()  # as train.py and predict.py do
    setup = facts(device, args)
    print(f"{setup['device']}, {args.threads} threads on {setup['cores']} cores, torch {setup['torch']}, "
          f"{'bfloat16' if setup['bfloat16'] else 'float32'}, {args.features} features, batches of {args.batch_size}, "
          f"median of {args.repeats}\n\n{HEAD}")  # fmt: skip
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for row in measure(args, device, Path(folder)):
            rows.append(row)
            print(row, flush=True)
            save_json(args.out, {**setup, "rows": [done.to_dict() for done in rows]})
    print(f"\n{compared_with_released(1000 / rows[0].other, args, device)}")


def compared_with_released(rate, args, device):
    """Return a sentence that compares the plain training with the released code, in images/s."""
    slower = rate < published.RELEASED_IMAGES_PER_S and args.features == 256 and device.type == "cpu"
    released = f"the released code made {published.RELEASED_IMAGES_PER_S} on 2 cores with AMX"
    return f"the plain training makes {rate:.2f} images/s; {released}{': it is SLOWER here' if slower else ''}"


if __name__ == "__main__":
    run(main)
