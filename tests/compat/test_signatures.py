"""Every function of cdsodatacli's documented API, by its name, with the very parameters and defaults."""

import importlib
import inspect

import pytest

# As its documentation writes them, and its release 2026.10.15 where that has more.
API = [
    (
        "query.fetch_data(gdf, timedelta_slice=None, min_sea_percent=None, top=None, cache_dir=None, querymode='seq', "
        "email=None, password=None, display_tqdm=False, checkpoint_dir=None)"
    ),
    "download.cds_s3_download_one_product(s3_path, s3_credentials, output_filepath, conf)",
    (
        "download.filter_product_already_present(cpt, df, outputdir, cdsodatacli_conf, force_download=False, "
        "extension='.zip')"
    ),
    "download.add_missing_cdse_hash_ids_in_listing(listing_path, conf, display_tqdm=False, email=None, password=None)",
    (
        "download.download_list_product_multithread_v4(inputdf, outputdir, account_group, hideprogressbar=False, "
        "check_on_disk=True, cdsodatacli_conf_file=None)"
    ),
    "utils.get_conf(path_config_file=None)",
    "utils.check_safe_in_outputdir(outputdir, safename)",
    "utils.check_safe_in_spool(safename, conf)",
    "utils.WhichArchiveDir(safe, conf, archive_type)",
    "utils.check_safe_in_archive(safename, conf)",
    "utils.convert_json_opensearch_query_to_listing_safe_4_dowload(json_path)",
    "utils.convert_json_odata_query_to_listing_safe_4_download(json_path)",
    (
        "session.get_sessions_download_available_s3(conf, active_s3_sessions_status, subset_to_treat, blacklist, "
        "logins_group='logins')"
    ),
    "session.release_s3_session_after_usage(active_s3_sessions_status, login, session_id)",
    "s3_temporary_access_token._get_fresh_s3_client(conf, headers)",
    "s3_path.guess_s3_path(safebasename)",
]


@pytest.mark.parametrize("documented", API, ids=lambda each: each.partition("(")[0])
def test_a_function_has_its_documented_parameters_and_defaults(documented: str) -> None:
    path = documented.partition("(")[0]
    module, _, name = path.rpartition(".")
    function = getattr(importlib.import_module(f"cdsed.compat.{module}"), name)
    signature = inspect.signature(function)
    plain = signature.replace(
        parameters=[each.replace(annotation=inspect.Parameter.empty) for each in signature.parameters.values()],
        return_annotation=inspect.Signature.empty,
    )
    assert f"{path}{plain}" == documented
    assert inspect.getdoc(function)


def test_the_package_itself_has_what_scripts_import_from_it() -> None:
    from cdsed import __version__, compat
    from cdsed.compat.query import fetch_data

    assert (compat.fetch_data, compat.__version__) == (fetch_data, __version__)
