"""Pictures of a user's own: prepared so that a network trained on MNIST reads them, and refused clearly where they are hostile."""

import io
import json
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy
import pytest
import torch
from exported import digits_run
from pictures import drawn, photographed, placed, printed, transparent
from PIL import Image

from budgetnet import photos, predicting
from budgetnet.demo import shipped
from budgetnet.errors import InputError
from budgetnet.graph import execute
from budgetnet.photos.opening import from_bytes

GRAPH = shipped().graph
PAPER, BOARD, RED, GREEN = (240, 238, 230), (10, 10, 60), (200, 40, 40), (40, 140, 60)


def encoded(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def answer_of(content: bytes) -> tuple[int | None, tuple[str, ...]]:
    framed = photos.prepared(from_bytes(content, "picture"))
    if framed.image is None:
        return None, framed.doubts
    pixels = torch.from_numpy(framed.image)[None, None].float() / 255
    return int(execute(GRAPH, pixels).argmax()), framed.doubts


KINDS: dict[str, Callable[[int], bytes]] = {
    "sans": lambda digit: encoded(printed(digit, "DejaVuSans")),
    "bold": lambda digit: encoded(printed(digit, "DejaVuSans-Bold")),
    "serif": lambda digit: encoded(printed(digit, "DejaVuSerif")),
    "roman": lambda digit: encoded(printed(digit, "STIXGeneral")),
    "mouse": lambda digit: encoded(drawn(digit)),
    "thin pen, large JPEG": lambda digit: encoded(drawn(digit, 800, 4), "JPEG"),
    "thick and slanted": lambda digit: encoded(drawn(digit, 300, 20, slant=0.2)),
    "light on dark": lambda digit: encoded(drawn(digit, 300, 12, (255, 255, 255), BOARD)),
    "red on green": lambda digit: encoded(drawn(digit, 300, 12, RED, GREEN)),
    "dark on nothing": lambda digit: encoded(transparent(digit, (20, 20, 20))),
    "light on nothing": lambda digit: encoded(transparent(digit, (250, 250, 250))),
    "28 pixels": lambda digit: encoded(drawn(digit, 28, 3)),
    "in a corner": lambda digit: encoded(placed(drawn(digit, 260, ground=PAPER), (1200, 900), (700, 100))),
    "photograph": lambda digit: encoded(photographed(drawn(digit, 400, 12, slant=0.1), digit), "JPEG", quality=70),
    "palette": lambda digit: encoded(drawn(digit).convert("P"), "GIF"),
    "black and white": lambda digit: encoded(drawn(digit).convert("1"), "TIFF"),
    "16 bits": lambda digit: encoded(Image.fromarray(numpy.asarray(drawn(digit).convert("L")).astype(numpy.uint16) * 257)),
    "print colours": lambda digit: encoded(drawn(digit).convert("CMYK"), "JPEG"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_digits_from_anywhere_are_read(kind: str) -> None:
    answers = [answer_of(KINDS[kind](digit)) for digit in range(10)]
    right = sum(answer == digit for digit, (answer, _) in enumerate(answers))
    assert right >= 9, answers
    assert not any(doubts for _, doubts in answers), answers


def test_a_picture_turned_by_its_exif_is_the_same_picture() -> None:
    upright = drawn(7, 240)
    expected = from_bytes(encoded(upright), "a")
    for value, back in ((6, Image.Transpose.ROTATE_90), (3, Image.Transpose.ROTATE_180), (8, Image.Transpose.ROTATE_270)):
        exif = Image.Exif()
        exif[0x0112] = value
        turned = from_bytes(encoded(upright.transpose(back), exif=exif), "b")
        assert numpy.array_equal(turned, expected), value


def test_the_frame_is_mnist_s() -> None:
    for digit in range(10):
        image = photos.prepared(from_bytes(encoded(drawn(digit)), "a")).image
        assert image is not None
        rows, columns = numpy.nonzero(image)
        assert image.shape == (28, 28)
        assert max(numpy.ptp(rows), numpy.ptp(columns)) + 1 in {19, 20}
        mass = image / image.sum()
        centre = [(mass.sum(1 - axis) * numpy.arange(28)).sum() for axis in (0, 1)]
        assert numpy.allclose(centre, 13.5, atol=0.55), digit


def test_what_is_not_one_digit_is_said() -> None:
    chance = numpy.random.default_rng(0)
    assert answer_of(encoded(Image.new("RGB", (200, 200), PAPER)))[0] is None
    assert answer_of(encoded(Image.fromarray(chance.integers(118, 138, (300, 300), dtype=numpy.uint8))))[0] is None
    two = placed(drawn(4, 200), (500, 200), (20, 0))
    two.paste(drawn(2, 200), (260, 0))
    assert "2 separate marks" in answer_of(encoded(two))[1][0]
    blot = Image.new("L", (200, 200), 255)
    blot.paste(0, (50, 50, 150, 150))
    assert "blot" in answer_of(encoded(blot))[1][0]


@cache
def png(width: int, height: int) -> bytes:
    """A PNG of a few kilobytes that unpacks to width × height gray pixels, all alike."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    packer = zlib.compressobj(1)
    block = bytes((1 + width) * 100)
    rows = b"".join(packer.compress(block) for _ in range(height // 100)) + packer.flush()
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


HOSTILE: dict[str, tuple[Callable[[], bytes], str]] = {
    "a bomb of 100 megapixels": (lambda: png(10_000, 10_000), "10,000 × 10,000 pixels"),
    "a bomb past Pillow's own bound": (lambda: png(20_000, 10_000), "pixels"),
    "text": (lambda: b"this is no picture\n" * 9, "is not an image"),
    "nothing": (lambda: b"", "is empty"),
    "cut off": (lambda: encoded(drawn(3))[:600], "damaged, or cut off"),
    "an animation": (
        lambda: encoded(drawn(1), "GIF", save_all=True, append_images=[drawn(2), drawn(3)]),
        "more than one picture",
    ),
    "pages": (lambda: encoded(drawn(1), "TIFF", save_all=True, append_images=[drawn(2)]), "more than one picture"),
    "SVG": (lambda: b"<svg xmlns='http://www.w3.org/2000/svg'><image href='file:///etc/passwd'/></svg>", "is not an image"),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_files_are_refused_in_a_sentence(kind: str, tmp_path: Path) -> None:
    make, words = HOSTILE[kind]
    path = tmp_path / "digit.png"
    path.write_bytes(make())
    with pytest.raises(InputError, match=words) as refused:
        photos.opened(path)
    assert str(path) in str(refused.value)


def test_the_largest_picture_stays_inside_its_memory(tmp_path: Path) -> None:
    (tmp_path / "large.png").write_bytes(png(10_000, 5_000))
    code = (
        "import resource, sys\n"
        "from pathlib import Path\n"
        "from budgetnet import photos\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "photos.opened(Path(sys.argv[1]))\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)\n"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "large.png")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 400 * 1024, "kilobytes"


def command(*words: object, code: int = 0) -> str:
    arguments = [sys.executable, "-m", "budgetnet", *map(str, words)]
    done = subprocess.run(arguments, capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout


def test_predict_answers_a_folder_and_says_what_it_could_not_read(tmp_path: Path) -> None:
    folder = tmp_path / "pictures"
    folder.mkdir()
    for digit in (1, 7):
        drawn(digit).save(folder / f"{digit}.png")
    (folder / "=wrong.png").write_text("no picture")
    run = digits_run("code9-gap", 2)
    document = json.loads(command("predict", run, folder, "--json", code=2))
    rows = {Path(row["picture"]).name: row for row in document["predictions"]}
    assert not rows["=wrong.png"]["readable"]
    assert rows["=wrong.png"]["answer"] is None
    assert sum(rows["1.png"]["probabilities"].values()) == pytest.approx(1, abs=1e-4)
    assert rows["1.png"]["answer"] == max(rows["1.png"]["probabilities"], key=rows["1.png"]["probabilities"].get)


def test_the_three_forms_tell_the_same_and_a_spreadsheet_runs_no_formula(tmp_path: Path) -> None:
    made = predicting.Prediction("=cmd|' /C calc'!A0", "3", (0.1, 0.9), ("unsure",))
    rows = predicting.csv_text([made], ("2", "3")).splitlines()
    assert rows[0] == "picture,answer,2,3,doubts"
    assert rows[1].startswith("'=cmd")
    assert "90.0 %" in predicting.table_text([made])
    assert predicting.document([made], ("2", "3"))["predictions"][0]["probabilities"] == {"2": 0.1, "3": 0.9}
    with pytest.raises(InputError, match="holds no pictures"):
        predicting.predict(digits_run("code9-gap", 2), [tmp_path])
