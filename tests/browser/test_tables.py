"""A table comes in as CSV, is looked at, and a type and a target are chosen: another version."""

from __future__ import annotations

import csv
import io
import random
import re
from typing import Any

from playwright.sync_api import Page, ViewportSize, expect

from tests.browser.story import VERSION, overflows, upload, violations, wait_state

PHONE: ViewportSize = {"width": 320, "height": 640}
DESKTOP: ViewportSize = {"width": 1280, "height": 900}


def census(count: int = 400) -> list[dict[str, Any]]:
    draw = random.Random(7)
    rows = []
    for number in range(count):
        hours, age = draw.randint(10, 60), draw.randint(17, 90)
        rows.append(
            {
                "id": 1000 + number,
                "age": age,
                "workclass": draw.choice(["Private", "Private", "Local-gov", "?", "Self-emp"]),
                "hours-per-week": hours,
                "floor": draw.randint(1, 9),
                "remark": f"seen by visitor number {number}",
                "country": "Utopia",
                "income": ">50K" if hours + age + draw.gauss(0, 20) > 100 else "<=50K",
            }
        )
    rows[5]["age"] = "unknown"
    return rows


def as_csv(rows: list[dict[str, Any]], delimiter: str = ";") -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), delimiter=delimiter)
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def test_a_table_is_looked_at_and_corrected(page: Page) -> None:
    upload(page, "census.csv", as_csv(census()), "Census")
    wait_state(page, "#version", "succeeded")
    warnings = page.get_by_role("region", name="Worth knowing")
    expect(warnings).to_contain_text("No target is chosen yet")
    expect(warnings).to_contain_text("In the column age, 1 values are no numbers")
    columns = page.get_by_role("region", name="Columns")

    def row(name: str) -> Any:
        return columns.get_by_role("row").filter(has=page.get_by_role("rowheader", name=name))

    expect(row("id")).to_contain_text("a row’s number")
    expect(row("remark")).to_contain_text("free text")
    expect(row("country")).to_contain_text("the same value everywhere")
    expect(row("age")).to_contain_text("number")
    expect(row("floor")).to_contain_text("category")
    expect(row("workclass")).to_contain_text(re.compile(r"\d\d\.\d%"))
    expect(row("workclass").locator("svg rect")).to_have_count(3)
    expect(page.get_by_role("region", name="Preview").get_by_role("row")).to_have_count(13)
    assert violations(page) == []
    page.set_viewport_size(PHONE)
    assert overflows(page) == []
    page.set_viewport_size(DESKTOP)
    first = page.url

    # A target, and a type: the same file, another version.
    columns.get_by_role("link", name="Correct types, choose targets").click()
    page.get_by_label("income", exact=True).select_option("target_category")
    page.get_by_label("floor", exact=True).select_option("number")
    page.get_by_label("country", exact=True).select_option("target_category")
    assert violations(page) == []
    page.set_viewport_size(PHONE)
    assert overflows(page) == []
    page.set_viewport_size(DESKTOP)
    page.get_by_role("button", name="Check again").click()
    page.wait_for_url(VERSION)

    # One class is refused by name; what was chosen is still there.
    wait_state(page, "#version", "failed")
    expect(page.get_by_role("alert")).to_contain_text("country has only one class, “Utopia”")
    page.get_by_role("link", name="Check again with other settings").click()
    expect(page.get_by_label("floor", exact=True)).to_have_value("number")
    page.get_by_label("country", exact=True).select_option("ignored")
    page.get_by_role("button", name="Check again").click()
    page.wait_for_url(VERSION)
    wait_state(page, "#version", "succeeded")
    expect(row("floor")).to_contain_text("found: category")
    target = page.get_by_role("region", name="Target: income")
    expect(target.get_by_role("row")).to_have_count(3)
    expect(target).to_contain_text("2 classes")
    expect(warnings).not_to_contain_text("No target")
    versions = page.get_by_role("region", name="Versions")
    expect(versions.get_by_role("listitem")).to_have_count(2)
    assert violations(page) == []
    page.set_viewport_size(PHONE)
    assert overflows(page) == []
    page.set_viewport_size(DESKTOP)
    second = page.url
    assert second != first

    # The list counts rows, and nothing that learns from texts or images is offered the table.
    page.goto("/data/")
    expect(page.get_by_role("row", name=re.compile("Census"))).to_contain_text("400")
    for address in ("/runs/new", "/runs/new?method=classification", "/heads/new"):
        page.goto(address)
        expect(page.get_by_text("Census")).to_have_count(0)


def test_a_table_of_too_many_columns_is_refused_with_their_number(page: Page) -> None:
    wide = ",".join(f"c{n}" for n in range(100_000)) + "\n" + ",".join(["1"] * 100_000) + "\n"
    upload(page, "wide.csv", wide.encode(), "Wide")
    wait_state(page, "#version", "failed")
    expect(page.get_by_role("alert")).to_contain_text("100000 columns, and at most 1000 are taken")
