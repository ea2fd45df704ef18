"""Fetches the front end's libraries from npm into webapp/static/vendor/, at exact versions.

    python scripts/vendor.py            # rewrites the folder, and its README with the checksums

To move to another version, change it in PACKAGES; to use another icon, add its name to ICONS
(names: https://icons.getbootstrap.com). Needs npm. A test compares the files with the README.
"""

import hashlib
import re
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
STATIC = ROOT / "webapp" / "static" / "vendor"
FOR_TESTS = ROOT / "tests" / "browser" / "vendor"

# (package, version, licence, target folder, {file in the package: name here})
PACKAGES = [
    (
        "bootstrap",
        "5.3.9",
        "MIT",
        STATIC / "bootstrap",
        {
            "dist/css/bootstrap.min.css": "bootstrap.min.css",
            "dist/js/bootstrap.bundle.min.js": "bootstrap.bundle.min.js",
            "LICENSE": "LICENSE",
        },
    ),
    ("bootstrap-icons", "1.13.2", "MIT", STATIC / "bootstrap-icons", {"LICENSE": "LICENSE"}),
    (
        "htmx.org",
        "2.0.11",
        "0BSD",
        STATIC / "htmx",
        {"dist/htmx.min.js": "htmx.min.js", "LICENSE": "LICENSE"},
    ),
    (
        "uplot",
        "1.6.32",
        "MIT",
        STATIC / "uplot",
        {
            "dist/uPlot.iife.min.js": "uPlot.iife.min.js",
            "dist/uPlot.min.css": "uPlot.min.css",
            "LICENSE": "LICENSE",
        },
    ),
    (
        "tus-js-client",
        "4.3.1",
        "MIT",
        STATIC / "tus",
        {"dist/tus.min.js": "tus.min.js", "LICENSE": "LICENSE"},
    ),
    (
        "axe-core",
        "4.14.1",
        "MPL-2.0",
        FOR_TESTS,
        {"axe.min.js": "axe.min.js", "LICENSE": "LICENSE"},
    ),
]

# The whole sprite is 1.1 MB and the font with its style sheet 221 kB; these take a few dozen.
ICONS = """
activity archive arrow-clockwise arrow-counterclockwise arrow-down arrow-down-up arrow-left
arrow-left-right arrow-repeat arrow-return-right arrow-right arrow-up award bar-chart bell book
bookmark box box-arrow-in-right box-arrow-left box-arrow-right box-arrow-up-right box-seam braces
bug calculator calendar3 card-list chat-left-text chat-square-text check check-circle
check-circle-fill check-lg check2 chevron-down chevron-left chevron-right chevron-up circle
circle-fill circle-half clipboard clipboard-check clock clock-history cloud cloud-arrow-down
cloud-arrow-up cloud-download code code-slash collection copy cpu dash-circle dash-lg database
database-add database-check diagram-2 diagram-3 dot download exclamation-circle
exclamation-octagon exclamation-triangle exclamation-triangle-fill eye eye-slash fast-forward
file-earmark file-earmark-arrow-down file-earmark-arrow-up file-earmark-code file-earmark-text
file-text file-zip files filetype-csv filetype-json filetype-txt filter fingerprint flag folder
folder2-open funnel gear git globe2 gpu-card graph-down graph-down-arrow graph-up graph-up-arrow
grid grip-vertical hash hdd hdd-stack heart-pulse hourglass hourglass-split house image images inbox
info-circle info-circle-fill intersect journal-text key keyboard laptop layers layers-half
layout-split lightbulb lightning lightning-charge link link-45deg list list-check list-task
list-ul lock magic memory moon-stars node-plus palette patch-check pause pause-circle pause-fill
pencil pencil-square people people-fill percent person person-badge person-circle person-plus
pin-angle play play-circle play-fill plus plus-circle plus-lg puzzle question-circle
question-circle-fill recycle reply rocket-takeoff save search send server share shield
shield-check shield-exclamation shield-lock shuffle signpost-split skip-forward slash-circle
sliders sort-alpha-down sort-down sort-up speedometer speedometer2 square stack star star-fill
stars stop stop-circle stop-fill stopwatch subtract sun table tag tags terminal text-paragraph
thermometer-half three-dots three-dots-vertical toggle-off toggle-on tools translate trash trash3
tree trophy type ui-checks union unlock upload vector-pen window x x-circle x-circle-fill x-lg
x-octagon yin-yang zoom-in
""".split()  # noqa: SIM905 - twenty-odd lines are easier to add to than two hundred

# WhiteNoise's manifest storage looks for every source map named in a file, and fails on those
# that are not there; the maps weigh more than the files.
SOURCE_MAP = re.compile(rb"\n?(//[#@] sourceMappingURL=\S+|/\*[#@] sourceMappingURL=.*?\*/)\s*$")


def fetch(package: str, version: str, folder: Path) -> Path:
    """Unpacks a package of npm's registry below `folder` and returns its root."""
    packed = subprocess.run(
        ["npm", "pack", "--silent", f"{package}@{version}"],
        cwd=folder,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.split()[-1]
    with tarfile.open(folder / packed) as archive:
        archive.extractall(folder / package, filter="data")
    return folder / package / "package"


def icon_sprite(package: Path) -> bytes:
    """Builds one SVG of the icons in ICONS, each a symbol with the icon's name as its id."""
    symbols = []
    for name in sorted(set(ICONS)):
        path = package / "icons" / f"{name}.svg"
        if not path.exists():
            raise SystemExit(f"bootstrap-icons has no icon named {name}.")
        svg = path.read_text(encoding="utf-8")
        body = re.fullmatch(r"<svg[^>]*>(.*)</svg>\s*", svg, re.DOTALL)
        if body is None or 'viewBox="0 0 16 16"' not in svg:
            raise ValueError(f"{name}.svg does not look as its fellows do")
        drawing = re.sub(r">\s+<", "><", body.group(1).strip())
        symbols.append(
            f'<symbol id="{name}" viewBox="0 0 16 16" fill="currentColor">{drawing}</symbol>\n'
        )
    head = '<svg xmlns="http://www.w3.org/2000/svg">\n'
    return (head + "".join(symbols) + "</svg>\n").encode()


def main() -> None:
    """Writes all files and both READMEs anew."""
    rows: dict[Path, list[str]] = {STATIC: [], FOR_TESTS: []}
    for folder in rows:
        shutil.rmtree(folder, ignore_errors=True)
    with tempfile.TemporaryDirectory() as temporary:
        for package, version, licence, folder, files in PACKAGES:
            source = fetch(package, version, Path(temporary))
            contents = {
                name: SOURCE_MAP.sub(b"\n", (source / path).read_bytes())
                for path, name in files.items()
            }
            if package == "bootstrap-icons":
                contents["icons.svg"] = icon_sprite(source)
            folder.mkdir(parents=True, exist_ok=True)
            table = FOR_TESTS if folder == FOR_TESTS else STATIC
            for name, data in sorted(contents.items()):
                (folder / name).write_bytes(data)
                path = (folder / name).relative_to(table).as_posix()
                digest = hashlib.sha256(data).hexdigest()
                rows[table].append(f"| {path} | {package} | {version} | {licence} | `{digest}` |")
    for folder, lines in rows.items():
        text = README.format(rows="\n".join(lines), note=ICONS_NOTE if folder == STATIC else "")
        (folder / "README.md").write_text(text, encoding="utf-8")


README = """\
# Files of others

Written by `python scripts/vendor.py` from npm's packages; change versions and icons there, not
here. `tests/unit/test_vendor.py` compares the files with this table.

- `sourceMappingURL` comments are stripped, since the maps are not kept here and the manifest
  storage of static files refuses a reference that leads nowhere. Checksums are of the stripped
  files.
{note}
| file | package | version | licence | sha256 |
| --- | --- | --- | --- | --- |
{rows}
"""

ICONS_NOTE = """\
- `bootstrap-icons/icons.svg` holds the icons that are named in the script, drawings unchanged:
  `<svg class="bi" aria-hidden="true"><use href="…/icons.svg#play-fill"/></svg>`
"""

if __name__ == "__main__":
    main()
