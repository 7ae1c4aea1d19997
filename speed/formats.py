"""A training step on the CPU in bfloat16 and in float32: CPU time per image, in turns, on one thread.

``ONEDNN_MAX_CPU_ISA=AVX2 python -m speed.formats`` measures as if the processor had no more than AVX2.
"""

import statistics
import time

import torch

from models import build_model
from utils.synthesis.images import SIZE
from utils.system.files import run
from utils.system.flags import natural_number, new_parser

BATCH, LEVELS, FEATURES = 4, 25, 96


def build_parser():
    """Return the parser of the command line."""
    parser = new_parser(__doc__, "python -m speed.formats --repeats 5", "python -m speed.formats")
    parser.add_argument("--repeats", type=natural_number, default=5, help="timed steps of each, after one untimed")
    return parser


def cpu_times(repeats, features=FEATURES):
    """Return {"bfloat16": ..., "float32": ...}, the median CPU time of an image in ms.

    CPU time, because it does not depend on what else the machine does.
    """
    torch.set_num_threads(1)
    network = build_model("hourglass_attention", LEVELS, features=features).to(memory_format=torch.channels_last)
    images = torch.rand(BATCH, 1, SIZE, SIZE).contiguous(memory_format=torch.channels_last)
    times = {"bfloat16": [], "float32": []}
    for _ in range(repeats + 1):
        for kind, own in times.items():
            began = time.process_time()
            with torch.autocast("cpu", torch.bfloat16, enabled=kind == "bfloat16"):
                loss = sum(output.float().square().mean() for output in network(images))
            loss.backward()
            own.append(1e3 * (time.process_time() - began) / BATCH)
    return {kind: statistics.median(own[1:]) for kind, own in times.items()}


def main(argv=None):
    """Measure, as the flags say."""
    args = build_parser().parse_args(argv)
    found = cpu_times(args.repeats)
    print(", ".join(f"{kind} {value:.0f} ms" for kind, value in found.items()), end="")
    print(f", ratio {found['float32'] / found['bfloat16']:.2f}")


if __name__ == "__main__":
    run(main)
