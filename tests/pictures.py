"""Pictures of digits that are not from MNIST: rendered in fonts, drawn by a hand, photographed with noise, shadow and slant."""

from pathlib import Path

import matplotlib as mpl
import numpy
from PIL import Image, ImageDraw, ImageFilter, ImageFont

FONTS = Path(mpl.get_data_path()) / "fonts" / "ttf"
Colour = tuple[int, int, int]
BLACK, WHITE = (0, 0, 0), (255, 255, 255)

STROKES: dict[int, list[list[tuple[int, int]]]] = {
    0: [[(50, 12), (30, 25), (25, 55), (35, 85), (55, 88), (72, 70), (75, 40), (65, 15), (50, 12)]],
    1: [[(52, 10), (50, 90)]],
    2: [[(28, 30), (40, 12), (65, 14), (70, 35), (50, 60), (26, 86), (75, 85)]],
    3: [[(28, 18), (55, 10), (70, 25), (60, 42), (42, 46), (66, 52), (72, 72), (55, 90), (27, 84)]],
    4: [[(38, 10), (25, 55), (75, 52)], [(65, 28), (62, 92)]],
    5: [[(70, 12), (36, 13), (32, 45), (58, 42), (73, 60), (64, 84), (30, 88)]],
    6: [[(62, 8), (38, 35), (28, 65), (40, 90), (62, 86), (68, 66), (52, 55), (32, 66)]],
    7: [[(25, 15), (75, 14), (52, 50), (42, 92)]],
    8: [[(66, 22), (48, 10), (32, 24), (44, 42), (64, 60), (66, 80), (48, 92), (32, 80), (38, 58), (60, 40), (66, 22)]],
    9: [[(68, 30), (52, 10), (32, 22), (36, 44), (56, 46), (68, 30), (64, 60), (56, 92)]],
}
"""The lines of each digit, in hundredths of its frame."""


def printed(digit: int, font: str, side: int = 240) -> Image.Image:
    """Return a digit in a font of matplotlib's, black on white."""
    image = Image.new("L", (side, side), 255)
    letters = ImageFont.truetype(str(FONTS / f"{font}.ttf"), side * 2 // 3)
    left, top, right, bottom = letters.getbbox(str(digit))
    place = ((side - right - left) / 2, (side - bottom - top) / 2)
    ImageDraw.Draw(image).text(place, str(digit), font=letters, fill=0)
    return image


def drawn(
    digit: int, side: int = 300, width: int = 9, ink: Colour = BLACK, ground: Colour = WHITE, slant: float = 0.0
) -> Image.Image:
    """Return a digit as a hand leaves it with a mouse: corners, an unsteady line."""
    chance = numpy.random.default_rng(digit)
    image = Image.new("RGB", (side, side), ground)
    pen = ImageDraw.Draw(image)
    for stroke in STROKES[digit]:
        points = [
            ((x + slant * (50 - y)) * side / 100 + chance.normal(0, side / 250), y * side / 100 + chance.normal(0, side / 250))
            for x, y in stroke
        ]
        pen.line(points, fill=ink, width=width, joint="curve")
        for x, y in (points[0], points[-1]):
            pen.ellipse((x - width / 2, y - width / 2, x + width / 2, y + width / 2), fill=ink)
    return image


def transparent(digit: int, ink: Colour) -> Image.Image:
    """Return a digit in one colour on nothing."""
    image = Image.new("RGBA", (200, 200), (0, 0, 0, 0))
    image.paste((*ink, 255), mask=drawn(digit, 200, 14).convert("L").point(lambda level: 255 - level))
    return image


def photographed(image: Image.Image, seed: int = 0) -> Image.Image:
    """Return the picture as a telephone would see it: warm falling light, the shadow of a hand, noise, turned a little."""
    chance = numpy.random.default_rng(seed)
    width, height = image.size
    light = 0.25 + 0.6 * numpy.asarray(image.convert("RGB")).astype(float) / 255
    rows, columns = numpy.mgrid[0:height, 0:width]
    light *= (1 - 0.35 * columns / width)[..., None] * numpy.array([1, 0.95, 0.85])
    shadow = Image.fromarray(((columns + 0.6 * rows > width * 0.9) * 255).astype(numpy.uint8))
    light *= (1 - 0.3 * numpy.asarray(shadow.filter(ImageFilter.GaussianBlur(6))) / 255)[..., None]
    light += chance.normal(0, 0.03, light.shape)
    red, green, blue = (int(level) for level in light[:8, :8].mean((0, 1)) * 255)
    seen = Image.fromarray((light.clip(0, 1) * 255).astype(numpy.uint8))
    return seen.rotate(chance.uniform(-10, 10), fillcolor=(red, green, blue))


def placed(image: Image.Image, size: tuple[int, int], at: tuple[int, int]) -> Image.Image:
    """Return the picture somewhere on a larger sheet of its own ground."""
    sheet = Image.new("RGB", size, image.convert("RGB").getpixel((0, 0)))
    sheet.paste(image, at)
    return sheet
