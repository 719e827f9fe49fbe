"""``cdsodatacli.download.cds_s3_download_one_product``: one product, complete and verified or not at all."""

import math

import pytest

from cdsed.compat.download import cds_s3_download_one_product
from cdsed.errors import ConfigError
from cdsed.sandbox.names import realistic_safenames
from tests.support.cdsodatacli import Old
from tests.support.local_products import make_product


def _credentials(old: Old) -> dict[str, str]:
    account = old.sandbox.accounts[0]
    return {"s3-access-key": account.access_key, "s3-secret": account.secret_key}


def _add(old: Old, kind: str, seed: int, **options: object) -> tuple[str, str]:
    name = realistic_safenames(kind, 1, seed=seed)[0]
    paths = old.sandbox.add_products({"safename": name, "size_bytes": 3_000_000, **options})
    return name, paths[name].removeprefix("/eodata/")


@pytest.mark.parametrize(("kind", "seed"), [("S1_GRD", 301), ("S5P", 302)])
def test_a_product_is_fetched_and_the_result_has_the_old_types(old: Old, kind: str, seed: int) -> None:
    name, s3_path = _add(old, kind, seed)
    output = old.root / "out" / name
    result = cds_s3_download_one_product(s3_path, _credentials(old), str(output), conf=old.conf())
    speed, elapsed_time, total_mb, status_meaning, safename_base = result
    assert isinstance(result, tuple)
    assert [type(each) for each in result] == [float, int, int, str, str]
    assert (status_meaning, safename_base, total_mb) == ("Downloaded", name, 3)
    assert speed > 0
    assert elapsed_time >= 0
    assert old.differences(output) == []
    assert list((old.root / "pre_spool").iterdir()) == []


def test_the_path_may_name_the_bucket_and_the_output_another_place(old: Old) -> None:
    name, s3_path = _add(old, "S1_OCN", 303)
    output = old.root / "new" / "place" / name
    result = cds_s3_download_one_product(f"/eodata/{s3_path}/", _credentials(old), output, old.conf())
    assert result[3:] == ("Downloaded", name)
    assert old.differences(output) == []


def test_an_output_that_is_named_as_a_zip_becomes_a_directory_of_that_name(old: Old) -> None:
    name, s3_path = _add(old, "S1_GRD", 309)
    output = old.root / "out" / f"{name}.zip"
    result = cds_s3_download_one_product(s3_path, _credentials(old), output, old.conf())
    assert result[3:] == ("Downloaded", name)
    output.rename(output.with_suffix(""))
    assert old.differences(output.with_suffix("")) == []


def test_an_absent_product_is_not_found_and_leaves_nothing(old: Old) -> None:
    name = realistic_safenames("S1_SLC", 1, seed=304)[0]
    result = cds_s3_download_one_product(
        f"Sentinel-1/x/{name}", _credentials(old), str(old.root / "out" / name), old.conf()
    )
    assert math.isnan(result[0])
    assert result[2:] == (0, "NotFound", name)
    assert list((old.root / "out").iterdir()) == []


def test_a_sibling_whose_name_begins_alike_is_no_part_of_a_product(old: Old) -> None:
    _name, s3_path = _add(old, "S1_GRD", 305)
    shorter = s3_path[:-8]  # a prefix of the key, not a product
    result = cds_s3_download_one_product(shorter, _credentials(old), str(old.root / "out" / "x.SAFE"), old.conf())
    assert result[3] == "NotFound"
    assert list((old.root / "out").iterdir()) == []


def test_a_refused_key_is_an_s3_error_and_no_secret_is_logged(old: Old, caplog: pytest.LogCaptureFixture) -> None:
    name, s3_path = _add(old, "S1_GRD", 306)
    wrong = _credentials(old) | {"s3-secret": "canary-secret"}
    result = cds_s3_download_one_product(s3_path, wrong, str(old.root / "out" / name), old.conf())
    assert result[3:] == ("S3Error", name)
    assert "canary-secret" not in caplog.text
    assert "localconfig.yml" in caplog.text
    assert "accounts file" not in caplog.text
    assert not (old.root / "out" / name).exists()


def test_a_blip_of_the_service_is_got_over(old: Old) -> None:
    name, s3_path = _add(old, "S1_GRD", 307)
    old.sandbox.fault(kind="reset", key="*/measurement/*", times=1, after_bytes=1000)
    result = cds_s3_download_one_product(s3_path, _credentials(old), str(old.root / "out" / name), old.conf())
    assert result[3] == "Downloaded"
    assert old.sandbox.call("GET", "faults")["faults"][0]["matched"] > 1, "the blip never came"
    assert old.differences(old.root / "out" / name) == []


def test_what_fails_its_own_manifest_does_not_appear(old: Old) -> None:
    name, s3_path = _add(old, "S1_GRD", 308, manifest_lies=True)
    result = cds_s3_download_one_product(s3_path, _credentials(old), str(old.root / "out" / name), old.conf())
    assert result[3] == "Corrupt"
    assert list((old.root / "out").iterdir()) == []


def test_what_stood_there_before_is_replaced_by_the_whole_product(old: Old) -> None:
    name, s3_path = _add(old, "S1_GRD", 309)
    make_product(old.root / "out", name)
    result = cds_s3_download_one_product(s3_path, _credentials(old), str(old.root / "out" / name), old.conf())
    assert result[3] == "Downloaded"
    assert old.differences(old.root / "out" / name) == []
    assert [path.name for path in (old.root / "out").iterdir()] == [name]


def test_a_disk_that_refuses_is_a_move_error(old: Old) -> None:
    name, s3_path = _add(old, "S1_GRD", 310)
    (old.root / "file").write_text("in the way", encoding="utf-8")
    result = cds_s3_download_one_product(s3_path, _credentials(old), str(old.root / "file" / name), old.conf())
    assert result[3] == "MoveError"
    assert list((old.root / "pre_spool").iterdir()) == []


def test_a_pre_spool_that_cannot_be_made_is_a_move_error(old: Old) -> None:
    name, s3_path = _add(old, "S1_OCN", 321)
    (old.root / "file").write_bytes(b"")
    for pre_spool in ("file", "file/below"):
        conf = old.conf() | {"pre_spool": str(old.root / pre_spool)}
        result = cds_s3_download_one_product(s3_path, _credentials(old), old.root / "out" / name, conf)
        assert result[3:] == ("MoveError", name)


def test_certificates_come_from_the_settings(old: Old, monkeypatch: pytest.MonkeyPatch) -> None:
    (old.root / "cdsed.yml").write_text("services: {ca_file: /nowhere.pem}\n", encoding="utf-8")
    monkeypatch.setenv("CDSED_CONFIG", str(old.root / "cdsed.yml"))
    with pytest.raises(ConfigError, match="ca_file"):
        cds_s3_download_one_product("Sentinel-1/x.SAFE", _credentials(old), old.root / "x.SAFE", old.conf())
