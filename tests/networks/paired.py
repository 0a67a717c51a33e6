"""Two towers of a user's own, with statistics and dropout."""

from torch import nn

from budgetnet.zoo.blocks import Dropout, GlobalAveragePooling, MaxPooling, Network, Softmax, Towers


class Paired(Towers):
    """Towers that differ in width."""

    def __init__(self) -> None:
        super().__init__(*map(self.tower, (4, 6)))

    def tower(self, width: int) -> Network:
        """Return one of them."""
        convolution = nn.Conv2d(1, width, 5, bias=False)
        stage = (nn.BatchNorm2d(width), nn.SiLU(), Dropout(0.1), MaxPooling(4))
        return Network(convolution, *stage, nn.Conv2d(width, 10, 1, bias=False), GlobalAveragePooling(), Softmax())
