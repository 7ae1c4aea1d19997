"""A browser for the tests of the QC report."""

import shutil

import pytest
from playwright.sync_api import sync_playwright

FLAGS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync"]  # fmt: skip


@pytest.fixture(scope="session")
def browser():
    """Start headless Chromium once."""
    with sync_playwright() as tool:
        chromium = tool.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        yield chromium
        chromium.close()


@pytest.fixture
def open_page(browser):
    """Return a function that opens a report; at the end, nothing was printed and the network was not used."""
    context = browser.new_context(accept_downloads=True, viewport={"width": 1280, "height": 900})
    said, asked = [], []

    def open_file(path):
        page = context.new_page()
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("request", lambda request: asked.append(request.url))
        page.goto(path.as_uri())
        return page

    yield open_file
    assert said == []
    assert all(url.startswith(("file://", "data:", "blob:")) for url in asked)
    context.close()
