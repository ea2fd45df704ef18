"""Language models with labels: whole runs, by the command line and in this process."""

import json
import math
import subprocess
import sys

import numpy as np
import pytest

from tests.integration.training.labelled import prepared
from tests.integration.training.runs import Steps, built, named, run, told, validated
from tests.integration.training.tiny import MODEL, finish, start, write_dataset
from tests.small import SMALL, TOKENIZER, loud
from training.command_specs import ExportSpec, GenerateSpec, ImportSpec
from training.control.likelihood import Reader, pieces_of_texts
from training.data.tokenizer import Tokenizer
from training.engine.serve import open_generator
from training.errors import TrainingError
from training.events import EventLog
from training.interop import exporting, importing
from training.methods.registry import LOOP_METHODS
from training.methods.task_related.conditional_lm import unlabelled_twin
from training.weights.checkpoint import read_checkpoint, write_checkpoint

WORDS = {
    "sea": ["the whale", "a ship", "deep water", "the sea", "a sailor"],
    "city": ["the street", "a train", "tall house", "the bank", "a taxi"],
    "forest": ["the tree", "a deer", "green moss", "the wood", "a fox"],
}


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    """Texts of three classes, some longer than a sequence; a few quote the others' tokens."""
    random, lines = np.random.default_rng(5), []
    for number in range(150):
        name = list(WORDS)[number % 3]
        words = random.choice(WORDS[name], random.integers(2, 9))
        quoted = " <|control:sea|>" if number % 25 == 1 else ""
        text = " and ".join(words) + quoted + f" {number}"
        lines.append(json.dumps({"text": text, "kind": name}) + "\n")
    folder = tmp_path_factory.mktemp("data") / "d"
    return prepared(folder, "upload.jsonl", "".join(lines).encode(), label_field="kind")


def spec_of(dataset, **parts):
    spec = {
        "method": "conditional_lm",
        "seed": 3,
        "data": {"path": str(dataset)},
        "tokenizer": {"kind": "train", "vocabulary_size": 320},
        "model": MODEL,
        "training": {
            "steps": 220,
            "batch_size": 16,
            "sequence_length": 16,
            "warmup_steps": 2,
            "learning_rate": 0.03,
        },
        "evaluation": {
            "every": 55,
            "batches": 4,
            "checkpoint_every": 60,
            "sample_every": 110,
            "sample_tokens": 10,
            "judged": 8,
        },
        "devices": {"kind": "cpu"},
    }
    for name, part in parts.items():
        whole = isinstance(part, dict) and isinstance(spec.get(name), dict)
        spec[name] = {**spec[name], **part} if whole else part
    return {name: part for name, part in spec.items() if part is not None}


@pytest.fixture(scope="module")
def finished(dataset, tmp_path_factory):
    """A run by the command line that nothing disturbed, and its report."""
    out = tmp_path_factory.mktemp("finished") / "run"
    code, errors = finish(start(spec_of(dataset), out))
    assert code == 0, errors
    return out, json.loads((out / "report.json").read_text())


def of_samples(out):
    """Every sample by step, label and place, after what resumes made void."""
    found = {}
    for event in told_in_order(out):
        if event["kind"] == "resumed":
            found = {key: text for key, text in found.items() if key[0] <= event["step"]}
        elif event["kind"] == "sample":
            found[event["step"], event["label"], event["place"]] = event["text"]
    return found


def told_in_order(out):
    return [json.loads(line) for line in (out / "events.jsonl").read_text().splitlines()]


# --- what comes out -------------------------------------------------------------------------------


def test_labels_make_texts_likelier_and_it_writes_what_it_is_told(finished):
    _out, report = finished
    written = report["written"]
    perplexity = {name: one["value"] for name, one in written["perplexity"].items()}
    assert perplexity["true"] < perplexity["unlabelled"] < perplexity["wrong"]
    assert written["gap"]["interval"][0] > 0
    scores = written["bayes"]["scores"]
    assert scores["model"]["accuracy"] > scores["majority"]["accuracy"] + 0.3
    sides = written["sides"]
    assert sides["labelled"]["class_accuracy"] > 0.7
    assert sides["labelled"]["class_accuracy"] > sides["unlabelled"]["class_accuracy"] + 0.2
    assert sides["labelled"]["texts"] == sides["unlabelled"]["texts"] == 24
    assert written["changed"] == {"likelihood": True, "samples": True}
    assert written["classes"] == ["city", "forest", "sea"]


def test_labels_that_say_nothing_are_said_to_have_changed_nothing(dataset, tmp_path):
    """The same texts, each with a class that was drawn."""
    random, lines = np.random.default_rng(8), []
    for split in ("train", "validation", "test"):
        for line in (dataset / f"{split}.jsonl").read_text().splitlines():
            drawn = str(random.choice(list(WORDS)))
            lines.append(json.dumps({"text": json.loads(line)["text"], "kind": drawn}) + "\n")
    shuffled = prepared(tmp_path / "d", "d.jsonl", "".join(lines).encode(), label_field="kind")
    spec = spec_of(shuffled, training={"steps": 60}, evaluation={"every": 60, "sample_every": 60})
    found = run(tmp_path / "run", spec)["written"]
    assert found["changed"] == {"likelihood": False, "samples": False}
    assert abs(found["gap"]["value"]) < 0.05


def test_scores_and_curves_have_all_three_readings(finished):
    _out, report = finished
    for name in ("loss", "wrong_loss", "unlabelled_loss", "perplexity", "accuracy"):
        assert math.isfinite(report["after"]["validation"][name])
        assert math.isfinite(report["after"]["test"][name])
    for name in ("validation_loss", "validation_wrong_loss", "validation_unlabelled_loss"):
        assert [step for step, _value in report["curves"][name]] == [0, 55, 110, 165, 220]
    # Before the first step a label means nothing yet.
    before = report["before"]["validation"]
    assert before["wrong_loss"] == pytest.approx(before["loss"], abs=0.02)


def test_samples_are_a_row_for_each_label_and_one_without(finished):
    out, report = finished
    samples = of_samples(out)
    assert {step for step, _label, _place in samples} == {0, 110, 220}
    assert {label for _step, label, _place in samples} == {"sea", "city", "forest", ""}
    assert len(samples) == 3 * 4 * 2
    for moment in ("before", "after"):
        assert len(report["samples"][moment]) == 8
        assert report["samples"][moment][0].keys() == {"label", "place", "prompt", "text"}
    assert report["samples"]["before"] != report["samples"]["after"]


def test_the_checkpoint_says_its_labels_and_has_a_row_for_each(finished):
    out, _report = finished
    checkpoint = read_checkpoint(out / "checkpoint", verify=True)
    assert checkpoint.card["control"] == ["city", "forest", "sea"]
    tokenizer = Tokenizer.load(checkpoint.tokenizer_folder)
    assert list(tokenizer.control) == checkpoint.card["control"]
    assert checkpoint.config.vocab_size == tokenizer.size
    assert checkpoint.card["method"] == "conditional_lm"


def test_a_run_that_was_killed_goes_on_to_the_very_same_end(finished, dataset, tmp_path):
    whole, report = finished
    out = tmp_path / "run"
    killed = start(spec_of(dataset), out, GRAFT_FAULT="state.rename:3:kill")
    code, _errors = finish(killed)
    assert code not in (0, None)
    code, errors = finish(start(spec_of(dataset), out))
    assert code == 0, errors
    assert told(out, "resumed")
    assert of_samples(out) == of_samples(whole)
    ours = json.loads((out / "report.json").read_text())
    for name in ("before", "after", "best", "curves", "samples", "steps", "tokens", "written"):
        assert ours[name] == report[name], name
    same, other = (dict(read_checkpoint(one / "checkpoint").tensors()) for one in (out, whole))
    assert all(np.array_equal(same[name], other[name]) for name in other)


# --- what the model is told -----------------------------------------------------------------------


def test_no_batch_has_two_classes_in_a_sequence_and_some_have_no_label(dataset, tmp_path):
    task = built(spec_of(dataset, control={"unlabelled_share": 0.25}), tmp_path)
    control = task.loaded.tokenizer.control
    heads, blocks = [], task.loaded.labelled["train"]
    for index in range(40):
        inputs, targets, mask = task.batch(index)
        assert not np.isin(inputs[:, 1:], list(control.values())).any()
        assert not np.isin(targets[mask.astype(bool)], list(control.values())).any()
        heads += inputs[:, 0].tolist()
        again = task.batch(index)
        assert all(map(np.array_equal, (inputs, targets, mask), again))
    share = np.mean(np.array(heads) == task.end_of_text)
    assert 0.18 < share < 0.32
    assert set(heads) == {*control.values(), task.end_of_text}
    assert blocks.count > len(task.loaded.splits["train"])  # some texts have several pieces


def test_a_wrong_label_is_never_the_right_one_and_the_same_for_all_of_a_text(dataset, tmp_path):
    task = built(spec_of(dataset), tmp_path)
    blocks = task.loaded.labelled["validation"]
    wrong = task._wrong_labels("validation")
    assert (wrong != blocks.labels).all()
    assert set(wrong.tolist()) == {0, 1, 2}
    for text in range(int(blocks.texts[-1]) + 1):
        assert len(set(wrong[blocks.texts == text])) == 1


def test_likelihoods_are_those_of_a_plain_loop(dataset, tmp_path):
    task = built(spec_of(dataset), tmp_path)
    blocks, texts = task.loaded.labelled["test"], np.array([0, 4, 7])
    heads = [int(task.heads[0]), task.end_of_text]
    losses, tokens = Reader(task.model, 5).text_losses(blocks, texts, heads)
    for row, text in enumerate(texts):
        rows = np.flatnonzero(blocks.texts == text)[:4]
        assert pieces_of_texts(blocks, np.array([text]))[0].tolist() == rows.tolist()
        for column, head in enumerate(heads):
            inputs, targets, mask = blocks.take(rows, np.full(len(rows), head, np.int32))
            logits = np.asarray(task.model(inputs), np.float64)
            logits -= logits.max(-1, keepdims=True)
            logs = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
            told_by = np.take_along_axis(logs, targets[..., None], -1)[..., 0]
            assert losses[row, column] == pytest.approx(-(told_by * mask).sum(), rel=1e-5)
        assert tokens[row] == mask.sum()


def test_the_twin_without_labels_reads_the_same_tokens_and_knows_no_label(dataset, tmp_path):
    spec = validated(spec_of(dataset))
    twin = unlabelled_twin(spec)
    assert twin is not None
    assert unlabelled_twin(twin) is None
    mine, other = (
        built(one.model_dump(mode="json"), tmp_path / name)
        for name, one in (("labelled", spec), ("twin", twin))
    )
    for index in range(3):
        ours, theirs = mine.batch(index), other.batch(index)
        assert np.array_equal(ours[0][:, 1:], theirs[0][:, 1:])
        assert np.array_equal(ours[1], theirs[1])
        assert np.array_equal(ours[2], theirs[2])
        assert (theirs[0][:, 0] == other.end_of_text).all()
    assert other.loaded.tokenizer.control == {}
    assert other.loaded.config.vocab_size == mine.loaded.config.vocab_size - 3


def test_the_twin_s_report_has_its_perplexity_on_the_same_tokens(finished, dataset, tmp_path):
    _out, report = finished
    twin = unlabelled_twin(validated(spec_of(dataset, training={"steps": 4})))
    found = run(tmp_path / "twin", twin.model_dump(mode="json"))["written"]
    assert found["given"] is False
    assert found["perplexity"].keys() == {"unlabelled"}
    assert found["tokens"] == report["written"]["tokens"]
    assert {sample["label"] for sample in told(tmp_path / "twin", "sample")} == {""}
    assert "control" not in read_checkpoint(tmp_path / "twin" / "checkpoint").card


# --- from a source --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """A GPT-2 that knows no labels."""
    folder = tmp_path_factory.mktemp("plain") / "checkpoint"
    write_checkpoint(folder, SMALL, loud(SMALL), TOKENIZER, {})
    return folder


def from_source(dataset, source, **parts):
    return spec_of(
        dataset,
        source={"checkpoint": str(source)},
        tokenizer={"kind": "source"},
        model=None,
        **parts,
    )


def test_a_label_s_row_starts_as_the_mean_of_its_words(dataset, plain, tmp_path):
    task = built(from_source(dataset, plain), tmp_path)
    source = read_checkpoint(plain)
    before = dict(source.tensors())["transformer.wte.weight"]
    after = named(task)["transformer.wte.weight"]
    tokenizer = Tokenizer.load(source.tokenizer_folder)
    assert np.array_equal(after[: tokenizer.size], before[: tokenizer.size])
    assert task.loaded.config.vocab_size == len(before) + 3
    for name, number in task.loaded.tokenizer.control.items():
        words = tokenizer.encode(f" {name}")
        assert after[number] == pytest.approx(before[words].mean(0), abs=1e-6)
    (row,) = (row for row in task.plan.rows if row.target == "transformer.wte.weight")
    assert row.action == "map_tokens"
    assert row.reason.params["parts"] == 3
    assert task.weights_event["verified"]


def test_labels_that_the_source_knows_keep_their_rows(finished, dataset, tmp_path):
    out, _report = finished
    task = built(from_source(dataset, out / "checkpoint"), tmp_path)
    before = dict(read_checkpoint(out / "checkpoint").tensors())
    after = named(task)
    assert all(np.array_equal(after[name], before[name]) for name in before)
    assert list(task.loaded.tokenizer.control) == ["city", "forest", "sea"]


def test_a_plain_run_goes_on_from_a_model_with_labels(finished, tmp_path):
    out, _report = finished
    dataset = write_dataset(tmp_path / "text")
    spec = {
        **from_source(dataset, out / "checkpoint", training={"steps": 2}),
        "method": "causal_lm",
        "evaluation": {"every": 2, "batches": 1, "sample_every": 2, "sample_tokens": 4},
    }
    run(tmp_path / "run", spec)
    assert read_checkpoint(tmp_path / "run" / "checkpoint").card["control"] == [
        "city",
        "forest",
        "sea",
    ]


def test_lora_leaves_the_labels_rows_and_still_learns_from_them(dataset, plain, tmp_path):
    spec = from_source(
        dataset, plain, training={"lora": {"rank": 2}, "sequence_length": 8, "dropout": 0.1}
    )
    steps = Steps(spec, tmp_path).take(2)
    assert np.array_equal(
        steps.weights[0]["transformer.wte.weight"], steps.weights[-1]["transformer.wte.weight"]
    )
    assert all(math.isfinite(loss) for loss in steps.losses)


# --- writing --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def generator(finished):
    return open_generator(finished[0] / "checkpoint")


def asked(label, **parts):
    return GenerateSpec(checkpoint="", label=label, max_tokens=10, **parts)


def test_it_writes_texts_of_the_label_asked_for(generator):
    for name, phrases in WORDS.items():
        own = {word for phrase in phrases for word in phrase.split()[1:]}
        others = {
            word
            for other, of_other in WORDS.items()
            if other != name
            for phrase in of_other
            for word in phrase.split()[1:]
        }
        texts = " ".join(generator.complete(asked(name, seed=seed)) for seed in range(6)).split()
        assert sum(word in own for word in texts) > 2 * sum(word in others for word in texts)


def test_it_never_writes_a_control_token_and_keeps_the_label_past_its_context(generator):
    control = set(generator.tokenizer.control.values())
    assert generator.context == 32
    read = []
    kept, generator._read = generator._read, None

    def reads(ids, cache, length):
        read.append(list(ids))
        return kept(ids, cache, length)

    generator._read = reads
    try:
        request = GenerateSpec(checkpoint="", label="sea", max_tokens=90, temperature=5, top_p=1)
        tokens = list(generator._tokens(request))
    finally:
        del generator._read
    assert not control & set(tokens)
    assert len(read) > 2
    assert all(ids[0] == generator.tokenizer.control["sea"] for ids in read)


def test_several_texts_at_once_are_those_written_one_by_one(generator):
    tokenizer = generator.tokenizer
    labels, seeds = ["sea", "city", "", "forest"], [1, 2, 3, 4]
    starts = [generator.start("", label) for label in labels]
    together = generator.together(starts, seeds, asked(""))
    for label, seed, ids in zip(labels, seeds, together, strict=True):
        assert tokenizer.decode(ids) == generator.complete(asked(label, seed=seed))


def test_a_prompt_that_quotes_a_token_does_not_switch_the_class(generator):
    control = generator.tokenizer.control
    ids = generator.start("<|control:city|> the", "sea")
    assert ids[0] == control["sea"]
    assert control["city"] not in ids


def test_an_unknown_label_is_refused_with_those_that_there_are(generator, finished_run):
    with pytest.raises(TrainingError) as refused:
        generator.complete(asked("desert"))
    assert refused.value.code == "control_unknown"
    assert "city, forest, sea" in str(refused.value)
    with pytest.raises(TrainingError) as refused:
        open_generator(finished_run / "checkpoint").complete(asked("sea"))
    assert refused.value.code == "control_none"


def test_the_command_line_writes_with_a_label(finished, tmp_path):
    spec = {"checkpoint": str(finished[0] / "checkpoint"), "label": "forest", "max_tokens": 8}
    (tmp_path / "spec.json").write_text(json.dumps(spec))
    command = [sys.executable, "-m", "training", "generate", str(tmp_path / "spec.json")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.strip()


# --- out and in again -----------------------------------------------------------------------------


def test_it_is_exported_for_transformers_and_comes_back_with_its_labels(finished, tmp_path, events):
    from transformers import AutoTokenizer

    out, _report = finished
    spec = ExportSpec(checkpoint=str(out / "checkpoint"), format="huggingface")
    exporting.run(spec, tmp_path / "export", events)
    folder = tmp_path / "export" / "export"
    tokenizer = AutoTokenizer.from_pretrained(folder)
    control = Tokenizer.load(folder).control
    assert tokenizer("<|control:sea|>")["input_ids"] == [control["sea"]]
    assert json.loads((folder / "config.json").read_text())["vocab_size"] == len(tokenizer)
    assert "- `<|control:sea|>`" in (folder / "README.md").read_text()
    log = EventLog(tmp_path / "import.jsonl")
    importing.run(ImportSpec(kind="folder", path=str(folder)), tmp_path / "import", log)
    log.close()
    again = read_checkpoint(tmp_path / "import" / "checkpoint")
    assert again.card["control"] == ["city", "forest", "sea"]
    assert open_generator(again.folder).complete(asked("sea", seed=1))


# --- what is refused ------------------------------------------------------------------------------


def changed(dataset, folder, change):
    """The prepared data with another ``dataset.json`` or other rows."""
    folder.mkdir()
    for path in dataset.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    change(folder)
    return folder


def about(folder, change):
    content = json.loads((folder / "dataset.json").read_text())
    change(content)
    (folder / "dataset.json").write_text(json.dumps(content))


def only(folder, keep):
    """Keep the rows of which ``keep`` says so, in every split."""
    for split in ("train", "validation", "test"):
        path = folder / f"{split}.jsonl"
        rows = [json.loads(line) for line in path.read_text().splitlines()]
        path.write_text("".join(json.dumps(row) + "\n" for row in rows if keep(split, row)))


def one_text(folder):
    seen = []

    def keep(split, row):
        if split != "train" or row["label"] != "forest":
            return True
        seen.append(row)
        return len(seen) == 1

    only(folder, keep)


def without_labels(folder):
    path = folder / "train.jsonl"
    first, *others = path.read_text().splitlines()
    row = json.loads(first)
    del row["label"]
    path.write_text("\n".join([json.dumps(row), *others]) + "\n")


REFUSED = {
    "generate_one_class": lambda folder: about(
        folder, lambda found: found["labels"].update(classes=found["labels"]["classes"][:1])
    ),
    "generate_too_many_classes": lambda folder: about(
        folder,
        lambda found: found["labels"].update(
            classes=[{"name": f"{n}", "train": 5} for n in range(101)]
        ),
    ),
    "generate_class_too_small": one_text,
    "labels_are_numbers": lambda folder: about(
        folder, lambda found: found.update(labels={"field": "kind", "type": "number"})
    ),
    "method_needs_labelled_texts": lambda folder: about(
        folder, lambda found: found.update(kind="image")
    ),
    "dataset_without_labels": without_labels,
    "dataset_is_table": lambda folder: about(folder, lambda found: found.update(kind="table")),
}


@pytest.mark.parametrize("code", REFUSED)
def test_data_that_nothing_can_be_learned_from_are_refused(code, dataset, tmp_path, events):
    broken = changed(dataset, tmp_path / "broken", REFUSED[code])
    load = LOOP_METHODS["conditional_lm"].load
    with pytest.raises(TrainingError) as refused:
        load(validated(spec_of(broken)), tmp_path / "run", events)
    assert refused.value.code == code
    assert refused.value.field == "data.path"
