from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from tests.factories import Cast, make_upload
from tests.factories.checkpoints import make_checkpoint, make_import
from training.backbones.registry import BACKBONES, SELF_CONTAINED
from training.command_specs import ImportSpec
from webapp.accounts.models import AuditEvent
from webapp.checkpoints.models import CheckpointImport
from webapp.checkpoints.uploads import below_root
from webapp.datasets.models import Upload
from webapp.jobs.models import Job, State

HUB = "/checkpoints/import?tab=hub"
FOLDER = "/checkpoints/import?tab=folder"


def test_a_viewer_may_not_import(client: Client, cast: Cast) -> None:
    client.force_login(cast.vera)
    assert client.get(HUB).status_code == 403
    assert client.post(HUB, {"repository": "gpt2"}).status_code == 403


def test_a_name_on_the_hub_becomes_a_job(alice: Client) -> None:
    answer = alice.post(HUB, {"repository": " openai-community/gpt2 ", "revision": "", "name": ""})
    row = CheckpointImport.objects.get()
    assert answer["Location"] == f"/checkpoints/import/{row.pk}"
    assert (row.name, row.job.kind, row.job.queue) == ("gpt2", "import_hub", "io")
    spec = ImportSpec.model_validate(row.job.spec)
    assert (spec.kind, spec.repository, spec.revision) == ("hub", "openai-community/gpt2", "main")
    assert spec.endpoint == ""
    assert AuditEvent.objects.filter(action="checkpoint.import", object_id=str(row.pk)).exists()


def test_a_pasted_address_is_understood(alice: Client) -> None:
    alice.post(HUB, {"repository": "https://huggingface.co/openai-community/gpt2/"})
    assert CheckpointImport.objects.get().repository == "openai-community/gpt2"


def test_the_endpoint_of_this_machine_is_the_default(
    alice: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9999")
    assert "http://127.0.0.1:9999" in alice.get(HUB).content.decode()
    alice.post(HUB, {"repository": "gpt2", "endpoint": "http://mirror.example/"})
    assert CheckpointImport.objects.get().job.spec["endpoint"] == "http://mirror.example"


@pytest.mark.parametrize(
    ("typed", "field"),
    [
        ({"repository": ""}, "repository"),
        ({"repository": "a/b/c"}, "repository"),
        ({"repository": "../etc"}, "repository"),
        ({"repository": "gpt2", "endpoint": "ftp://x"}, "endpoint"),
    ],
)
def test_what_is_wrong_is_said_at_the_field(
    alice: Client, typed: dict[str, str], field: str
) -> None:
    answer = alice.post(HUB, typed)
    assert answer.status_code == 422
    assert answer.context["hub"].errors.keys() == {field}
    assert not Job.objects.exists()


def test_a_failed_import_can_be_changed_with_its_sentence_at_the_field(
    alice: Client, cast: Cast
) -> None:
    row = make_import(
        cast,
        job={
            "state": State.FAILED,
            "error_code": "hub_not_found",
            "error_field": "repository",
            "error_params": {"repository": "gpt22", "endpoint": "https://huggingface.co"},
        },
    )
    form = alice.get(f"{HUB}&from={row.pk}").context["hub"]
    assert "There is no model gpt22" in form.errors["repository"][0]
    assert alice.get(f"{HUB}&from=nonsense").status_code == 200


def _files(*names: str, content: bytes = b"x") -> dict[str, Any]:
    return {"chosen": [SimpleUploadedFile(name, content) for name in names]}


def test_a_plain_form_with_many_files_becomes_a_job(alice: Client) -> None:
    answer = alice.post(FOLDER, _files("config.json", "model.safetensors") | {"name": "Mine"})
    row = CheckpointImport.objects.get()
    assert answer["Location"] == f"/checkpoints/import/{row.pk}"
    assert (row.name, row.origin, row.job.kind) == ("Mine", "upload", "import_folder")
    assert row.manifest.keys() == {"config.json", "model.safetensors"}


def test_files_sent_in_pieces_keep_their_folder(alice: Client, cast: Cast) -> None:
    sent = [
        make_upload(cast, filename=path.rsplit("/", 1)[-1])
        for path in ("m/config.json", "m/model.safetensors", "m/sub/x.txt", "m/.DS_Store")
    ]
    paths = ("m/config.json", "m/model.safetensors", "m/sub/x.txt", "m/.DS_Store")
    for upload, path in zip(sent, paths, strict=True):
        Upload.objects.filter(pk=upload.pk).update(relative_path=path)
    alice.post(FOLDER, {"upload": [upload.pk for upload in sent]})
    row = CheckpointImport.objects.get()
    assert row.name == "m"  # the folder's
    assert row.manifest.keys() == {"config.json", "model.safetensors", "sub/x.txt"}


def test_a_cut_upload_is_not_taken(alice: Client, cast: Cast) -> None:
    upload = make_upload(cast, filename="config.json")
    Upload.objects.filter(pk=upload.pk).update(size=upload.size + 1)
    answer = alice.post(FOLDER, {"upload": [upload.pk]})
    assert answer.status_code == 422
    assert "did not arrive completely" in str(answer.context["folder"].errors)


def test_somebody_else_s_upload_is_not_taken(client: Client, cast: Cast) -> None:
    upload = make_upload(cast, filename="config.json")
    client.force_login(cast.bob)
    assert client.post(FOLDER, {"upload": [upload.pk]}).status_code == 422
    assert not CheckpointImport.objects.exists()


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (("a.safetensors", "b.safetensors"), "There is no config.json"),
        (("config.json",), "There are no weights"),
        (("config.json", "tokenizer.json"), "There are no weights"),
        (("config.json", "pytorch_model.bin"), "can run code"),
        # Keras's weights of old are no safetensors when a configuration lies beside them.
        (("config.json", "tf_model.h5"), "can run code"),
        (("tf_model.h5",), "There is no config.json"),
        (("a.keras", "b.weights.h5"), "several Keras files"),
        ((), "Choose the model"),
    ],
)
def test_no_model_is_said_at_once_and_not_kept(
    alice: Client, names: tuple[str, ...], said: str
) -> None:
    answer = alice.post(FOLDER, _files(*names) if names else {})
    assert answer.status_code == 422
    assert said in str(answer.context["folder"].errors)
    assert not Job.objects.exists()
    assert not Upload.objects.exists()


@pytest.mark.parametrize("name", ["model.keras", "model.weights.h5"])
def test_a_keras_file_is_a_model_with_the_tokenizer_around_it(name: str) -> None:
    files: dict[str, dict[str, Any]] = {
        path: {} for path in (f"x/{name}", "x/tokenizer/vocab.json", "notes.txt")
    }
    assert below_root(files).keys() == {name, "tokenizer/vocab.json"}


def test_a_keras_file_becomes_a_job(alice: Client) -> None:
    alice.post(FOLDER, _files("model.keras"))
    row = CheckpointImport.objects.get()
    assert (row.job.kind, list(row.manifest)) == ("import_folder", ["model.keras"])


def test_progress_ends_by_omission_and_leads_to_the_checkpoint(alice: Client, cast: Cast) -> None:
    row = make_import(cast, job={"state": State.RUNNING, "phase": "downloading", "fraction": 0.25})
    row.progress = {"bytes": 1 << 20, "total_bytes": 4 << 20, "bytes_per_s": 1 << 20}
    row.save()
    url = f"/checkpoints/import/{row.pk}"
    page = alice.get(url).content.decode()
    assert 'hx-trigger="every 2s"' in page
    assert "4.0 MiB" in page
    assert "0:03" in page  # left
    Job.objects.filter(pk=row.job_id).update(state=State.FAILED, error_code="hub_offline")
    fragment = alice.get(url, headers={"HX-Request": "true"}).content.decode()
    assert "hx-trigger" not in fragment
    assert "Downloads are switched off" in fragment
    assert f"{url}/retry" in fragment
    row.checkpoint = make_checkpoint(cast)
    row.save()
    assert alice.get(url)["Location"] == f"/checkpoints/{row.checkpoint_id}"
    moved = alice.get(url, headers={"HX-Request": "true"})
    assert moved["HX-Redirect"] == f"/checkpoints/{row.checkpoint_id}"


def test_try_again_and_cancel(alice: Client, cast: Cast) -> None:
    row = make_import(cast, job={"state": State.FAILED, "error_code": "hub_offline"})
    url = f"/checkpoints/import/{row.pk}"
    alice.post(f"{url}/retry")
    row.job.refresh_from_db()
    assert row.job.state == State.QUEUED
    alice.post(f"{url}/cancel")
    row.job.refresh_from_db()
    assert row.job.state == State.CANCELLED
    assert (
        "has changed in the meantime" in alice.post(f"{url}/cancel", follow=True).content.decode()
    )


def test_others_may_look_or_not_even_that(client: Client, cast: Cast) -> None:
    row = make_import(cast)
    client.force_login(cast.vera)
    assert client.get(f"/checkpoints/import/{row.pk}").status_code == 200
    assert client.post(f"/checkpoints/import/{row.pk}/cancel").status_code == 403
    client.force_login(cast.mallory)
    assert client.get(f"/checkpoints/import/{row.pk}").status_code == 404
    assert client.post(f"/checkpoints/import/{row.pk}/cancel").status_code == 404


def test_one_file_of_weights_may_be_an_image_network_s() -> None:
    assert below_root({"downloads/resnet50.safetensors": {}}).keys() == {"resnet50.safetensors"}


def test_the_page_names_every_architecture(client: Client, cast: Cast) -> None:
    client.force_login(cast.alice)
    page = client.get(HUB).content.decode()
    assert all(BACKBONES[name].title in page for name in SELF_CONTAINED)
