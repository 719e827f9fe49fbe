"""``cdsodatacli.download``: what is present, ids for listings, and the download of a table by the real machinery."""

import os
import subprocess
import sys
import time
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from cdsed import foreground
from cdsed.compat.download import (
    cds_s3_download_one_product,
    download_list_product_multithread_v4,
    filter_product_already_present,
)
from cdsed.compat.private_root import in_use, sweep
from cdsed.compat.session import get_sessions_download_available_s3, release_s3_session_after_usage
from cdsed.compat.utils import check_safe_in_outputdir
from cdsed.errors import CdsedError, ConfigError
from cdsed.sandbox.names import realistic_safenames
from tests.support.cdsodatacli import Old
from tests.support.daemon import wait_until
from tests.support.local_products import BELOW_ARCHIVE, SAFENAME, make_product

NAMES = [SAFENAME.replace("E33E", f"E33{letter}") for letter in "0123"]


def _table(old: Old, count: int, seed: int, size_bytes: int = 200_000) -> pd.DataFrame:
    names = realistic_safenames("S1_OCN", count, seed=seed)
    paths = old.sandbox.add_products(*({"safename": name, "size_bytes": size_bytes} for name in names))
    return pd.DataFrame({"safename": names, "S3Path": [paths[name].removeprefix("/eodata/") for name in names]})


def test_filter_product_already_present_leaves_out_and_counts_what_is_there(old: Old) -> None:
    make_product(old.root / "archive" / BELOW_ARCHIVE, NAMES[0])
    make_product(old.root / "spool2", NAMES[1])
    make_product(old.root / "out", NAMES[2])
    df = pd.DataFrame({"safe": [*NAMES, NAMES[3]], "id": list("abcde")})
    before = df.copy()
    cpt: dict[str, int] = defaultdict(int)
    todo, counted = filter_product_already_present(cpt, df, str(old.root / "out"), old.conf())
    assert isinstance(todo, pd.DataFrame)
    assert list(todo.columns) == ["safe", "id", "outputpath", "urls"]
    assert list(todo["safe"]) == [NAMES[3]]
    assert list(todo["outputpath"]) == [str(old.root / "out" / f"{NAMES[3]}.zip")]
    assert list(todo["urls"]) == ["https://zipper.dataspace.copernicus.eu/odata/v1/Products(d)/$value"]
    assert counted is cpt
    assert dict(cpt) == {
        f"preproc-archive_{'-'.join(str(old.root).split('/')[0:3])}": 1,
        "preproc-archived_product": 1,
        "preproc-in_spool_product": 1,
        "preproc-in_outdir_product": 1,
        "preproc-product_absent_from_local_disks": 1,
        "preproc-duplicate_product": 1,
    }
    pd.testing.assert_frame_equal(df, before)


@pytest.mark.parametrize("nothing", [float("nan"), None])
def test_a_row_without_a_safename_is_named(old: Old, nothing: object) -> None:
    table = pd.DataFrame({"safename": [NAMES[0], nothing], "S3Path": ["", ""]}, index=[4, 7])
    with pytest.raises(TypeError, match=r"row 7 of the table: its safename is (nan|None)"):
        download_list_product_multithread_v4(table, str(old.root / "out"), "group", True)


def test_force_download_keeps_what_is_present_and_the_extension_is_the_callers(old: Old) -> None:
    make_product(old.root / "spool", NAMES[0])
    cpt: dict[str, int] = defaultdict(int)
    df = pd.DataFrame({"safe": NAMES[:2]})
    todo, _ = filter_product_already_present(
        cpt, df, str(old.root / "out"), cdsodatacli_conf=old.conf(), force_download=True, extension=""
    )
    assert list(todo["safe"]) == NAMES[:2]
    assert list(todo["outputpath"]) == [str(old.root / "out" / name) for name in NAMES[:2]]
    assert "urls" not in todo.columns
    assert cpt["preproc-in_spool_product"] == 1


def test_a_table_without_rows_and_a_configuration_without_addresses_will_do(old: Old) -> None:
    conf = {name: value for name, value in old.conf().items() if name != "URL_download"}
    for rows in ([], [(SAFENAME, 7)]):
        table = pd.DataFrame(rows, columns=["safe", "id"])
        found, _ = filter_product_already_present(defaultdict(int), table, old.root / "out", conf)
        assert list(found.columns) == ["safe", "id", "outputpath"]
        assert list(found["safe"]) == list(table["safe"])


def test_a_loop_of_ones_own_ends_with_every_product_present(old: Old) -> None:
    table = _table(old, 3, seed=421).rename(columns={"safename": "safe"}).assign(status=0)
    table.loc[2, "safe"] = table.loc[2, "safe"].removesuffix(".SAFE")
    conf, out = old.conf(), old.root / "out"
    todo, _ = filter_product_already_present(defaultdict(int), table, str(out), conf)
    assert list(todo["outputpath"]) == [str(out / f"{name}.zip") for name in table["safe"]]
    sessions = {login: dict.fromkeys(range(2), False) for login in conf["logins"]}
    while (todo["status"] == 0).any():
        ready, sessions = get_sessions_download_available_s3(conf, sessions, todo[todo["status"] == 0], [], "logins")
        assert not ready.empty
        for row in ready.itertuples():
            keys = {"s3-access-key": row.s3_access_key, "s3-secret": row.s3_secret}
            result = cds_s3_download_one_product(row.S3Path, keys, row.output_path, conf)
            assert result[3:] == ("Downloaded", row.safe)
            todo.loc[todo["safe"] == row.safe, "status"] = 1
            sessions = release_s3_session_after_usage(sessions, row.login, row.s3_session)
    assert [path for path in todo["outputpath"] if not Path(path).is_dir()] == []
    for name in table["safe"]:
        assert check_safe_in_outputdir(out, name)
    assert filter_product_already_present(defaultdict(int), table, str(out), conf)[0].empty
    next(Path(todo["outputpath"].iloc[0]).glob("measurement/*")).unlink()
    assert list(filter_product_already_present(defaultdict(int), table, out, conf)[0]["safe"]) == [table["safe"][0]]


def test_a_product_that_is_one_file_is_not_called_a_zip(old: Old) -> None:
    name = realistic_safenames("S5P", 1, seed=422)[0]
    todo, _ = filter_product_already_present(defaultdict(int), pd.DataFrame({"safe": [name]}), old.root, old.conf())
    assert list(todo["outputpath"]) == [str(old.root / name)]


@pytest.mark.parametrize("extension", [".EOF", ".TGZ", ".tar"])
def test_an_auxiliary_file_is_not_called_a_zip(old: Old, extension: str) -> None:
    table = pd.DataFrame({"safe": [f"S1A_OPER_AUX_POEORB_OPOD_20210316T161714{extension}"]})
    todo, _ = filter_product_already_present(defaultdict(int), table, old.root, old.conf())
    assert list(todo["outputpath"]) == [str(old.root / table["safe"][0])]


def test_a_product_that_is_one_file_is_found_again_although_its_name_lacks_the_extension(old: Old) -> None:
    name = realistic_safenames("S5P", 1, seed=423)[0]
    s3_path = old.sandbox.add_products({"safename": name, "size_bytes": 1000})[name]
    table = pd.DataFrame({"safe": [name.removesuffix(".nc")]})
    todo, _ = filter_product_already_present(defaultdict(int), table, old.root / "out", old.conf())
    account = old.sandbox.accounts[0]
    keys = {"s3-access-key": account.access_key, "s3-secret": account.secret_key}
    result = cds_s3_download_one_product(s3_path, keys, todo["outputpath"][0], old.conf())
    assert result[3:] == ("Downloaded", table["safe"][0])
    assert check_safe_in_outputdir(old.root / "out", name)
    assert filter_product_already_present(defaultdict(int), table, old.root / "out", old.conf())[0].empty


def test_a_table_is_brought_by_the_real_machinery(old: Old, capfd: pytest.CaptureFixture[str]) -> None:
    table = _table(old, 6, seed=401)
    before = table.copy()
    doubled = pd.concat([table, table.iloc[:2]], ignore_index=True)
    outputdir = old.root / "out"
    df2 = download_list_product_multithread_v4(
        doubled, str(outputdir), "logins", cdsodatacli_conf_file=str(old.write())
    )
    assert isinstance(df2, pd.DataFrame)
    assert list(df2.columns) == ["safe", "S3Path", "status", "outputpath"]
    assert list(df2["safe"]) == list(table["safename"])
    assert list(df2["status"]) == [1] * 6
    assert list(df2["outputpath"]) == [str(outputdir / name) for name in table["safename"]]
    for name in table["safename"]:
        assert old.differences(outputdir / name) == []
    pd.testing.assert_frame_equal(table, before)
    assert "OK=6 | ERR=0 | todo=0" in capfd.readouterr().err
    assert not list(old.root.rglob("accounts.yml")), "a copy of the secrets is left behind"

    again = download_list_product_multithread_v4(table, str(outputdir), "logins", True, True, str(old.write()))
    assert list(again.columns) == ["safe", "S3Path", "status", "outputpath"]
    assert again.empty, "what is there is not fetched again"


def test_nothing_is_left_of_a_finished_call_but_the_locks_of_sessions(old: Old) -> None:
    table = _table(old, 2, seed=420)
    bare = table.assign(safename=table["safename"].str.removesuffix(".SAFE"))
    df2 = download_list_product_multithread_v4(bare, old.root / "out", "logins", True, True, old.write())
    assert list(df2["safe"]) == list(bare["safename"])
    assert list(df2["outputpath"]) == [str(old.root / "out" / name) for name in table["safename"]]
    assert [path for path in df2["outputpath"] if old.differences(Path(path))] == []
    [temporary] = old.root.glob("cdsed-compat-*")
    assert [path.name for path in temporary.iterdir()] == ["sessions"]
    assert list((old.root / "pre_spool").iterdir()) == []
    assert list((old.root / "out").rglob("*.state")) == []
    again = pd.concat([bare, table], ignore_index=True)
    assert download_list_product_multithread_v4(again, old.root / "out", "logins", True, True, old.write()).empty


def test_one_dead_account_fails_no_product(old: Old) -> None:
    good, other = old.sandbox.accounts
    dead = replace(other, secret_key="wrong")
    table = _table(old, 12, seed=402)
    config = old.write({"team": old.group(dead, good)})
    df2 = download_list_product_multithread_v4(
        table, str(old.root / "out"), "team", hideprogressbar=True, cdsodatacli_conf_file=config
    )
    assert list(df2["status"]) == [1] * 12


def test_what_is_not_there_is_minus_one_and_the_rest_arrives(old: Old, caplog: pytest.LogCaptureFixture) -> None:
    table = _table(old, 2, seed=403)
    gone = realistic_safenames("S1_GRD", 1, seed=404)[0]
    more = pd.DataFrame({"safename": [gone, "no name"], "S3Path": [f"Sentinel-1/x/{gone}", float("nan")]})
    table = pd.concat([table, more], ignore_index=True)
    df2 = download_list_product_multithread_v4(
        table, str(old.root / "out"), "logins", hideprogressbar=True, cdsodatacli_conf_file=old.write()
    )
    assert list(df2["status"]) == [1, 1, -1, -1]
    assert gone in caplog.text


def test_rows_that_are_finished_already_are_left_as_they_are(old: Old) -> None:
    table = _table(old, 3, seed=405).assign(status=[1, -1, 0])
    df2 = download_list_product_multithread_v4(
        table, str(old.root / "out"), "logins", hideprogressbar=True, cdsodatacli_conf_file=old.write()
    )
    assert list(df2["status"]) == [1, -1, 1]
    assert [path.name for path in (old.root / "out").glob("*.SAFE")] == [table["safename"][2]]


def test_a_product_of_an_archive_is_fetched_only_when_disks_are_not_checked(old: Old) -> None:
    name = SAFENAME
    path = old.sandbox.add_products({"safename": name, "size_bytes": 100_000})[name]
    make_product(old.root / "archive" / BELOW_ARCHIVE, name)
    table = pd.DataFrame({"safename": [name], "S3Path": [path]})
    config = old.write()
    assert download_list_product_multithread_v4(
        table, str(old.root / "out"), "logins", True, cdsodatacli_conf_file=config
    ).empty
    df2 = download_list_product_multithread_v4(
        table, str(old.root / "out"), "logins", True, check_on_disk=False, cdsodatacli_conf_file=config
    )
    assert list(df2["status"]) == [1]
    assert old.differences(old.root / "out" / name) == []


def test_a_run_with_no_account_that_works_ends(
    old: Old, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    dead = [replace(account, secret_key="wrong") for account in old.sandbox.accounts]
    table = _table(old, 3, seed=407)
    monkeypatch.setattr(foreground, "IDLE_TIMEOUT_S", 4.0)
    df2 = download_list_product_multithread_v4(
        table, str(old.root / "out"), "team", True, cdsodatacli_conf_file=old.write({"team": old.group(*dead)})
    )
    assert list(df2["status"]) == [-1] * 3
    assert "localconfig.yml" in caplog.text
    assert "accounts file" not in caplog.text
    [state] = old.root.glob("cdsed-compat-*/*/state")
    assert state.is_dir(), "what is not finished is resumed by the next call"
    (state.parent / "call-killed").mkdir()
    month_ago_s = time.time() - 31 * 86_400
    os.utime(state.parent, (month_ago_s, month_ago_s))
    sweep(state.parent.parent)
    assert not state.exists(), "a call that was not repeated leaves its state"
    assert list((old.root / "pre_spool").iterdir()) == []


def test_a_private_root_stays_while_another_call_uses_it(tmp_path: Path) -> None:
    with in_use(tmp_path / "root") as first:
        with in_use(tmp_path / "root") as second:
            (second.path / "call-2").mkdir()
            first.clean()
            first.remove()
            assert (second.path / "call-2").is_dir()
        first.clean()
        assert not (first.path / "call-2").exists()
        first.remove()
    assert not (tmp_path / "root").exists()


def test_a_group_without_usable_accounts_is_refused_before_anything_starts(old: Old) -> None:
    table = pd.DataFrame({"safename": [SAFENAME], "S3Path": ["x"]})
    with pytest.raises(ConfigError, match="s3-access-key"):
        download_list_product_multithread_v4(
            table, str(old.root / "out"), "empty", cdsodatacli_conf_file=old.write({"empty": {"a@x": {}}})
        )
    with pytest.raises(ConfigError, match="'nobody'"):
        download_list_product_multithread_v4(table, str(old.root / "out"), "nobody", cdsodatacli_conf_file=old.write())
    assert not list(Path(old.root / "out").iterdir())
    unusable = {"a@x": {"s3-access-key": "x y", "s3-secret": "z"}}
    with pytest.raises(CdsedError, match=r"localconfig.yml: team\.a-.*s3_access_key: should have no space in it"):
        download_list_product_multithread_v4(
            table, str(old.root / "out"), "team", cdsodatacli_conf_file=old.write({"team": unusable})
        )


def test_two_calls_at_once_share_the_sessions_of_an_account(old: Old) -> None:
    tables = [_table(old, 10, seed=408 + number, size_bytes=1_000_000) for number in range(2)]
    config = old.write()
    (old.root / "out2").mkdir()
    old.sandbox.reset_counters()

    def call(number: int) -> pd.DataFrame:
        outputdir = old.root / ("out", "out2")[number]
        return download_list_product_multithread_v4(
            tables[number], outputdir, "logins", hideprogressbar=True, cdsodatacli_conf_file=config
        )

    with ThreadPoolExecutor(2) as pool:
        results = list(pool.map(call, range(2)))
    assert [list(df2["status"]) for df2 in results] == [[1] * 10] * 2
    counters = old.sandbox.counters()["accounts"][old.sandbox.accounts[0].name]
    assert counters["open_max"] <= 4, counters


def test_a_call_that_was_killed_leaves_no_half_product_and_continues(old: Old) -> None:
    table = _table(old, 3, seed=411, size_bytes=4_000_000)
    listing, out = old.root / "table.csv", old.root / "out"
    table.to_csv(listing, index=False)
    old.sandbox.fault(kind="trickle", key="*/measurement/*", times=1, bytes_per_s=800_000)
    script = (
        "import sys, pandas as pd; from cdsed.compat.download import download_list_product_multithread_v4 as bring; "
        "bring(pd.read_csv(sys.argv[1]), sys.argv[2], 'logins', True, True, sys.argv[3])"
    )
    environ = {**os.environ, "TMPDIR": str(old.root), "PYTHONPATH": str(Path(__file__).parents[2])}
    process = subprocess.Popen([sys.executable, "-c", script, listing, out, old.write()], env=environ)
    wait_until("something is fetched", lambda: any(old.root.rglob(".cdsed-*/*/measurement/*")))
    process.kill()
    process.wait()
    for name in table["safename"]:
        assert not (out / name).exists() or old.differences(out / name) == []
    df2 = download_list_product_multithread_v4(
        table, out, "logins", True, cdsodatacli_conf_file=old.root / "localconfig.yml"
    )
    assert set(df2["status"]) <= {1}
    for name in table["safename"]:
        assert old.differences(out / name) == []
