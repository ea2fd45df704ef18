"""Files on their way: dropped, cut off, continued, refused, and without a script."""

from __future__ import annotations

import base64
import json
import re
from typing import Any

from playwright.sync_api import Page, Route, expect

from tests.browser.story import PAGE_S, People, Portal, choose, drop, jsonl, until, wait_state

MIB = 1024 * 1024
TEXTS = [f"Document {number} tells of whales, ships and the sea." for number in range(400)]


def _filled(name: str) -> bytes:
    """A file of several pieces: more than one PATCH of 8 MiB."""
    line = jsonl([f"{name} {'and the sea ' * 80}"])
    return line * (18 * MIB // len(line))


def _arrived(page: Page) -> Any:
    return page.locator(".upload-done")


def test_a_dropped_file_arrives_is_checked_and_counted(people: People) -> None:
    page = people.page()
    page.goto("/data/new")
    drop(page, "[data-upload-drop]", [("sea_stories.jsonl", jsonl(TEXTS))])
    expect(_arrived(page)).to_contain_text("arrived")
    # The file's name is offered as the data's.
    expect(page.get_by_label("Name", exact=True)).to_have_value("sea stories")
    page.get_by_label("Origin and licence").fill("Made up for this test.")
    page.get_by_role("button", name="Check and count it").click()
    page.wait_for_url("**/data/versions/*")
    wait_state(page, "#version", "succeeded")
    expect(page.locator(".figures")).to_contain_text("400")
    expect(page.get_by_role("heading", name="Preview")).to_be_visible()
    expect(page.get_by_role("link", name="New run with this data")).to_be_visible()


def test_sending_the_form_early_waits_for_the_file(people: People) -> None:
    page = people.page()
    page.goto("/data/new")
    held: list[Route] | None = []

    def hold(route: Route) -> None:
        if held is None:
            route.continue_()
        else:
            held.append(route)

    page.route("**/data/uploads/*", hold)
    choose(page, "early.jsonl", jsonl(TEXTS))
    page.get_by_role("button", name="Check and count it").click()
    waiting = page.get_by_role("button", name=re.compile("Goes on when"))
    expect(waiting).to_be_disabled()
    waiting_requests, held = held, None
    for route in waiting_requests:
        route.continue_()
    page.wait_for_url("**/data/versions/*")


def test_cut_off_keeps_what_arrived_and_continues(people: People, portal: Portal) -> None:
    page = people.page()
    page.goto("/data/new")
    pieces = 0

    def cut_the_third(route: Route) -> None:
        nonlocal pieces
        if route.request.method == "PATCH":
            pieces += 1
            if pieces > 2:
                route.abort("connectionreset")
                return
        route.continue_()

    page.clock.install()  # so that the pauses between tries pass at once
    page.route("**/data/uploads/*", cut_the_third)
    choose(page, "cut.jsonl", _filled("cut"))
    item = page.locator("[data-upload-list] .upload-item")

    def given_up() -> bool:
        page.clock.run_for(4000)
        page.wait_for_timeout(100)
        return item.get_by_role("button", name="Continue").is_visible()

    until(given_up, PAGE_S, "the last try")
    expect(item).to_contain_text(re.compile(r"Cut off\. \d+% arrived and is kept"))
    (row,) = portal.rows("SELECT * FROM datasets_upload WHERE filename = 'cut.jsonl'")
    assert row["received"] == 16 * MIB
    page.unroute("**/data/uploads/*")
    item.get_by_role("button", name="Continue").click()
    expect(_arrived(page)).to_contain_text("arrived")


def test_after_a_reload_only_the_rest_is_sent(people: People) -> None:
    page = people.page()
    page.goto("/data/new")
    content = _filled("reload")
    sent = 0

    def one_piece(route: Route) -> None:
        nonlocal sent
        if route.request.method == "PATCH":
            sent += 1
            if sent > 1:
                return  # never answered: the page is closed meanwhile
        route.continue_()

    page.route("**/data/uploads/*", one_piece)
    file = people.portal.folder / "reload.jsonl"
    file.write_bytes(content)  # the same file with the same date, as a person has it
    page.locator("input[type=file][name=file]").set_input_files(file)
    expect(page.locator(".upload-note").first).to_contain_text("%")
    bar = page.locator("[data-upload-list] .bar")

    def first_piece_arrived() -> bool:
        page.wait_for_timeout(50)
        return bool(bar.evaluate("bar => bar.value") >= 400)

    until(first_piece_arrived, PAGE_S, "the first piece")
    page.on("dialog", lambda dialog: dialog.accept())
    page.goto("/data/new")
    # Only now: what is held back would be let through, and the second piece arrive after all.
    page.unroute_all(behavior="ignoreErrors")
    expect(page.get_by_role("heading", name="Cut off on the way")).to_be_visible()
    row = page.locator("[data-unfinished]", has_text="reload.jsonl")
    expect(row).to_contain_text(re.compile(r"4\d% of"))
    offsets: list[int] = []
    page.on(
        "request",
        lambda request: (
            offsets.append(int(request.headers["upload-offset"]))
            if request.method == "PATCH"
            else None
        ),
    )
    page.locator("input[type=file][name=file]").set_input_files(file)
    expect(_arrived(page)).to_contain_text("arrived")
    assert min(offsets) >= 8 * MIB
    expect(row).to_have_count(0)


def test_what_was_cut_off_can_be_discarded_without_losing_what_was_typed(people: People) -> None:
    page = people.page()
    page.goto("/data/new")
    headers = json.loads(page.locator("body").get_attribute("hx-headers") or "")
    name = base64.b64encode(b"unwanted.jsonl").decode()
    headers |= {"Tus-Resumable": "1.0.0", "Upload-Length": "1000"}
    headers |= {"Upload-Metadata": f"filename {name}"}
    assert page.request.post("/data/uploads", headers=headers).status == 201
    page.reload()
    row = page.locator("[data-unfinished]", has_text="unwanted.jsonl")
    page.get_by_label("Description").fill("Still here")
    row.get_by_role("button", name="Discard").click()
    expect(row).to_have_count(0)
    expect(page.get_by_label("Description")).to_have_value("Still here")


def test_an_empty_file_is_refused_at_once_with_a_sentence(people: People) -> None:
    page = people.page()
    page.goto("/data/new")
    choose(page, "empty.txt", b"")
    expect(page.locator("[data-upload-list] .upload-note")).to_have_text(
        re.compile("The file is empty")
    )


def test_a_zip_is_refused_at_the_file_and_nothing_typed_is_lost(people: People) -> None:
    page = people.page()
    page.goto("/data/new")
    choose(page, "letters.docx", b"PK\x03\x04" + bytes(100))
    expect(_arrived(page)).to_be_visible()
    page.get_by_label("Description").fill("From my aunt")
    page.get_by_role("button", name="Check and count it").click()
    expect(page.locator("#file-error")).to_contain_text("ZIP archive")
    expect(page.get_by_label("Description")).to_have_value("From my aunt")


def test_a_bad_row_is_named_and_the_file_need_not_be_sent_again(people: People) -> None:
    page = people.page()
    page.goto("/data/new")
    content = jsonl(TEXTS).replace(b'"body"', b'"text"') + b'{"text": "cut off\n'
    choose(page, "one_bad_row.jsonl", content)
    page.get_by_role("button", name="Check and count it").click()
    page.wait_for_url("**/data/versions/*")
    wait_state(page, "#version", "failed")
    expect(page.locator(".problem-text")).to_contain_text("Line 401")
    expect(page.get_by_text("is kept as it was uploaded")).to_be_visible()
    page.get_by_role("link", name="Check again with other settings").click()
    page.get_by_label("Format").select_option("text")
    page.get_by_role("button", name="Check again").click()
    page.wait_for_url("**/data/versions/*")
    wait_state(page, "#version", "succeeded")


def test_without_a_script_the_form_does_it_all(people: People) -> None:
    people.page()
    page = people.context("admin", java_script_enabled=False).new_page()
    page.goto("/data/new")
    choose(page, "plain.jsonl", jsonl(TEXTS))
    page.get_by_label("Name", exact=True).fill("Without a script")
    page.get_by_role("button", name="Check and count it").click()
    page.wait_for_url("**/data/versions/*")
    expect(page.get_by_role("heading", name="Without a script")).to_be_visible()
