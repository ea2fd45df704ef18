"""Takes the pictures of the documentation from a running portal.

    make run                                        # wait until the sample transfer has ended
    python scripts/screenshots.py LINK              # writes docs/images/run.png
    python scripts/screenshots.py LINK --all DIR    # main pages, wide and narrow, light and dark

LINK is the sign-in link that the portal printed, not yet used. Needs Chromium and the development
requirements (``make test`` installs them).
"""

import argparse
import os
import re
import shutil
from pathlib import Path

from playwright.sync_api import BrowserContext, Page, sync_playwright

ROOT = Path(__file__).resolve().parent.parent
WIDE, NARROW = {"width": 1280, "height": 900}, {"width": 390, "height": 844}


def open_page(page: Page, address: str) -> None:
    page.goto(address)
    page.wait_for_load_state("networkidle")
    if page.locator("[data-chart]").count():
        page.locator("[data-chart] canvas").first.wait_for(timeout=15_000)
    page.wait_for_timeout(300)


def main_pages(page: Page) -> dict[str, str]:
    """Addresses of the main pages by name, found as a person finds them."""
    found = {
        "home": "/",
        "data": "/data/",
        "upload": "/data/new",
        "runs": "/runs/",
        "checkpoints": "/checkpoints/",
        "import": "/checkpoints/import",
        "playground": "/playground/",
        "team": "/account/team",
    }
    page.goto("/data/")
    if (link := page.locator("#rows tbody a.primary")).count():
        found["data-version"] = str(link.last.get_attribute("href"))
    page.goto("/runs/?how=transfer&state=succeeded")
    transfer = str(page.locator("#rows tbody a.primary").first.get_attribute("href"))
    found |= {"run": transfer, "report": f"{transfer}/report"}
    page.goto(transfer)
    for name, pattern in (
        ("compare", r"/runs/compare\?"),
        ("new-run", r"/runs/new\?source="),
        ("checkpoint", r"/checkpoints/[0-9a-f-]{36}$"),
    ):
        links = page.locator("main a").evaluate_all(
            "all => all.map(one => one.getAttribute('href'))"
        )
        for address in links:
            if address and re.search(pattern, address):
                found[name] = address  # the last: a transfer's own checkpoint, not its source's
    page.goto("/playground/")
    if (link := page.locator("a.history-text")).count():
        found["writing"] = str(link.first.get_attribute("href"))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("link", help="sign-in link that the portal printed")
    parser.add_argument("--all", type=Path, metavar="DIR", help="take every main page instead")
    parser.add_argument("--only", default="", help="with --all: names of pages, comma-separated")
    arguments = parser.parse_args()
    base = re.match(r"https?://[^/]+", arguments.link)
    if base is None:
        parser.error("This is no link.")
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    options = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=options)
        context = browser.new_context(base_url=base[0], viewport=WIDE, locale="en-GB")
        page = context.new_page()
        page.goto(arguments.link)
        page.locator("nav.portal-nav").wait_for()
        pages = main_pages(page)
        if arguments.all:
            only = [name for name in arguments.only.split(",") if name]
            wanted = {name: pages[name] for name in (only or pages)}
            everything(context, wanted, arguments.all)
        else:
            # Taller than a screen, so that the curves and their legend are in the picture.
            page.set_viewport_size({"width": 1280, "height": 1180})
            open_page(page, pages["run"])
            target = ROOT / "docs/images/run.png"
            target.parent.mkdir(parents=True, exist_ok=True)
            page.screenshot(path=target)
        browser.close()


def everything(context: BrowserContext, pages: dict[str, str], folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    page = context.pages[0]
    for theme in ("light", "dark"):
        page.evaluate("theme => localStorage.setItem('graft-theme', theme)", theme)
        for size, viewport in (("wide", WIDE), ("narrow", NARROW)):
            page.set_viewport_size(viewport)
            for name, address in pages.items():
                open_page(page, address)
                page.screenshot(path=folder / f"{name}-{size}-{theme}.png", full_page=True)


if __name__ == "__main__":
    main()
