from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from tests.factories import Cast, make_summary, make_version
from tests.factories.datasets import LABELS, make_labelled
from webapp.datasets import figures
from webapp.jobs.models import State

HTMX = {"HX-Request": "true"}


def _get(client: Client, version: Any, **headers: str) -> str:
    return client.get(f"/data/versions/{version.pk}", headers=headers).content.decode()


def test_a_ready_version_shows_its_figures(alice: Client, cast: Cast) -> None:
    page = _get(alice, make_version(cast))
    for text in (
        "1,200",
        "98.8 k",
        "training",
        "validation",
        "1 documents are empty",
        "text, title",
    ):
        assert text in page
    assert "Dear reader 0" in page
    assert "hx-trigger" not in page


def test_it_leads_to_a_new_run(alice: Client, cast: Cast) -> None:
    version = make_version(cast)
    assert f"/runs/new?data={version.pk}" in _get(alice, version)


def test_the_histogram_has_a_table_beside_it(alice: Client, cast: Cast) -> None:
    page = _get(alice, make_version(cast))
    assert page.count("<rect") == 5
    assert "64 – 127" in page


def test_labelled_texts_show_their_classes(alice: Client, cast: Cast) -> None:
    version = make_labelled(cast)
    page = _get(alice, version)
    assert "2 classes from the column kind" in page
    assert "good &lt;b&gt;" in page
    assert "52.6%" in page
    assert [(one.name, one.examples, round(one.share, 3)) for one in figures.classes(version)] == [
        ("good <b>", [90, 5, 5], 0.526),
        ("bad", [81, 5, 4], 0.474),
    ]
    assert "classes from the column" not in _get(alice, make_version(cast, name="Plain"))


def test_many_classes_are_folded(alice: Client, cast: Cast) -> None:
    many = [{"name": f"class {n}", "train": 9, "validation": 1, "test": 1} for n in range(25)]
    page = _get(alice, make_version(cast, summary=make_summary(labels=LABELS | {"classes": many})))
    assert "class 24" in page
    assert page.index("Show the others") < page.index("class 20")


def test_a_preview_shows_each_text_s_label(alice: Client, cast: Cast) -> None:
    document = {"id": 1, "split": "train", "text": "Well done.", "characters": 10, "tokens": 3}
    version = make_version(cast, preview={"documents": [document | {"label": "praise"}]})
    assert '<span class="tag">praise</span>' in _get(alice, version)


def test_one_range_of_lengths_stands_in_a_scale(cast: Cast) -> None:
    only = {"from": 2048, "to": 4096, "documents": 500}
    shown = figures.bars(make_version(cast, summary=make_summary(lengths=[only])))
    assert [(bar.low, bar.high, bar.examples) for bar in shown] == [
        (512, 1023, 0),
        (1024, 2047, 0),
        (2048, 4095, 500),
        (4096, 8191, 0),
        (8192, 16383, 0),
    ]
    assert [bar.height > 0 for bar in shown] == [False, False, True, False, False]
    short = {"from": 1, "to": 2, "documents": 3}
    shown = figures.bars(make_version(cast, name="Short", summary=make_summary(lengths=[short])))
    assert [bar.low for bar in shown] == [1, 2, 4, 8, 16]


def test_the_dataset_is_shown_by_its_newest_version(alice: Client, cast: Cast) -> None:
    first = make_version(cast)
    make_version(cast, dataset=first.dataset, filename="newer.txt", state=State.FAILED)
    page = alice.get(f"/data/{first.dataset_id}").content.decode()
    assert "newer.txt" in page
    assert "Version 2" in page


def test_while_checking_it_polls_and_says_how_far_it_is(alice: Client, cast: Cast) -> None:
    job = {
        "phase": "reading",
        "fraction": 0.5,
        "live": {"detail": "1234"},
        "started_at": timezone.now() - timezone.timedelta(seconds=10),
    }
    version = make_version(cast, state=State.RUNNING, job=job, raw_size=2048)
    page = _get(alice, version)
    assert 'hx-trigger="every 2s"' in page
    assert "Reading and counting" in page
    assert "1,234" in page
    assert "50%" in page
    assert "B/s" in page
    assert "0:10" in page


def test_a_waiting_check_says_so(alice: Client, cast: Cast) -> None:
    assert "Waiting for a worker" in _get(alice, make_version(cast, state=State.QUEUED))


def test_polling_ends_by_omission(alice: Client, cast: Cast) -> None:
    live = make_version(cast, name="Live", state=State.RUNNING)
    done = make_version(cast, name="Done")
    assert "hx-trigger" in _get(alice, live, **HTMX)
    fragment = _get(alice, done, **HTMX)
    assert fragment.strip().startswith('<div id="version"')
    assert "hx-trigger" not in fragment


def test_a_fault_in_the_file_is_a_sentence_with_a_way_out(alice: Client, cast: Cast) -> None:
    params = {"line": 7, "character": 3, "detail": "Expecting value", "good": 6}
    job = {"error_code": "json_row_invalid", "error_params": params, "error_field": "path"}
    version = make_version(cast, state=State.FAILED, job=job)
    page = _get(alice, version)
    assert "Line 7 is not a complete JSON object" in page
    assert "is kept as it was uploaded" in page
    assert f"/data/versions/{version.pk}/again" in page


def test_text_from_a_file_is_never_markup(alice: Client, cast: Cast) -> None:
    version = make_version(cast)
    version.preview["documents"][0]["text"] = "<script>alert(1)</script>"
    version.save()
    page = _get(alice, version)
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert" in page


def test_the_same_content_points_to_the_earlier_version(alice: Client, cast: Cast) -> None:
    first = make_version(cast)
    second = make_version(cast, dataset=first.dataset, sha256=first.sha256)
    assert "already here as" in _get(alice, second)
    assert "already here as" not in _get(alice, first)


def test_other_teams_get_a_404(client: Client, cast: Cast) -> None:
    version = make_version(cast)
    client.force_login(cast.mallory)
    assert client.get(f"/data/versions/{version.pk}").status_code == 404
    assert client.get(f"/data/{version.dataset_id}").status_code == 404


def test_viewers_see_everything_and_no_buttons(client: Client, cast: Cast) -> None:
    client.force_login(cast.vera)
    page = _get(client, make_version(cast))
    assert "98.8 k" in page
    assert "/runs/new?data=" not in page
    assert "/edit" not in page


def test_a_sample_in_chinese_says_how_much_of_it_is(alice: Client, cast: Cast) -> None:
    assert "82%" in _get(alice, make_version(cast, summary=make_summary(script=0.82)))


@pytest.mark.parametrize("versions", [1, 6])
def test_queries_do_not_grow_with_the_versions(
    alice: Client, cast: Cast, versions: int, django_assert_num_queries: Any
) -> None:
    version = make_version(cast)
    for number in range(versions):
        make_version(cast, dataset=version.dataset, sha256=f"{number:064}")
    # Session, person, team; version, role, the same content, runs, heads, predictions, versions.
    with django_assert_num_queries(10):
        _get(alice, version)
