"""The listing of the demo, and the expected result of each line."""

from dataclasses import dataclass

from cdsed.model.product_state import State
from cdsed.sandbox.products import ProductSpec

MB = 1_000_000


@dataclass(frozen=True, slots=True)
class Scene:
    """One line of the listing.

    Parameters
    ----------
    line
        The text of the line.
    about
        What is special about it, for the comment above it.
    state
        The expected state of the product; None for a line that is not a product of its own.
    size_bytes
        Its size in the sandbox; 0: the sandbox does not have it.
    """

    line: str
    about: str
    state: State | None = State.DONE
    size_bytes: int = 0


_TWICE = "S2A_MSIL1C_20240912T112541_N0511_R137_T28PHQ_20240912T133420.SAFE"

#: Names of real products, or similar ones; 210 MB in all, which takes half a minute at 4 x 2 MB/s.
PLOT = (
    Scene(
        "S1A_WV_SLC__1SSV_20231106T151043_20231106T153211_051117_062A5B_4A6C.SAFE",
        "Sentinel-1, wave mode: many small files",
        size_bytes=20 * MB,
    ),
    Scene(
        "S1A_IW_GRDH_1SDV_20141031T161924_20141031T161949_003076_003856_634E.SAFE",
        "Sentinel-1, IW GRD",
        size_bytes=30 * MB,
    ),
    Scene(
        "S1A_IW_SLC__1SDV_20190118T023637_20190118T023705_025526_02D4A8_08A8.SAFE",
        "Sentinel-1, IW SLC: a few large files",
        size_bytes=70 * MB,
    ),
    Scene(_TWICE, "Sentinel-2, L1C", size_bytes=35 * MB),
    Scene(
        "S3A_OL_1_EFR____20240116T050535_20240116T050835_20240117T125958_0179_021_048_2160_PS1_O_NT_003.SEN3",
        "Sentinel-3, OLCI",
        size_bytes=35 * MB,
    ),
    Scene(
        "S5P_OFFL_L2__NO2____20211211T104909_20211211T123039_21566_02_020301_20211213T011704.nc",
        "Sentinel-5P: one single file",
        size_bytes=20 * MB,
    ),
    Scene(
        "S1A_IW_GRDH_1SDV_20240604T110100_20240604T110131_05417_069690_E33E.SAFE",
        "misspelt: the orbit has lost a digit",
        State.UNAVAILABLE,
    ),
    Scene(
        "S2B_MSIL1C_20241209T162609_N0511_R040_T17UPV_20241209T195414.SAFE",
        "unknown to the catalogue",
        State.UNAVAILABLE,
    ),
    Scene(_TWICE, "named a second time", None),
    Scene(
        "S1A_IW_SLC__1SDV_20221101T054413_20221101T054440_045705_057748_08A8.SAFE",
        "is in the archive already",
        State.ALREADY_PRESENT,
        size_bytes=6 * MB,
    ),
    Scene("and everything over the Bay of Biscay, please", "no product at all", None),
)

#: The sums of the receipt; its ignored lines are the comments.
COUNTS = {"accepted": 8, "duplicate": 1, "known": 0, "already_present": 1, "rejected": 1, "ignored": len(PLOT)}


def listing() -> str:
    """Return the text of the listing."""
    return "".join(f"# {scene.about}\n{scene.line}\n" for scene in PLOT)


def expected() -> dict[str, State]:
    """Return the expected state of each product."""
    return {scene.line: scene.state for scene in PLOT if scene.state}


def specs() -> dict[str, ProductSpec]:
    """Return the products that the sandbox has, by name."""
    return {scene.line: ProductSpec(scene.line, scene.size_bytes) for scene in PLOT if scene.size_bytes}


def archived() -> list[str]:
    """Return the products that are in the archive before it begins."""
    return [scene.line for scene in PLOT if scene.state is State.ALREADY_PRESENT]
