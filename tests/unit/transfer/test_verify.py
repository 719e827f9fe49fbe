"""Verification: only a complete product passes."""

import dataclasses
import hashlib
import re
import threading

import pytest

from cdsed.errors import DiskError, Stopped
from cdsed.model.choice import Choice
from cdsed.model.objects import Digests
from cdsed.transfer.verify import file_digests, verify


def judge(s3_lab, name, objects, *, md5=None, manifest_counts=True, choice=None):
    return verify(
        s3_lab.staging, name, objects, md5=md5, manifest_counts=manifest_counts, stop=s3_lab.stop, choice=choice
    )


def from_disk(objects):
    """The same objects with no digest known, as after a fetch in pieces."""
    return [dataclasses.replace(item, digests=Digests()) for item in objects]


@pytest.mark.parametrize("kind", ["S1_GRD", "S1_SLC", "S1_OCN", "S1_WV", "S2_L1C", "S2_L2A", "S3", "S5P"])
def test_a_good_product_passes_by_its_passing_digests_and_from_disk(s3_lab, kind):
    name, objects = s3_lab.whole_product(kind, size_bytes=300_000)
    assert judge(s3_lab, name, objects).good
    assert judge(s3_lab, name, from_disk(objects)).good


@pytest.mark.parametrize("kind", ["S1_GRD", "S2_L1C", "S3", "S5P"])
def test_one_changed_byte_is_found_and_named(s3_lab, kind):
    name, objects = s3_lab.whole_product(kind, size_bytes=300_000)
    worst = max(objects, key=lambda item: item.size_bytes)
    with (s3_lab.staging / worst.path).open("r+b") as file:
        file.seek(worst.size_bytes // 2)
        byte = file.read(1)[0]
        file.seek(worst.size_bytes // 2)
        file.write(bytes([byte ^ 1]))
    verdict = judge(s3_lab, name, from_disk(objects))
    assert set(verdict.bad) == {worst.id}
    assert worst.path in verdict.remarks[0]


def test_what_the_manifest_says_counts_where_the_etag_is_no_md5(s3_lab):
    name, objects = s3_lab.whole_product("S1_GRD", size_bytes=300_000)
    objects = [dataclasses.replace(item, etag="multipart-7", digests=Digests()) for item in objects]
    assert judge(s3_lab, name, objects).good
    worst = max(objects, key=lambda item: item.size_bytes)
    with (s3_lab.staging / worst.path).open("r+b") as file:
        file.write(b"\0\1\2\3")
    assert set(judge(s3_lab, name, objects).bad) == {worst.id}
    tolerant = judge(s3_lab, name, objects, manifest_counts=False)
    assert tolerant.good
    assert worst.path in tolerant.remarks[0]


def test_a_file_that_is_gone_or_short_is_lost_and_no_copy(s3_lab):
    name, objects = s3_lab.whole_product("S2_L1C", size_bytes=300_000)
    gone, short = sorted(objects, key=lambda item: item.size_bytes)[-2:]
    (s3_lab.staging / gone.path).unlink()
    with (s3_lab.staging / short.path).open("r+b") as file:
        file.truncate(5)
    with pytest.raises(DiskError, match="bytes of") as lost:
        judge(s3_lab, name, objects)
    assert lost.value.code == "Lost"
    assert all(path in str(lost.value) for path in (gone.path, short.path))


def test_what_the_manifest_names_and_the_service_does_not_list_is_missing(s3_lab):
    name, objects = s3_lab.whole_product("S1_GRD", size_bytes=300_000, missing_object="measurement/*")
    verdict = judge(s3_lab, name, objects)
    assert not verdict.good
    assert len(verdict.missing) == 1
    assert judge(s3_lab, name, objects, manifest_counts=False).good


def test_a_false_manifest_makes_its_file_bad_with_one_digest_each_time(s3_lab):
    name, objects = s3_lab.whole_product("S1_GRD", size_bytes=300_000, manifest_lies="measurement/*")
    first, second = judge(s3_lab, name, objects), judge(s3_lab, name, from_disk(objects))
    assert len(first.bad) == 1
    assert first.bad == second.bad


def test_a_manifest_that_cannot_be_read_is_a_bad_object(s3_lab):
    name, objects = s3_lab.whole_product("S1_GRD", size_bytes=300_000)
    [manifest] = [item for item in objects if item.path == "manifest.safe"]
    (s3_lab.staging / manifest.path).write_bytes(b"<broken" + b" " * (manifest.size_bytes - 7))
    assert set(judge(s3_lab, name, from_disk(objects)).bad) == {manifest.id}


def test_a_product_without_its_manifest_is_not_whole(s3_lab):
    name, objects = s3_lab.whole_product("S1_GRD", size_bytes=300_000)
    verdict = judge(s3_lab, name, [item for item in objects if item.path != "manifest.safe"])
    assert verdict.missing == ("manifest.safe",)


def test_the_catalogues_md5_counts_for_a_single_object_without_one(s3_lab):
    name, [item] = s3_lab.whole_product("S5P", size_bytes=300_000)
    multipart = [dataclasses.replace(item, etag="x-2")]
    assert judge(s3_lab, name, multipart, md5=item.digests.md5.upper()).good
    assert not judge(s3_lab, name, multipart, md5="1" * 32).good
    for useless in (None, "N/A", "0" * 32):
        assert judge(s3_lab, name, multipart, md5=useless).good


def test_a_stop_ends_verification(s3_lab):
    name, objects = s3_lab.whole_product("S1_GRD", size_bytes=300_000)
    s3_lab.stop = threading.Event()
    s3_lab.stop.set()
    with pytest.raises(Stopped):
        judge(s3_lab, name, from_disk(objects))


@pytest.mark.parametrize("etag", ["", "multipart-7"])
def test_a_foreign_write_after_the_last_byte_arrived_is_found(s3_lab, etag):
    name, objects = s3_lab.whole_product("S5P", size_bytes=300_000)  # no manifest states a digest of it
    objects = [dataclasses.replace(item, etag=etag or item.etag) for item in objects]
    assert judge(s3_lab, name, objects).good
    worst = max(objects, key=lambda item: item.size_bytes)
    with (s3_lab.staging / worst.path).open("r+b") as file:
        file.write(b"\0\1\2\3")
    assert set(judge(s3_lab, name, objects).bad) == {worst.id}


def test_a_file_that_another_of_the_same_size_has_replaced_is_digested_from_the_disk(s3_lab):
    name, objects = s3_lab.whole_product("S2_L1C", size_bytes=300_000)
    worst = max(objects, key=lambda item: item.size_bytes)
    other = s3_lab.staging / "other"
    other.write_bytes(b"\0" * worst.size_bytes)
    other.rename(s3_lab.staging / worst.path)
    assert set(judge(s3_lab, name, objects).bad) == {worst.id}


def test_digests_of_passing_bytes_spare_a_second_reading(s3_lab, monkeypatch):
    name, objects = s3_lab.whole_product("S2_L1C", size_bytes=300_000)
    read = []

    def digests_of(staging, path, algorithms, stop):
        read.append(path)
        return file_digests(staging, path, algorithms, stop)

    monkeypatch.setattr("cdsed.transfer.verify.file_digests", digests_of)
    assert judge(s3_lab, name, objects).good
    assert read == [item.path for item in objects if not item.size_bytes]
    worst = max(objects, key=lambda item: item.size_bytes)
    (s3_lab.staging / worst.path).touch()
    read.clear()
    assert judge(s3_lab, name, objects).good
    assert worst.path in read


def rewritten(s3_lab, objects, change):
    """Change the text of the staged manifest; return the objects as the service would list them then."""
    [manifest] = [item for item in objects if item.path == "manifest.safe"]
    body = change((s3_lab.staging / manifest.path).read_text(encoding="utf-8")).encode()
    (s3_lab.staging / manifest.path).write_bytes(body)
    listed = dataclasses.replace(manifest, size_bytes=len(body), etag=hashlib.md5(body).hexdigest())
    return from_disk([listed if item is manifest else item for item in objects])


def test_a_wrong_stated_size_is_a_remark_where_the_digest_is_right(s3_lab):
    name, objects = s3_lab.whole_product("S2_L2A", size_bytes=300_000)
    assert not judge(s3_lab, name, objects).unproven
    objects = rewritten(s3_lab, objects, lambda text: re.sub('size="[0-9]+"', 'size="880"', text))
    verdict = judge(s3_lab, name, objects)
    assert verdict.good
    assert len(verdict.remarks) == 1
    assert "wrong sizes" in verdict.summary
    assert {entry.path: entry.size_bytes for entry in verdict.unproven} == {
        item.path: item.size_bytes for item in objects
    }


def test_a_wrong_digest_is_bad_whatever_the_stated_size(s3_lab):
    name, objects = s3_lab.whole_product("S2_L2A", size_bytes=300_000, manifest_lies="MTD_MSIL2A.xml")
    objects = rewritten(s3_lab, objects, lambda text: re.sub('size="[0-9]+"', 'size="880"', text))
    [liar] = [item for item in objects if item.path == "MTD_MSIL2A.xml"]
    assert set(judge(s3_lab, name, objects).bad) == {liar.id}


def test_a_manifest_with_paths_of_the_factory_counts_for_its_own_product_only(s3_lab):
    name, objects = s3_lab.whole_product("S2_L2A", size_bytes=300_000)
    unit, baseline, tile = name[:3], name[27:32], name[38:44]
    factory = (
        f"/dpc/app/.1_2/.{unit}_OPER_MSI_L2A_TL_MPS__20180528T112321_A015306_{tile}_{baseline[:3]}.{baseline[3:]}/"
    )
    own = rewritten(s3_lab, objects, lambda text: text.replace('"./', f'"{factory}'))
    assert judge(s3_lab, name, own).good
    foreign = rewritten(s3_lab, own, lambda text: text.replace(unit, "S2Z"))
    verdict = judge(s3_lab, name, foreign)
    assert set(verdict.bad) == {item.id for item in objects if item.path == "manifest.safe"}
    assert "absolute" in verdict.summary


def test_a_manifest_that_names_no_file_leaves_the_product_to_its_record(s3_lab):
    name, objects = s3_lab.whole_product("S2_L2A", size_bytes=300_000)
    verdict = judge(s3_lab, name, rewritten(s3_lab, objects, lambda text: text.replace("href=", "title=")))
    assert verdict.good
    assert len(verdict.unproven) == len(objects)


@pytest.mark.parametrize("manifest_counts", [True, False])
def test_a_web_page_under_the_name_of_a_file_is_bad_in_the_same_way_each_time(s3_lab, manifest_counts):
    name, [item] = s3_lab.whole_product("S5P", size_bytes=36)
    page = b"<html><body>Not found</body></html>\n"
    (s3_lab.staging / item.path).write_bytes(page)
    [item] = from_disk([dataclasses.replace(item, etag=hashlib.md5(page).hexdigest())])
    verdict = judge(s3_lab, name, [item], manifest_counts=manifest_counts)
    assert verdict.bad == {item.id: "it is a web page"}
    assert not verdict.damaged


def test_one_file_of_a_directory_does_not_pass_as_a_product_of_one_file(s3_lab):
    name, objects = s3_lab.whole_product("S1_GRD", size_bytes=300_000)
    [alone] = [item for item in objects if item.path == "preview/quick-look.png"]
    verdict = judge(s3_lab, name, [alone])
    assert not verdict.good
    assert verdict.missing == ("manifest.safe",)


def test_of_a_part_only_what_was_chosen_is_compared_and_a_chosen_file_that_is_missing_is_an_error(s3_lab):
    name, objects = s3_lab.whole_product("S1_GRD", size_bytes=300_000)
    choice = Choice.of(["measurement"], [])
    taken = [item for item in objects if item.path == "manifest.safe" or choice.wants(item.path)]
    assert len(taken) < len(objects)
    assert judge(s3_lab, name, taken).missing
    assert judge(s3_lab, name, taken, choice=choice).good
    measured = next(item for item in taken if item.path.startswith("measurement/"))
    verdict = judge(s3_lab, name, [item for item in taken if item is not measured], choice=choice)
    assert verdict.missing == (measured.path,)
