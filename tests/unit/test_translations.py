"""The Chinese catalogues: complete, faithful to placeholders and tags, as new as the sources."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from html.parser import HTMLParser
from pathlib import Path
from types import UnionType
from typing import Any, Union, get_args, get_origin

import polib
import pytest
from babel.messages.pofile import read_po
from django.test import Client
from django.utils.translation import gettext, override
from pydantic import BaseModel

from tests.factories import Cast, make_version
from tests.factories.checkpoints import make_import
from tests.factories.datasets import make_table
from tests.factories.heads import make_head
from tests.factories.playground import make_generation
from tests.factories.runs import make_run, make_source
from training.command_specs import COMMANDS
from training.errors import MESSAGES
from training.methods.registry import METHODS
from training.settings import PROBLEMS
from training.weights.plan import REASONS

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "locale/zh_Hans/LC_MESSAGES"
DOMAINS = ("django", "djangojs")

#: One English term, one Chinese term, on every page.
GLOSSARY = {
    "accuracy": "准确率",
    "checkpoint": "检查点",
    "data set": "数据集",
    "graphics card": "显卡",
    "learning rate": "学习率",
    "perplexity": "困惑度",
    "scratch twin": "从零对照",
    "tensor": "张量",
    "tokenizer": "分词器",
    "validation loss": "验证损失",
    "vocabulary": "词表",
    "weights": "权重",
    "worker": "工作进程",
}

#: Latin words that a page in Chinese holds as well: names, formats, units.
NAMES = {
    *("Graft", "GPT", "GPT-2", "LoRA", "Adam", "AdamW", "YAML", "CSV", "JSON", "Lines", "UTF-8"),
    *("SHA-256", "PyTorch", "Python", "TensorFlow", "Keras", "Hugging", "Face", "Hub", "Ctrl"),
    *("AUC", "ECE", "F1", "CLS", "TF-IDF", "BERT", "BLAKE3"),
    *("SimCLR", "BYOL", "SimSiam", "MoCo", "InfoNCE"),
    *("Wide", "Deep", "AdaGrad", "FTRL", "RMSE", "MAE", "R²", "log", "σ²"),
    *("HF_ENDPOINT", "English", "NaN", "Top-k", "Top-p", "Dropout", "KiB", "MiB", "GiB"),
}


def catalogue(domain: str, folder: Path = FOLDER) -> polib.POFile:
    return polib.pofile(str(folder / f"{domain}.po"))


def translations(entry: polib.POEntry) -> list[str]:
    return list(entry.msgstr_plural.values()) if entry.msgid_plural else [entry.msgstr]


# --- whole ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("domain", DOMAINS)
def test_every_text_is_translated_and_none_is_a_guess(domain: str) -> None:
    found = catalogue(domain)
    assert [entry.msgid for entry in found.untranslated_entries()] == []
    assert [entry.msgid for entry in found.fuzzy_entries()] == []
    assert [entry.msgid for entry in found.obsolete_entries()] == []


@pytest.mark.parametrize("domain", DOMAINS)
def test_chinese_has_one_form_for_any_number(domain: str) -> None:
    found = catalogue(domain)
    assert found.metadata["Plural-Forms"] == "nplurals=1; plural=0;"
    assert all(set(entry.msgstr_plural) == {0} for entry in found if entry.msgid_plural)


@pytest.mark.parametrize("domain", DOMAINS)
def test_babel_compiles_it_without_a_warning(domain: str) -> None:
    with (FOLDER / f"{domain}.po").open("rb") as file:
        found = read_po(file, domain=domain, abort_invalid=True)
    assert [(message.id, errors) for message, errors in found.check()] == []


# --- faithful -------------------------------------------------------------------------------------

PERCENT = re.compile(r"%(?:\(\w+\))?[sd%]")
BRACES = re.compile(r"\{\w*\}")
TAG = re.compile(r"</?\w[^>]*>")


def marks(text: str) -> Counter[str]:
    """What must be in the translation too, and how often."""
    return Counter(mark for pattern in (PERCENT, BRACES, TAG) for mark in pattern.findall(text))


@pytest.mark.parametrize("domain", DOMAINS)
def test_placeholders_and_tags_are_those_of_the_english_text(domain: str) -> None:
    differing = [
        (entry.msgid, text)
        for entry in catalogue(domain)
        for text in translations(entry)
        if marks(text) != marks(entry.msgid_plural or entry.msgid)
    ]
    assert differing == []


@pytest.mark.parametrize("domain", DOMAINS)
def test_a_sentence_ends_as_the_english_one_does(domain: str) -> None:
    ends = {".": "。", "?": "？", ":": "：", "…": "…"}
    differing = []
    for entry in catalogue(domain):
        wanted = ends.get(entry.msgid[-1], "")
        for text in translations(entry):
            # "…: %(detail)s." ends in a text of its own.
            if (text[-1] in "。？：…") != bool(wanted) or not text.endswith(wanted):
                differing.append((entry.msgid, text))
    assert differing == []


@pytest.mark.parametrize("domain", DOMAINS)
def test_a_term_is_always_translated_the_same(domain: str) -> None:
    differing = [
        (english, entry.msgid, text)
        for entry in catalogue(domain)
        for text in translations(entry)
        for english, chinese in GLOSSARY.items()
        if re.search(rf"\b{english}s?\b", PERCENT.sub("", entry.msgid), re.IGNORECASE)
        and chinese not in text
    ]
    assert differing == []


# --- as new as the sources ------------------------------------------------------------------------


def texts_of(model: type[BaseModel], seen: set[type[BaseModel]]) -> Iterator[str]:
    """Titles and descriptions of a spec's fields, and of the specs inside it."""
    if model in seen:
        return
    seen.add(model)
    for field in model.model_fields.values():
        yield from filter(None, (field.title, field.description))
        for option in options(field.annotation):
            if isinstance(option, type) and issubclass(option, BaseModel):
                yield from texts_of(option, seen)


def options(annotation: Any) -> tuple[Any, ...]:
    if get_origin(annotation) in (Union, UnionType):
        return get_args(annotation)
    return (annotation,)


def engine_texts() -> Iterator[str]:
    """What the engine says to people; it knows no gettext, so nothing else notices a lost mark."""
    seen: set[type[BaseModel]] = set()
    for model in COMMANDS.values():
        yield from texts_of(model, seen)
    for table in (MESSAGES, PROBLEMS, REASONS):
        yield from table.values()
    for method in METHODS.values():
        yield method.title
        yield method.summary


def test_every_sentence_of_the_engine_is_in_the_catalogue() -> None:
    known = {entry.msgid for entry in catalogue("django")}
    assert sorted(set(engine_texts()) - known) == []


WITHOUT_GETTEXT = (
    "WHETHER THE CATALOGUES ARE AS NEW AS THE SOURCES WAS NOT TESTED: there is no xgettext here "
    "(Debian: apt-get install gettext)."
)


@pytest.mark.skipif(shutil.which("xgettext") is None, reason=WITHOUT_GETTEXT)
@pytest.mark.parametrize("domain", DOMAINS)
def test_it_holds_the_texts_of_the_sources_and_no_others(domain: str, tmp_path: Path) -> None:
    """When this fails: ``make messages``, then translate what is new."""
    copy = tmp_path / "copy"
    unread = shutil.ignore_patterns("__pycache__", "vendor", "*.mo", "*.woff2", "*.vocab")
    for name in ("training", "webapp", "templates", "locale"):
        shutil.copytree(ROOT / name, copy / name, ignore=unread)
    shutil.copy(ROOT / "manage.py", copy)
    arguments = ["--domain", domain, "--locale", "zh_Hans", "--no-wrap", "--add-location", "file"]
    done = subprocess.run(
        [sys.executable, "manage.py", "makemessages", *arguments],
        cwd=copy,
        env=os.environ | {"GRAFT_DATA_DIR": str(tmp_path / "data")},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr

    def keys(found: polib.POFile) -> set[tuple[str, str, str]]:
        return {
            (entry.msgctxt or "", entry.msgid, entry.msgid_plural or "")
            for entry in found
            if not entry.obsolete
        }

    collected = keys(catalogue(domain, copy / "locale/zh_Hans/LC_MESSAGES"))
    held = keys(catalogue(domain))
    assert (sorted(collected - held), sorted(held - collected)) == ([], [])


# --- on the page ----------------------------------------------------------------------------------

#: Elements whose text is not for reading, or is people's own.
SILENT = {"script", "style", "pre", "code", "kbd", "svg", "textarea"}
VOID = {"br", "hr", "img", "input", "link", "meta", "path", "wbr", "source", "col"}
READ_ALOUD = {"title", "placeholder", "aria-label", "alt", "data-confirm"}


class Visible(HTMLParser):
    """Collects the texts of a page that people see or hear."""

    def __init__(self) -> None:
        super().__init__()
        self.inside: list[str] = []
        self.texts: list[str] = []
        self.value: str | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.texts += [value for name, value in attrs if name in READ_ALOUD and value]
        self.value = dict(attrs).get("value")
        if tag not in VOID:
            self.inside.append("pre" if dict(attrs).get("lang") else tag)

    def handle_endtag(self, tag: str) -> None:
        if self.inside and tag not in VOID:
            self.inside.pop()

    def handle_data(self, data: str) -> None:
        text = data.strip()
        # A choice that shows its own value (relu, gpt2) is a name.
        if text and text != self.value and not SILENT & set(self.inside):
            self.texts.append(text)


def visible(page: str) -> list[str]:
    # The root's language is the page's; a text that names another is meant to be in it.
    parser = Visible()
    parser.feed(re.sub(r"<html\b[^>]*>", "<html>", page))
    return parser.texts


def english(texts: Iterable[str], names: set[str]) -> list[str]:
    """Texts without Chinese, and with an English word that is no name."""
    han = re.compile(r"[\u4e00-\u9fff]")
    # Not gelu_new, owner/name, config.json or bfloat16: those are written so in any language.
    word = re.compile(r"(?<![\w./-])[A-Za-z][A-Za-z-]*[A-Za-z](?![\w/]|[.-]\w)")
    return [text for text in texts if not han.search(text) and set(word.findall(text)) - names]


@pytest.fixture
def reader(client: Client, cast: Cast) -> Client:
    """Alice, whose browser asks for Chinese."""
    assert (FOLDER / "django.mo").exists(), "The catalogues are not compiled: make catalogues"
    client.defaults["HTTP_ACCEPT_LANGUAGE"] = "zh-hans"
    client.force_login(cast.alice)
    return client


def test_a_browser_that_asks_for_chinese_gets_it(reader: Client) -> None:
    page = reader.get("/").content.decode()
    assert 'lang="zh-hans"' in page
    for name in ("首页", "数据", "训练任务", "检查点", "试写", "新建训练任务"):
        assert re.search(rf">\s*{name}</a>", page), name


def names_of(cast: Cast, *rows: object) -> set[str]:
    """Words of people's own making, which stay as they are."""
    people = " ".join(f"{one} {one.email}" for one in (cast.alice, cast.bob, cast.vera))
    return NAMES | set(re.findall(r"[A-Za-z]+", " ".join(map(str, (cast.team, people, *rows)))))


@pytest.mark.parametrize(
    "address",
    [
        *("/", "/data/", "/data/new", "/runs/", "/runs/new", "/checkpoints/"),
        *(
            "/checkpoints/import",
            "/playground/",
            "/heads/",
            "/heads/new",
            "/account/team",
            "/account/profile",
        ),
    ],
)
@pytest.mark.parametrize("full", [False, True], ids=["empty", "with rows"])
def test_nothing_english_is_left_on_a_page(
    address: str, full: bool, reader: Client, cast: Cast
) -> None:
    names = names_of(cast)
    if full:
        version, source = make_version(cast), make_source(cast)
        run = make_run(cast, version=version, source=source, twin=True)
        written = (version, version.filename, version.dataset.description, source)
        names = names_of(cast, *written, run.name, run.twin.name)
    page = reader.get(address).content.decode()
    assert english(visible(page), names) == []


def test_nothing_english_is_left_on_the_pages_of_one_thing(reader: Client, cast: Cast) -> None:
    source = make_source(cast)
    run = make_run(cast, source=source, twin=True)
    version = run.dataset_version
    generation = make_generation(cast, checkpoint=source)
    head = make_head(cast, checkpoint=source)
    pages = [
        *(f"/heads/{head.pk}", f"/heads/new?like={head.pk}"),
        *(f"/data/versions/{version.pk}", f"/data/versions/{version.pk}/again"),
        *(f"/data/{version.dataset_id}/edit", f"/data/{version.dataset_id}/add"),
        *(f"/runs/{run.pk}", f"/runs/{run.pk}/edit", f"/runs/{run.pk}/report"),
        *(f"/runs/compare?ids={run.pk},{run.twin.pk}", f"/runs/new?source={source.pk}"),
        *(f"/checkpoints/{source.pk}", f"/playground/{generation.group}"),
        f"/checkpoints/import/{make_import(cast).pk}",
    ]
    table = make_table(cast)
    pages += [f"/data/versions/{table.pk}", f"/data/versions/{table.pk}/again"]
    names = names_of(cast, version, version.filename, source, run.name, run.twin.name)
    columns = [column["name"] for column in table.summary["columns"]]
    names |= names_of(cast, table.dataset.name, table.filename, "yes <b>", "no", *columns)
    report = head.job.report
    names |= names_of(cast, head, head.dataset_version.dataset, *report["classes"])
    names |= names_of(cast, *[one["text"] for one in report["predictions"]])
    # What is in the data, and what was asked of the model.
    written = [one["text"] for one in version.preview["documents"]]
    written += [*version.summary["columns"], version.dataset.description, version.dataset.origin]
    written += [generation.settings["prompt"], source.manifest, "SHA-256"]
    # Queues, and values of settings as the spec has them.
    names |= names_of(cast, *written, "cpu", "source", "checkpoint")
    left = {page: english(visible(reader.get(page).content.decode()), names) for page in pages}
    assert {page: texts for page, texts in left.items() if texts} == {}


def test_a_refusal_of_the_engine_is_said_in_chinese() -> None:
    with override("zh-hans"):
        assert gettext(MESSAGES["file_empty"]) == "文件为空。请选择有文本的文件。"


# --- in the templates -----------------------------------------------------------------------------

MARKED = re.compile(
    r"\{#.*?#\}|\{% comment %\}.*?\{% endcomment %\}"
    r"|\{% blocktranslate\b.*?\{% endblocktranslate %\}|\{%.*?%\}|\{\{.*?\}\}",
    re.DOTALL,
)


def test_no_text_of_a_template_is_left_unmarked() -> None:
    """A simple look at what stands between tags, and in attributes that are shown or read aloud."""
    unmarked = {}
    for path in sorted((ROOT / "templates").rglob("*.html")):
        if path.name == "500.html":  # in both languages, without gettext
            continue
        # A mark of its own per cut, so that tags on both sides of it stay apart.
        literal = MARKED.sub(" ", path.read_text())
        if found := english(visible(literal), NAMES):
            unmarked[str(path.relative_to(ROOT))] = found
    assert unmarked == {}


def test_the_look_finds_what_is_unmarked() -> None:
    page = '{% load i18n %}<p title="Seen">Some text</p><code>ignored</code>{% translate "Fine" %}'
    assert english(visible(MARKED.sub(" ", page)), NAMES) == ["Seen", "Some text"]
