"""Images of an archive: decoded with care, labelled, split, and findable one by one."""

import csv
import io
import json
import struct
import zipfile
import zlib

import numpy as np
import pytest
from PIL import Image

from tests.pictures import archive, class_folders, encoded, picture
from training.data.image_files import MOST_PIXELS, ImageRefused, read_image, read_png, write_png
from training.errors import TrainingError


def rows(folder) -> dict[str, list[dict]]:
    return {
        path.stem: [json.loads(line) for line in path.read_text().splitlines()]
        for path in folder.glob("*.jsonl")
    }


def pixels(folder, split: str, row: dict) -> np.ndarray:
    """An image as whoever shows it reads it: by its place in the split's ZIP."""
    content = (folder / f"{split}.zip").read_bytes()
    return read_png(content[row["offset"] : row["offset"] + row["size"]])


def listed(entries: dict[str, str], columns=("file_name", "label")) -> str:
    table = io.StringIO()
    writer = csv.writer(table)
    writer.writerow(columns)
    writer.writerows(entries.items())
    return table.getvalue()


def code_of(prepared, content, **settings) -> TrainingError:
    with pytest.raises(TrainingError) as caught:
        prepared(content, "upload.zip", **settings)
    assert not (prepared.out / "dataset").exists()
    return caught.value


# --- what comes out -------------------------------------------------------------------------------


def test_folders_are_classes_and_each_has_its_share_of_every_split(prepared) -> None:
    files = class_folders(20)
    about = prepared(archive(files), "upload.zip", validation_percent=10, test_percent=20)
    assert about["kind"] == "image"
    assert about["counts"] | {"images": 60, "unreadable": 0, "duplicates": 0} == about["counts"]
    assert about["labels"]["field"] == ""
    assert about["labels"]["classes"] == [
        {"name": name, "train": 14, "validation": 2, "test": 4} for name in ("blue", "green", "red")
    ]
    assert about["splits"] == {
        "train": {"images": 42},
        "validation": {"images": 6},
        "test": {"images": 12},
    }
    folder = prepared.out / "dataset"
    together = [row for found in rows(folder).values() for row in found]
    sides = [min(row["height"], row["width"]) for row in together]
    assert about["side_px"] == int(np.median(sides))
    for split, found in rows(folder).items():
        with zipfile.ZipFile(folder / f"{split}.zip") as packed:
            assert packed.testzip() is None
            assert len(packed.namelist()) == len(found)
        for row in found:
            assert row["label"] == row["name"].split("/")[0]
            mine = np.asarray(Image.open(io.BytesIO(files[row["name"]])))
            assert np.array_equal(pixels(folder, split, row), mine)
            assert (row["height"], row["width"]) == mine.shape[:2]
    preview = json.loads((folder / "preview.json").read_text())["images"]
    assert len(preview) == 32
    assert {one["label"] for one in preview} == {"red", "green", "blue"}
    for one in preview:
        found = {key: value for key, value in one.items() if key != "split"}
        assert found in rows(folder)[one["split"]]


def test_equal_archives_give_equal_data_and_the_seed_decides_the_split(prepared) -> None:
    files = class_folders(8)
    first = prepared(archive(files), "upload.zip")
    again = prepared(archive(dict(reversed(files.items()))), "other.zip")
    assert first["sha256"] == again["sha256"]
    assert prepared(archive(files), "upload.zip", seed=1)["sha256"] != first["sha256"]


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_a_list_gives_the_labels_by_path_from_itself_or_by_name_alone(prepared, form) -> None:
    images = {f"set/pictures/{n}.png": encoded(picture(n)) for n in range(20)}
    entries = {f"pictures/{n}.png": ("even", "odd")[n % 2] for n in range(10)}
    entries |= {f"{n}.png": ("even", "odd")[n % 2] for n in range(10, 20)}
    if form == "csv":
        lists = {"set/manifest.csv": listed(entries)}
    else:
        lines = (json.dumps({"file_name": k, "label": v}) for k, v in entries.items())
        lists = {"set/metadata.jsonl": "\n".join(lines)}
    about = prepared(archive(images | lists), "upload.zip")
    assert about["labels"]["field"] == "label"
    assert about["list"] == next(iter(lists))
    assert about["counts"]["ignored"] == 0
    for found in rows(prepared.out / "dataset").values():
        for row in found:
            number = int(row["name"].split("/")[-1].split(".")[0])
            assert row["label"] == ("even", "odd")[number % 2]


def test_images_that_the_list_leaves_out_are_counted_and_so_are_its_rows_without_one(
    prepared,
) -> None:
    images = {f"{n}.png": encoded(picture(n)) for n in range(20)}
    entries = {f"{n}.png": ("a", "b")[n % 2] for n in range(16)} | {"gone.png": "a", "17.png": ""}
    about = prepared(archive(images | {"labels.csv": listed(entries)}), "upload.zip")
    assert about["labels"]["unlabelled"] == 4
    assert about["counts"]["images"] == 16
    said = {one["code"]: one["params"] for one in about["warnings"]}
    assert said["warning_images_missing"] == {"rows": 1, "list": "labels.csv", "name": "gone.png"}


@pytest.mark.parametrize(
    "names",
    [
        [f"{n}.png" for n in range(12)],
        [f"all/{n}.png" for n in range(12)],
        [f"{('train', 'test')[n % 2]}/{n}.png" for n in range(12)],
    ],
    ids=["root", "one folder", "train and test"],
)
def test_images_without_class_folders_have_no_labels(prepared, names) -> None:
    about = prepared(archive({name: encoded(picture(n)) for n, name in enumerate(names)}), "u.zip")
    assert about["labels"] is None
    assert "warning_images_unlabelled" in [one["code"] for one in about["warnings"]]
    assert all(
        "label" not in row for found in rows(prepared.out / "dataset").values() for row in found
    )


def test_folders_are_no_classes_when_that_is_asked_for(prepared) -> None:
    about = prepared(archive(class_folders(5)), "upload.zip", folders_are_classes=False)
    assert about["labels"] is None


def test_a_division_of_its_own_is_not_kept_and_that_is_said(prepared) -> None:
    files = {
        f"{('train', 'val')[n % 2]}/{c}/{n}.png": encoded(picture(n, colour=i))
        for i, c in enumerate("ab")
        for n in range(100 * i, 100 * i + 10)
    }
    about = prepared(archive(files), "upload.zip")
    assert {one["name"] for one in about["labels"]["classes"]} == {"a", "b"}
    assert "warning_own_splits" in [one["code"] for one in about["warnings"]]


def test_copies_are_found_by_their_pixels_and_never_straddle_splits(prepared) -> None:
    files = class_folders(10)
    copies = {f"red/copy-{n}.bmp": encoded(picture(n, colour=0), "BMP") for n in range(10)}
    about = prepared(archive(files | copies), "upload.zip")
    assert about["counts"]["duplicates"] == 10
    assert sum(one["images"] for one in about["splits"].values()) == 30
    about = prepared(archive(files | copies), "upload.zip", remove_duplicates=False)
    assert sum(one["images"] for one in about["splits"].values()) == 40
    of = {}
    folder = prepared.out / "dataset"
    for split, found in rows(folder).items():
        for row in found:
            assert of.setdefault(pixels(folder, split, row).tobytes(), split) == split


def test_what_systems_leave_in_an_archive_is_passed_over_and_other_files_are_counted(
    prepared,
) -> None:
    debris = {"__MACOSX/red/._0.png": b"x", "red/.DS_Store": b"x", "red/Thumbs.db": b"x"}
    about = prepared(archive(class_folders(5) | debris | {"readme.txt": "hello"}), "upload.zip")
    assert about["counts"]["ignored"] == 1
    assert about["counts"]["unreadable"] == 0


def test_names_in_the_encoding_of_chinese_windows_are_read(prepared) -> None:
    files = class_folders(6, classes=("小猫图片", "小狗图片"))
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as packed:
        for number, name in enumerate(files):
            packed.writestr(f"{number:04d}{'x' * (len(name.encode('gb18030')) - 4)}", files[name])
    raw = content.getvalue()
    for number, name in enumerate(files):
        stand_in = f"{number:04d}{'x' * (len(name.encode('gb18030')) - 4)}".encode()
        raw = raw.replace(stand_in, name.encode("gb18030"))
    about = prepared(raw, "upload.zip")
    assert {one["name"] for one in about["labels"]["classes"]} == {"小猫图片", "小狗图片"}


# --- one image ------------------------------------------------------------------------------------


def test_a_png_of_ours_gives_back_its_pixels() -> None:
    random = np.random.default_rng(0)
    for channels in (1, 3):
        mine = random.integers(0, 256, (7, 5, channels), np.uint8)
        assert np.array_equal(read_png(write_png(mine)), mine)


@pytest.mark.parametrize("kind", ["PNG", "BMP", "GIF", "TIFF", "WEBP", "JPEG"])
def test_every_kind_of_file_is_read(kind) -> None:
    options = {"WEBP": {"lossless": True}, "JPEG": {"quality": 95}}.get(kind, {})
    smooth = np.linspace(0, 255, 20 * 24).reshape(20, 24).astype(np.uint8)
    image = Image.fromarray(np.stack([smooth, smooth[::-1], smooth[:, ::-1]], -1))
    found = read_image(encoded(image, kind, **options), 256)
    assert found.pixels.shape == (20, 24, 3)
    off = np.abs(found.pixels.astype(int) - np.asarray(image)).max()
    assert off <= {"JPEG": 40, "GIF": 60}.get(kind, 0)


def test_what_is_transparent_shows_white() -> None:
    image = picture(0).convert("RGBA")
    alpha = np.full((20, 24), 255, np.uint8)
    alpha[:, :12] = 0
    alpha[0, :] = 128
    image.putalpha(Image.fromarray(alpha))
    found = read_image(encoded(image), 256).pixels
    mine = np.asarray(picture(0), float)
    assert (found[1:, :12] == 255).all()
    assert np.array_equal(found[1:, 12:], mine[1:, 12:])
    half = mine[0] * 128 / 255 + 255 * 127 / 255
    assert np.abs(found[0] - half).max() <= 1


def test_a_palette_with_a_transparent_colour_shows_white_there() -> None:
    image = Image.new("P", (4, 4), 1)
    image.putpalette([0, 0, 0, 10, 20, 30])
    image.putpixel((0, 0), 0)
    found = read_image(encoded(image, "PNG", transparency=0), 256).pixels
    assert found[0, 0].tolist() == [255, 255, 255]
    assert found[1, 1].tolist() == [10, 20, 30]


def test_sixteen_bits_of_grey_keep_their_brightest_eight() -> None:
    deep = np.arange(0, 65536, 4096, np.uint16).reshape(4, 4)
    found = read_image(encoded(Image.fromarray(deep), "PNG"), 256)
    assert found.pixels.shape == (4, 4, 1)
    assert np.array_equal(found.pixels[..., 0], deep // 256)


def test_a_photograph_is_turned_upright() -> None:
    image = picture(0)
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was held with its right side down
    found = read_image(encoded(image, "PNG", exif=exif), 256)
    assert (found.width, found.height) == (20, 24)
    assert np.array_equal(found.pixels, np.rot90(np.asarray(image), -1))


@pytest.mark.parametrize(("size", "expected"), [((400, 100), (16, 64)), ((30, 20), (20, 30))])
def test_a_large_image_is_made_smaller_in_proportion_and_a_small_one_stays(size, expected) -> None:
    found = read_image(encoded(picture(0, size=size)), 64)
    assert found.pixels.shape[:2] == expected
    assert (found.width, found.height) == size


def png_claiming(width: int, height: int) -> bytes:
    """A PNG whose header claims so many pixels and whose content is a few bytes."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        whole = kind + content
        return struct.pack(">I", len(content)) + whole + struct.pack(">I", zlib.crc32(whole))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    parts = chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(bytes(100))), chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "no image"),
        (b"this is text", "no image"),
        (b"\x89PNG\r\n\x1a\n", "no image"),
        (encoded(picture(0))[:200], "truncated"),
        (encoded(picture(0, size=(80, 80)), "JPEG")[:700], "truncated"),
        (png_claiming(13_000, 13_000), "13000 × 13000 pixels"),
        (png_claiming(60_000, 60_000), "too many pixels"),
        (encoded(Image.new("F", (3, 3)), "TIFF"), "32 bits"),
    ],
    ids=["empty", "text", "signature", "cut", "cut jpeg", "claims", "claims more", "floats"],
)
def test_what_cannot_be_used_says_why(content, said) -> None:
    with pytest.raises(ImageRefused, match=said):
        read_image(content, 256)
    assert MOST_PIXELS < 13_000**2


# --- bad input ------------------------------------------------------------------------------------


def test_images_that_cannot_be_read_are_left_out_counted_and_named(prepared) -> None:
    broken = {
        "red/cut.png": encoded(picture(1))[:150],
        "red/huge.png": png_claiming(13_000, 13_000),
        "blue/text.jpg": b"not a picture",
    }
    about = prepared(archive(class_folders(10) | broken), "upload.zip")
    assert about["counts"]["unreadable"] == 3
    assert {one["name"] for one in about["unreadable"]} == set(broken)
    (said,) = [w for w in about["warnings"] if w["code"] == "warning_images_unreadable"]
    assert said["message"].startswith("3 images could not be read")
    assert "blue/text.jpg" in said["message"]


def test_mixed_modes_are_all_read_and_counted(prepared) -> None:
    kinds = ["RGB", "L", "RGBA", "P", "CMYK", "1", "LA"]
    files = {}
    for number in range(28):
        mode = kinds[number % 7]
        kind = "TIFF" if mode == "CMYK" else "PNG"
        name = f"{'ab'[number % 2]}/{number}.{kind.lower()}"
        files[name] = encoded(picture(number).convert(mode), kind)
    about = prepared(archive(files), "upload.zip")
    assert about["counts"]["unreadable"] == 0
    assert about["modes"] == dict.fromkeys(kinds, 4)


def test_an_animated_image_gives_its_first_frame(prepared) -> None:
    frames = [picture(n).convert("P") for n in range(3)]
    moving = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    about = prepared(archive(class_folders(5) | {"red/moving.gif": moving}), "upload.zip")
    assert "warning_first_frames" in [one["code"] for one in about["warnings"]]
    assert about["counts"]["unreadable"] == 0


def test_a_file_that_is_larger_than_it_claims_is_left_out(prepared) -> None:
    content = archive({"red/lies.png": encoded(picture(999, size=(90, 90)))} | class_folders(5))
    honest = zipfile.ZipFile(io.BytesIO(content)).getinfo("red/lies.png").file_size
    lying = content.replace(struct.pack("<I", honest), struct.pack("<I", 100))
    assert lying != content
    about = prepared(lying, "upload.zip")
    assert about["unreadable"] == [{"name": "red/lies.png", "reason": "damaged in the archive"}]


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"just text", "images_need_zip"),
        (archive(class_folders(5))[:-200], "archive_broken"),
        (archive({"../up.png": encoded(picture(0))} | class_folders(5)), "archive_path"),
        (archive({"/etc/up.png": encoded(picture(0))} | class_folders(5)), "archive_path"),
        (archive({"C:\\up.png": encoded(picture(0))} | class_folders(5)), "archive_path"),
        (archive({"a/readme.txt": "hello"}), "images_none"),
        (archive({"a/1.png": b"x", "b/2.png": b"y"}), "images_unreadable"),
        (archive({"a/1.png": encoded(picture(0))}), "images_too_few"),
        (archive(class_folders(5) | {"one/1.png": encoded(picture(88))}), "label_rare"),
        (archive({f"c{n}/{n}.png": encoded(picture(n)) for n in range(20)}), "labels_too_many"),
    ],
    ids=["text", "cut", "up", "root", "drive", "none", "unreadable", "few", "rare", "many"],
)  # fmt: skip
def test_an_archive_that_cannot_be_used_is_refused_whole(prepared, content, code) -> None:
    assert code_of(prepared, content, format="images").code == code


def test_a_protected_archive_is_refused(prepared) -> None:
    content = bytearray(archive(class_folders(3)))
    for signature, offset in ((b"PK\x01\x02", 8), (b"PK\x03\x04", 6)):
        place = -1
        while (place := content.find(signature, place + 1)) >= 0:
            content[place + offset] |= 1
    assert code_of(prepared, bytes(content)).code == "archive_protected"


def test_an_unusual_compression_is_refused(prepared) -> None:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_LZMA) as packed:
        packed.writestr("a/1.png", encoded(picture(0)))
    assert code_of(prepared, content.getvalue()).code == "archive_packed_otherwise"


KIND = {"label_field": "kind"}
TWICE = listed({"red/0.png": "a", "./red/0.png": "b"})


@pytest.mark.parametrize(
    ("lists", "asked", "code"),
    [
        ({"manifest.csv": "what,label\na,b\n"}, {}, "archive_list_without_files"),
        ({"manifest.csv": listed({"x.png": "a"})}, {}, "archive_list_fits_nothing"),
        ({"manifest.csv": TWICE}, {}, "archive_list_contradicts"),
        ({"manifest.csv": listed({"red/0.png": "a"})}, KIND, "label_column_missing"),
        ({}, KIND, "archive_list_missing"),
    ],
)  # fmt: skip
def test_a_list_that_does_not_fit_says_what_is_wrong(prepared, lists, asked, code) -> None:
    assert code_of(prepared, archive(class_folders(5) | lists), **asked).code == code


def test_text_methods_refuse_images(prepared) -> None:
    from training.data.packing import documents

    prepared(archive(class_folders(5)), "upload.zip")
    with pytest.raises(TrainingError) as caught:
        list(documents(prepared.out / "dataset" / "train.jsonl"))
    assert caught.value.code == "dataset_not_text"
