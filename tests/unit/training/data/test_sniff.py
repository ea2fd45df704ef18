"""Files are judged by content: a name never makes a pickle text."""

import gzip
import io
import pickle
import subprocess
import sys
import zipfile

import pytest

from training.data.sniff import likely_encoding, sniff
from training.errors import MESSAGES

CHINESE = "床前明月光，疑是地上霜。举头望明月，低头思故乡。白日依山尽，黄河入海流。" * 5
TRADITIONAL = "床前明月光，疑是地上霜。舉頭望明月，低頭思故鄉。白日依山盡，黃河入海流。" * 5


def zipped() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("a.txt", "text")
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("head", "code", "kind"),
    [
        (b"", "file_empty", ""),
        *[
            (pickle.dumps(value, protocol), "content_pickle", "pickle")
            for protocol in range(2, 6)
            for value in ({"a": [1, 2]}, [1], "text", b"bytes", (1,), 1.5, 7, 300, None, set())
        ],
        (pickle.dumps({"a": [1, 2]}, 0), "content_pickle", "pickle"),
        (b"cposix\nsystem\n(S'id'\ntR.", "content_pickle", "pickle"),
        (zipped(), "content_archive", "ZIP"),
        (gzip.compress(b"text", mtime=0), "content_archive", "gzip"),
        (bytes(257) + b"ustar\x0000", "content_archive", "tar"),
        (b"\x89PNG\r\n\x1a\n" + bytes(20), "content_image", "PNG"),
        (b"\xff\xd8\xff\xe0" + bytes(20), "content_image", "JPEG"),
        (b"RIFF\x00\x00\x00\x00WEBPVP8 ", "content_image", "RIFF"),
        (b"RIFF\x00\x00\x00\x00WAVEfmt ", "content_binary", "RIFF"),
        (b"\x00\x00\x00\x20ftypisom", "content_binary", "MP4"),
        (b"\x89HDF\r\n\x1a\n" + bytes(20), "content_model", "HDF5"),
        (b"\x40\x00\x00\x00\x00\x00\x00\x00" + b'{"a":{}}', "content_model", "safetensors"),
        (b"\x93NUMPY\x01\x00", "content_model", "NumPy"),
        (b"PAR1\x15\x04", "content_table", "Parquet"),
        (b"SQLite format 3\x00", "content_table", "SQLite"),
        (b"%PDF-1.7\n", "content_document", "PDF"),
        (b"\x7fELF\x02\x01", "content_binary", "ELF"),
        (b"some text\x00more", "content_binary", "NUL"),
        (bytes(range(1, 32)) * 10, "content_binary", "binary"),
        ("no mark".encode("utf-16-le"), "content_utf16", "UTF-16"),
        ("no mark".encode("utf-16-be"), "content_utf16", "UTF-16"),
        (b"text", "text", "utf-8"),
        (b"\xef\xbb\xbftext", "text", "utf-8"),
        ("text".encode("utf-16"), "text", "utf-16-le"),
        (b"\xfe\xff" + "text".encode("utf-16-be"), "text", "utf-16-be"),
        ("text".encode("utf-32"), "text", "utf-32-le"),
        (CHINESE.encode(), "text", "utf-8"),
        (CHINESE.encode("gb18030"), "text", "utf-8"),  # found out when it is decoded
        (b"call me\nIshmael\n", "text", "utf-8"),
        (b"PK is not always a zip", "text", "utf-8"),
        (b"\x1b[31mcoloured\x1b[0m log\r\n\t", "text", "utf-8"),
    ],
)
def test_content_is_told_by_its_first_bytes(head, code, kind):
    content = sniff(head)
    assert (content.code, content.kind) == (code, kind)
    if code != "text":
        assert code in MESSAGES
        assert str(content.refusal())


@pytest.mark.parametrize(
    ("text", "codec", "name"),
    [
        (CHINESE, "gb18030", "GB18030"),
        (CHINESE, "gbk", "GB18030"),
        (TRADITIONAL, "big5", "Big5"),
        ("吾輩は猫である。名前はまだ無い。どこで生れたか。" * 5, "shift_jis", "Shift JIS"),
        ("나는 고양이로소이다 이름은 아직 없다 " * 5, "euc_kr", "EUC-KR"),
        ("Der Fluß fließt über Äcker; naïve café." * 5, "latin-1", "Windows-1252 (Latin-1)"),
        ("“Curly quotes” — and dashes." * 5, "cp1252", "Windows-1252 (Latin-1)"),
    ],
)
def test_an_encoding_is_guessed_even_from_a_cut_sample(text, codec, name):
    data = text.encode(codec)
    assert likely_encoding(data) == name
    assert likely_encoding(data[:-1]) == name


def test_random_bytes_suggest_no_encoding():
    assert likely_encoding(bytes(range(256)) * 4) is None


def test_the_web_process_may_import_it():
    code = (
        "import sys, training.data.sniff\n"
        "heavy = {'numpy', 'tokenizers', 'tensorflow', 'pydantic'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
