"""Take the screenshots of a QC report for the documentation: of an evaluation, or the editor of a prediction.

Needs Debian's chromium and playwright, as `make test-browser` installs them.
"""

import shutil
from pathlib import Path

from playwright.sync_api import sync_playwright

from utils.system.flags import new_parser

DOCS = Path(__file__).parent
FLAGS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync"]  # fmt: skip
# Name of the picture: width, height, colours, column that is sorted by, whether downwards, whether the first scan is
# open.
SHOTS = {
    "page.png": (1280, 760, "light", "Lowest confidence", False, False),
    "scan.png": (1280, 860, "dark", "Discs found", True, True),
    "phone.png": (400, 860, "light", "Lowest confidence", False, True),
}
EDITOR = {"editor.png": (1280, 900, "light", "Scan", True, True)}  # of a prediction, whose labels can be edited


def main(argv=None):
    """Take the pictures, as the flags say."""
    example = "python -m docs.screenshots output/demo/evaluation/report.html"
    parser = new_parser(__doc__, example, "python -m docs.screenshots")
    parser.add_argument("report", type=Path, help="report.html of an evaluation or a prediction")
    parser.add_argument("--out", type=Path, help="folder of the pictures (default: docs/)")
    args = parser.parse_args(argv)
    out = args.out or DOCS
    with sync_playwright() as tool:
        browser = tool.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        page = browser.new_page()
        page.goto(args.report.resolve().as_uri())
        shots = EDITOR if page.locator("#save-corrections").is_visible() else SHOTS
        for name, (width, height, colours, column, down, opened) in shots.items():
            page = browser.new_page(viewport={"width": width, "height": height}, color_scheme=colours)
            page.goto(args.report.resolve().as_uri())
            for _ in range(2 if down else 1):
                page.get_by_role("button", name=column).click()
            page.locator("h1").click()  # no ring about the column's button
            if opened:
                page.locator("#table button.name").first.click()
                if name in EDITOR:
                    for key in "enn":  # edit, and select the second disc
                        page.keyboard.press(key)
                    page.add_style_tag(content="#origin { display: none }")  # a path on this machine
                else:
                    page.get_by_label("heatmaps").check()
                page.locator("#viewer-title").click()
            page.wait_for_timeout(400)  # pictures are loaded when they come into view
            page.screenshot(path=out / name)
        browser.close()
    print(f"{', '.join(shots)} are in {out}")


if __name__ == "__main__":
    main()
