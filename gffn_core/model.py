"""The one architecture of all experiments: a small convolutional net without stochastic layers.

The thesis compares both losses on one convolutional net and does not print its layers; it says
that the first convolution's zero padding evens out the image sizes, and that there is neither
dropout nor batch normalisation, so that the output is a deterministic function of the input (5.1).
The widths here are ours.
"""

from torch import Tensor, nn

WIDTHS = {"narrow": 8, "wide": 32}  # channels of the first convolution
HIDDEN = 512  # units of the fully connected layer


class ConvNet(nn.Module):
    """Three times 3x3 convolution, 2x2 max pooling and ReLU, then two fully connected layers.

    Pooling comes first because it commutes with ReLU and leaves it a quarter of the work.

    Channels are ``width``, 2 and 4 times ``width``; the hidden layer has 512 units.
    The first convolution pads the image with zeros to the next multiple of 8 (28 -> 32, 32 -> 32),
    so that three poolings halve evenly.

    Input ``(N, in_channels, image_size, image_size)`` floats, output ``(N, num_classes)`` logits.
    Raises ValueError where the padding would be lopsided (odd sizes).
    """

    def __init__(
        self, in_channels: int, image_size: int, num_classes: int = 10, width: int = WIDTHS["narrow"]
    ):
        super().__init__()
        padded = -(-image_size // 8) * 8
        if image_size < 1 or (padded - image_size) % 2:
            raise ValueError(f"image_size={image_size} must be a positive even number")
        self.features = nn.Sequential(
            nn.Conv2d(in_channels, width, 3, padding=1 + (padded - image_size) // 2),
            nn.MaxPool2d(2),
            nn.ReLU(),
            nn.Conv2d(width, 2 * width, 3, padding=1),
            nn.MaxPool2d(2),
            nn.ReLU(),
            nn.Conv2d(2 * width, 4 * width, 3, padding=1),
            nn.MaxPool2d(2),
            nn.ReLU(),
        )
        self.head = nn.Sequential(
            nn.Flatten(),
            nn.Linear(4 * width * (padded // 8) ** 2, HIDDEN),
            nn.ReLU(),
            nn.Linear(HIDDEN, num_classes),
        )

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.features(images))
