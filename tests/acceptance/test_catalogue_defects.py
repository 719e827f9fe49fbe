"""Defects of cdsodatacli 2026.10.15 about search, cache, conversion, listings and downloads, each with its test.

We ran or read its code for each of them. `DEFECTS` names the test that shows that cdsed does not have it.
"""

import ast
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]

DEFECTS = {
    "one bad account destroys a listing": "compat/test_download.py::test_one_dead_account_fails_no_product",
    "a run whose accounts all fail never ends": ("compat/test_download.py::test_a_run_with_no_account_that_works_ends"),
    "an account that failed never comes back": (
        "faults/test_service_faults.py::test_when_all_accounts_are_refused_everything_products_wait_until_they_work_again"
    ),
    "a partial or empty SAFE counts as present": (
        "compat/test_utils.py::test_a_half_written_safe_counts_as_absent_everywhere"
    ),
    "a SAFE is written under its final name": (
        "compat/test_download.py::test_a_call_that_was_killed_leaves_no_half_product_and_continues"
    ),
    "duplicate lines are fetched twice": "compat/test_download.py::test_a_table_is_brought_by_the_real_machinery",
    "a prefix matches sibling keys": (
        "compat/test_one_product.py::test_a_sibling_whose_name_begins_alike_is_no_part_of_a_product"
    ),
    "nothing is verified after a download": (
        "compat/test_one_product.py::test_what_fails_its_own_manifest_does_not_appear"
    ),
    "a full disk and an absent product share one fate": (
        "compat/test_one_product.py::test_a_disk_that_refuses_is_a_move_error"
    ),
    "two processes cannot share an account": (
        "compat/test_download.py::test_two_calls_at_once_share_the_sessions_of_an_account"
    ),
    "ids are looked up in a window that excludes the product": (
        "compat/test_query.py::test_add_missing_ids_finds_ids_and_paths_in_the_order_of_the_listing"
    ),
    "Sentinel-2 names are cut like those of Sentinel-1": (
        "compat/test_utils.py::test_which_archive_dir_reads_a_sentinel_2_name_by_its_own_fields"
    ),
    "TLS is not verified where the password goes": (
        "unit/credentials/test_tokens.py::test_no_password_goes_to_a_host_without_a_valid_certificate"
    ),
    "a token is asked for per call": "compat/test_query.py::test_email_and_password_log_in_once_for_many_calls",
    "the cache never expires": (
        "unit/catalogue/test_cache.py::test_what_is_too_old_or_from_the_future_counts_no_longer"
    ),
    "what was missing once stays missing": (
        "unit/catalogue/test_names.py::test_what_is_missing_is_not_asked_again_until_its_time_is_over"
    ),
    "deleted and failed are the same": (
        "unit/catalogue/test_names_in_the_sandbox.py::test_deleted_offline_and_unknown_differ"
    ),
    "a service that is down makes products missing": (
        "unit/catalogue/test_names.py::test_a_service_that_is_down_is_an_error_and_no_short_answer"
    ),
    "two users write one temporary listing": (
        "unit/cli/test_listing_commands.py::test_two_users_may_resolve_at_the_same_time"
    ),
    "page one and the whole answer share a key of the cache": (
        "compat/test_query.py::test_the_cache_gives_all_rows_again_without_asking"
    ),
    "a failed answer is cached or taken for an empty one": (
        "compat/test_query.py::test_an_answer_that_failed_is_not_taken_for_an_empty_one"
    ),
    "more rows than the service hands out are a warning": (
        "unit/catalogue/test_search.py::test_a_slice_that_overflows_is_cut_until_every_part_can_be_had"
    ),
    "rows that were counted and not given go unnoticed": (
        "unit/catalogue/test_search.py::test_rows_that_are_counted_and_not_given_are_an_error"
    ),
    "a hole is dropped, a MultiPolygon makes the query worldwide": (
        "compat/test_query.py::test_holes_and_multipolygons_are_honoured"
    ),
    "the least percentage of sea is parsed and not passed on": (
        "unit/cli/test_query_command.py::test_the_least_sea_asked_for_is_heeded"
    ),
    "a quote in a value ends the text": "compat/test_query.py::test_a_quote_in_a_name_is_no_way_into_the_filter",
    "a 404 is asked six times": "unit/catalogue/test_catalogue.py::test_what_cannot_pass_is_not_tried_again",
    "a pause before a retry outlasts a stop": (
        "unit/catalogue/test_catalogue.py::test_a_stop_ends_the_pause_before_the_next_try_at_once"
    ),
    "each thread pool has a limiter of its own": (
        "unit/catalogue/test_rate_limiter.py::test_processes_with_one_file_keep_one_rate"
    ),
    "an empty answer has no columns": ("compat/test_query.py::test_an_answer_without_products_has_the_same_columns"),
    "an answer names a product twice, and so does its listing": (
        "compat/test_utils.py::test_convert_json_opensearch_writes_each_product_once"
    ),
    "an older listing stays when the answer is empty": (
        "compat/test_utils.py::test_an_empty_answer_leaves_no_lines_of_an_earlier_one"
    ),
    "two lines of a listing are looked at": (
        "unit/cli/test_listing_commands.py::test_resolve_names_a_bad_line_wherever_it_stands_and_a_duplicate_once"
    ),
    "importing it takes pandas, geopandas and half a second": (
        "architecture/test_weight.py::test_importing_cdsed_loads_no_library"
    ),
    "secrets travel in tables and logs": "compat/test_secrets.py::test_a_login_leaves_its_secrets_nowhere",
}


@pytest.mark.parametrize(("defect", "shown_by"), DEFECTS.items())
def test_a_defect_has_its_test(defect: str, shown_by: str) -> None:
    file, _, name = shown_by.partition("::")
    tree = ast.parse((TESTS / file).read_text(encoding="utf-8"))
    assert name in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}, defect
