"""``cdsodatacli.utils`` under its own names."""

import json
from pathlib import Path

import pytest

from cdsed.compat import utils
from cdsed.errors import ConfigError, InboxError
from tests.support.cdsodatacli import Old
from tests.support.local_products import BELOW_ARCHIVE, SAFENAME, make_product, make_zip

ID = "5b1d7d2e-1d5a-4f6f-9b1e-0123456789ab"
OTHER_ID = "7c1d7d2e-1d5a-4f6f-9b1e-0123456789ab"
OTHER = SAFENAME.replace("E33E", "E33F")
FORMS = ["SAFE", "SAFE.zip", "zip"]


def _place(directory: Path, form: str) -> Path:
    if form == "SAFE":
        return make_product(directory)
    directory.mkdir(parents=True, exist_ok=True)
    return make_zip(directory / SAFENAME.replace("SAFE", form))


def test_get_conf_reads_an_old_localconfig_unchanged(old: Old) -> None:
    path = old.write()
    conf = utils.get_conf(path_config_file=str(path))
    assert isinstance(conf, dict)
    assert conf == old.conf()
    assert utils.get_conf(path) == conf


def test_get_conf_without_a_path_finds_localconfig_yml(old: Old, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(old.root / "etc"))
    conf = utils.get_conf()
    assert conf["logins"] == {}
    assert {"spools", "pre_spool", "archives", "URL_identity", "URL_download", "s3_endpoint"} <= conf.keys()
    (old.root / "etc" / "cdsed").mkdir(parents=True)
    old.write().rename(old.root / "etc" / "cdsed" / "localconfig.yml")
    assert "user1@example.org" in utils.get_conf()["default_login"]


def test_get_conf_shows_no_secret_when_the_file_is_broken(tmp_path: Path) -> None:
    path = tmp_path / "localconfig.yml"
    path.write_text("logins:\n  a@b: {cdse-psswd: canary-1 : x}\n", encoding="utf-8")
    with pytest.raises(ConfigError) as raised:
        utils.get_conf(path)
    assert str(path) in str(raised.value)
    assert "canary" not in str(raised.value)
    with pytest.raises(ConfigError, match="no such file"):
        utils.get_conf(str(tmp_path / "absent.yml"))


@pytest.mark.parametrize("form", FORMS)
def test_check_safe_in_outputdir_finds_all_three_forms(tmp_path: Path, form: str) -> None:
    assert utils.check_safe_in_outputdir(str(tmp_path), SAFENAME) is False
    _place(tmp_path, form)
    assert utils.check_safe_in_outputdir(outputdir=str(tmp_path), safename=SAFENAME) is True


@pytest.mark.parametrize("form", FORMS)
def test_check_safe_in_spool_looks_into_every_spool(old: Old, form: str) -> None:
    conf = old.conf()
    assert utils.check_safe_in_spool(SAFENAME, conf) is False
    _place(old.root / "spool2", form)
    assert utils.check_safe_in_spool(safename=SAFENAME, conf=conf) is True


@pytest.mark.parametrize("form", FORMS)
def test_check_safe_in_archive_is_true_or_false(old: Old, form: str) -> None:
    conf = old.conf()
    assert utils.check_safe_in_archive(SAFENAME, conf) is False
    _place(old.root / "archive" / BELOW_ARCHIVE, form)
    assert utils.check_safe_in_archive(safename=SAFENAME, conf=conf) is True


def test_a_half_written_safe_counts_as_absent_everywhere(old: Old) -> None:
    conf = old.conf()
    for place in (old.root / "out", old.root / "spool", old.root / "archive" / BELOW_ARCHIVE):
        (make_product(place) / "measurement" / "a.tiff").unlink()
    assert not utils.check_safe_in_outputdir(str(old.root / "out"), SAFENAME)
    assert not utils.check_safe_in_spool(SAFENAME, conf)
    assert not utils.check_safe_in_archive(SAFENAME, conf)


@pytest.mark.parametrize(
    ("safename", "below"),
    [
        (SAFENAME, BELOW_ARCHIVE),
        (
            "S1A_WV_SLC__1SSV_20141113T141141_20141113T143623_003264_003C69_1CDB.SAFE",
            "sentinel-1a/L1/WV/S1A_WV_SLC__1S/2014/317",
        ),
        (
            "S1B_S3_RAW__0SDV_20191113T141141_20191113T143623_003264_003C69_1CDB.SAFE",
            "sentinel-1b/L0/SM/S1B_SM_RAW__0S/2019/317",
        ),
    ],
)
def test_which_archive_dir_is_where_cdsodatacli_puts_sentinel_1(old: Old, safename: str, below: str) -> None:
    directory = utils.WhichArchiveDir(safename, old.conf(), "default")
    assert isinstance(directory, str)
    assert directory == str(old.root / "archive" / below)


def test_which_archive_dir_reads_a_sentinel_2_name_by_its_own_fields(old: Old) -> None:
    name = "S2A_MSIL1C_20240912T112541_N0511_R137_T28PHQ_20240912T133420.SAFE"
    expected = old.root / "archive" / "sentinel-2a/L1C/MSI/S2A_MSIL1C/2024/256"
    assert utils.WhichArchiveDir(safe=name, conf=old.conf(), archive_type="default") == str(expected)


def test_which_archive_dir_refuses_other_missions(old: Old) -> None:
    with pytest.raises(ValueError, match="safe not handle"):
        utils.WhichArchiveDir("S5P_OFFL_L2__NO2____20211211T104909.nc", old.conf(), "default")


def test_convert_json_odata_writes_id_and_safename(tmp_path: Path) -> None:
    response = tmp_path / "answer.json" / "answer.json"  # the name of the directory stays as it is
    response.parent.mkdir()
    rows = [{"Id": ID, "Name": SAFENAME}, {"Id": OTHER_ID, "Name": OTHER}, {"Id": ID, "Name": SAFENAME}]
    response.write_text(json.dumps({"value": rows}), encoding="utf-8")
    listing = utils.convert_json_odata_query_to_listing_safe_4_download(str(response))
    assert listing == str(response.with_suffix(".txt"))
    assert Path(listing).read_text(encoding="utf-8") == f"{ID},{SAFENAME}\n{OTHER_ID},{OTHER}\n"


def test_convert_json_opensearch_writes_each_product_once(tmp_path: Path) -> None:
    response = tmp_path / "answer.json"
    feature = {"id": ID, "properties": {"title": SAFENAME, "productIdentifier": f"/eodata/x/{SAFENAME}"}}
    response.write_text(json.dumps({"features": [feature, feature]}), encoding="utf-8")
    listing = utils.convert_json_opensearch_query_to_listing_safe_4_dowload(str(response))
    assert isinstance(listing, str)
    assert Path(listing).read_text(encoding="utf-8") == f"{ID},{SAFENAME}\n"


@pytest.mark.parametrize(
    ("convert", "content"),
    [
        (utils.convert_json_odata_query_to_listing_safe_4_download, '{"value": []}'),
        (utils.convert_json_opensearch_query_to_listing_safe_4_dowload, '{"features": []}'),
    ],
)
def test_an_empty_answer_leaves_no_lines_of_an_earlier_one(tmp_path: Path, convert, content: str) -> None:
    (tmp_path / "answer.json").write_text(content, encoding="utf-8")
    (tmp_path / "answer.txt").write_text("stale\n", encoding="utf-8")
    assert Path(convert(str(tmp_path / "answer.json"))).read_text(encoding="utf-8") == ""


def test_an_answer_that_is_broken_or_not_called_json_is_not_overwritten(tmp_path: Path) -> None:
    text = tmp_path / "answer.txt"
    text.write_text('{"value": []}', encoding="utf-8")
    with pytest.raises(ValueError, match="written over"):
        utils.convert_json_odata_query_to_listing_safe_4_download(str(text))
    broken = tmp_path / "broken.json"
    broken.write_text('{"value": [', encoding="utf-8")
    with pytest.raises(InboxError):
        utils.convert_json_odata_query_to_listing_safe_4_download(str(broken))
    assert not broken.with_suffix(".txt").exists()
