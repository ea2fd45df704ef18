"""Every requirement says why it is there and is pinned exactly; nothing of one machine gets in."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
NAMES = ["requirements", "requirements-dev", "requirements-parity", "requirements-parity-vision"]
REQUIREMENT = re.compile(r"^([A-Za-z0-9._-]+)(\[[a-z-]+\])?[^#]*(#.*)?$")


def normalised(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


@pytest.mark.parametrize("name", NAMES)
def test_each_requirement_has_a_reason_and_an_exact_pin(name: str) -> None:
    pinned = {
        normalised(line.split("==")[0])
        for line in (ROOT / f"{name}.txt").read_text(encoding="utf-8").splitlines()
        if "==" in line and not line.lstrip().startswith("#")
    }
    for line in (ROOT / f"{name}.in").read_text(encoding="utf-8").splitlines():
        if not line or line.startswith(("#", "-c ")):
            continue
        wanted = REQUIREMENT.match(line)
        assert wanted, line
        assert wanted[3], f"{wanted[1]} does not say why it is needed"
        assert normalised(wanted[1]) in pinned, f"{wanted[1]} is not pinned: run make pins"


@pytest.mark.parametrize("name", NAMES)
def test_pins_name_no_index_and_no_path(name: str) -> None:
    for line in (ROOT / f"{name}.txt").read_text(encoding="utf-8").splitlines():
        pin = line.split("#")[0].strip()
        assert not pin or re.match(r"^[a-z0-9.-]+==[a-zA-Z0-9.]+( ;|$)", pin), line


def test_development_and_parity_agree_with_the_run_time_pins() -> None:
    def pins(name: str) -> dict[str, set[str]]:
        found: dict[str, set[str]] = {}
        for line in (ROOT / name).read_text(encoding="utf-8").splitlines():
            if match := re.match(r"^([a-z0-9.-]+)==(\S+)", line):
                found.setdefault(match[1], set()).add(match[2])
        return found

    runtime = pins("requirements.txt")
    for name in NAMES[1:]:
        for package, versions in pins(f"{name}.txt").items():
            assert versions <= runtime.get(package, versions), f"{package} in {name}"
