"""A table from its upload to a version, through a real job with the real engine in its sandbox."""

from __future__ import annotations

import random

import pytest

from tests.factories import Cast, make_cast, make_upload
from training.data.prepare_spec import PrepareSpec
from training.data.tables import read_table
from webapp import storage
from webapp.datasets import services
from webapp.datasets.models import DatasetVersion
from webapp.jobs import supervisor
from webapp.jobs.models import State
from webapp.jobs.selectors import error_sentence
from webapp.jobs.supervisor import Supervisor
from webapp.jobs.transitions import claim

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def people(transactional_db: None, monkeypatch: pytest.MonkeyPatch) -> Cast:
    monkeypatch.setattr(supervisor, "POLL_S", 0.05)
    return make_cast()


def houses(count: int = 120) -> bytes:
    draw = random.Random(0)
    lines = ["rooms;area;heating;note;price"]
    for number in range(count):
        rooms = draw.randint(1, 40)
        area = rooms * 18 + draw.gauss(0, 5)
        heating = draw.choice(["gas", "oil", "NA"])
        price = "" if number < 10 else round(area * 2.5)
        lines.append(f"{rooms};{area:.2f};{heating};seen by visitor number {number};{price}")
    return "\n".join(lines).encode()


def checked(version: DatasetVersion) -> DatasetVersion:
    """Run the version's job to its end."""
    claimed = claim(version.job_id, version.job.attempt + 1, "test")
    assert claimed is not None
    Supervisor(claimed).run()
    return DatasetVersion.objects.select_related("job", "dataset").get(pk=version.pk)


def created(people: Cast, content: bytes, **settings: object) -> DatasetVersion:
    upload = make_upload(people, content, filename="houses.csv")
    return services.dataset_create(
        name="Houses",
        description="",
        origin="",
        raw=services.raw_of_upload(upload),
        spec=PrepareSpec.model_validate({"path": "", **settings}),
        team=people.team,
        owner=people.alice,
    )


def test_a_table_is_uploaded_once_and_checked_with_several_choices(
    people: Cast, tmp_path: object
) -> None:
    first = checked(created(people, houses()))
    assert (first.job.state, first.kind) == (State.SUCCEEDED, "table")
    types = {column["name"]: column["type"] for column in first.summary["columns"]}
    assert types == {
        "rooms": "number",
        "area": "number",
        "heating": "category",
        "note": "ignored",
        "price": "number",
    }
    assert len(first.preview["rows"]) == 12

    spec = PrepareSpec(path="", format="table", targets=["price"], columns={"rooms": "category"})
    second = checked(services.version_check_again(version=first, spec=spec, actor=people.alice))
    assert second.number == 2
    assert second.raw_blake3 == first.raw_blake3
    assert second.sha256 != first.sha256
    assert second.summary["counts"]["unlabelled"] == 10
    folder = tmp_path / "dataset"
    storage.materialise(second.manifest, folder)
    train = read_table(folder, "train")
    assert train is not None
    assert len(train) == second.summary["splits"]["train"]["rows"]
    assert [column.name for column in train.number_columns] == ["area"]
    assert train.targets[0].present.all()

    with pytest.raises(services.SameContent):
        services.version_check_again(version=second, spec=spec, actor=people.alice)


def test_what_is_refused_leaves_nothing_but_the_upload(people: Cast) -> None:
    version = checked(created(people, houses(), format="table", targets=["floor"]))
    assert version.job.state == State.FAILED
    assert version.job.error_field == "targets"
    assert error_sentence(version.job).startswith("There is no column floor. The columns are: ")
    assert (version.sha256, version.manifest, version.summary) == ("", {}, {})
    # The file is kept, and checked again without sending it once more.
    spec = PrepareSpec(path="", format="table", targets=["heating"])
    again = services.version_check_again(version=version, spec=spec, actor=people.alice)
    again = checked(again)
    assert (again.number, again.job.state) == (1, State.SUCCEEDED)
    assert [one["name"] for one in again.summary["targets"][0]["classes"]] != []


def test_a_hostile_parquet_file_is_refused_with_a_sentence(people: Cast) -> None:
    content = b"PAR1" + b"\x15\x04" * 40 + (76).to_bytes(4, "little") + b"PAR1"
    version = checked(created(people, content, format="table"))
    assert version.job.state == State.FAILED
    assert version.job.error_code == "parquet_broken"
    assert version.manifest == {}
