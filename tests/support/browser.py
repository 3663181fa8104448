"""The browser in which the console is tried and measured."""

import os
import shutil

FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]


def browser_path() -> str | None:
    """Return the Chromium that CHROMIUM names, or this machine's; None where there is none."""
    names = ("chromium", "chromium-browser", "google-chrome")
    return os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, names)), None)
