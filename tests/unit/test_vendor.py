"""The files of others are the ones that their READMEs name, and templates use icons that exist."""

import hashlib
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ROW = re.compile(r"^\| (\S+) \| \S+ \| \S+ \| \S+ \| `([0-9a-f]{64})` \|$", re.MULTILINE)


@pytest.mark.parametrize("folder", ["webapp/static/vendor", "tests/browser/vendor"])
def test_each_file_has_the_checksum_in_the_readme(folder: str) -> None:
    table = ROOT / folder
    listed = dict(ROW.findall((table / "README.md").read_text(encoding="utf-8")))
    found = {
        path.relative_to(table).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in table.rglob("*")
        if path.is_file() and path.name != "README.md"
    }
    assert found == listed


def test_no_file_names_a_source_map_that_is_not_there() -> None:
    for path in (ROOT / "webapp/static/vendor").rglob("*.*"):
        if path.suffix in {".css", ".js"}:
            assert b"sourceMappingURL" not in path.read_bytes(), path.name


def test_each_icon_that_a_template_names_is_in_the_sprite() -> None:
    sprite = (ROOT / "webapp/static/vendor/bootstrap-icons/icons.svg").read_text(encoding="utf-8")
    drawn = set(re.findall(r'<symbol id="([^"]+)"', sprite))
    # {% include "components/icon.html" with name="house" %}, or handed on by icon="house".
    written = re.compile(r'icon\.html" with name="([a-z0-9-]+)"|\bicon="([a-z0-9-]+)"')
    named = {
        match[1] or match[2]
        for path in (ROOT / "templates").rglob("*.html")
        for match in written.finditer(path.read_text(encoding="utf-8"))
    }
    assert named, "templates name icons in another way now"
    assert named <= drawn, f"add to ICONS in scripts/vendor.py: {sorted(named - drawn)}"
