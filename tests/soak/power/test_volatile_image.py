"""What a disk with a volatile cache keeps: all that was flushed, and of the rest what the mode says."""

import random
from pathlib import Path

import pytest

from tests.support.volatile_image import BLOCK_BYTES, Loss, VolatileImage

_BLOCKS = 64


@pytest.fixture
def image(tmp_path: Path) -> VolatileImage:
    platter = tmp_path / "platter"
    platter.write_bytes(bytes(_BLOCKS * BLOCK_BYTES))
    return VolatileImage(platter)


def _blocks(image: VolatileImage) -> list[int]:
    return [image.read(number * BLOCK_BYTES, 1)[0] for number in range(_BLOCKS)]


def _write_all(image: VolatileImage, byte: int) -> None:
    image.write(0, bytes([byte]) * _BLOCKS * BLOCK_BYTES)


@pytest.mark.parametrize("survival", ["none", "all", "prefix", "chance"])
def test_what_was_flushed_survives_every_cut(image, survival):
    _write_all(image, 1)
    image.flush()
    assert image.cut(survival, random.Random(1)) == Loss(0, 0)
    assert _blocks(image) == [1] * _BLOCKS


def test_what_was_not_flushed_is_read_before_the_cut_and_gone_after_it(image):
    _write_all(image, 1)
    image.flush()
    _write_all(image, 2)
    assert _blocks(image) == [2] * _BLOCKS
    assert image.cut("none", random.Random(1)) == Loss(_BLOCKS, 0)
    assert _blocks(image) == [1] * _BLOCKS


def test_blocks_survive_each_by_its_own_chance(image):
    _write_all(image, 1)
    lost = image.cut("chance", random.Random(3))
    assert 0 < lost.kept == sum(_blocks(image)) < lost.cached == _BLOCKS
    assert sorted(_blocks(image), reverse=True) != _blocks(image)


def test_of_a_prefix_the_first_blocks_survive(image):
    _write_all(image, 1)
    lost = image.cut("prefix", random.Random(4))
    assert _blocks(image) == [1] * lost.kept + [0] * (_BLOCKS - lost.kept)


def test_an_unaligned_write_is_torn_only_where_blocks_begin(image):
    image.write(BLOCK_BYTES - 512, bytes([7]) * 1024)
    assert image.cut("all", random.Random(1)) == Loss(2, 2)
    assert image.read(BLOCK_BYTES - 512, 1024) == bytes([7]) * 1024


def test_what_is_written_through_is_not_overwritten_by_what_was_in_the_cache_before(image):
    _write_all(image, 1)
    image.write_through(0, bytes([2]) * BLOCK_BYTES)
    image.cut("all", random.Random(1))
    assert _blocks(image)[0] == 2
    _write_all(image, 3)
    image.cut("none", random.Random(1))
    assert _blocks(image)[0] == 2


def test_another_reader_of_the_platter_sees_only_what_survives(image, tmp_path):
    _write_all(image, 1)
    assert not any((tmp_path / "platter").read_bytes())
    image.flush()
    assert all((tmp_path / "platter").read_bytes())
