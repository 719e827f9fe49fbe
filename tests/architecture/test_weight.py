"""What a process imports. A supervisor imports no S3, `status` no validation, a worker only what its role needs."""

import json
import subprocess
import sys

import pytest

from tests.architecture.sources import ROOT


def loaded(*statements: str) -> set[str]:
    """Return the top-level modules that a fresh interpreter has after some statements."""
    script = "\n".join([*statements, "import json, sys", "print(json.dumps(sorted(sys.modules)))"])
    run = subprocess.run(
        [sys.executable, "-I", "-c", f"import sys; sys.path.insert(0, {str(ROOT)!r})\n{script}"],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return {name.partition(".")[0] for name in json.loads(run.stdout.splitlines()[-1])}


def libraries(*statements: str) -> set[str]:
    """Return those of them that neither Python nor cdsed brings, and that a bare interpreter does not load."""
    return loaded(*statements) - loaded() - set(sys.stdlib_module_names) - {"cdsed"}


def test_importing_cdsed_loads_no_library():
    assert libraries("import cdsed") == set()


def test_the_api_loads_what_a_function_needs_when_it_is_called():
    assert libraries("import cdsed.api") == set()


def test_the_command_line_starts_without_any_library():
    assert libraries("from cdsed.cli.main import parser", "parser()") == set()


def test_status_loads_sqlite_and_nothing_else():
    assert libraries("import cdsed.cli.status, cdsed.view.read, cdsed.view.overview, cdsed.view.as_json") <= {"apsw"}


def test_status_and_the_version_load_neither_the_log_nor_the_other_commands():
    modules = loaded("import sys", "from cdsed.cli.main import parser", "parser(['status'])")
    assert not modules & {"logging", "tempfile"}
    commands = "[name for name in sys.modules if name.startswith('cdsed.cli.')]"
    loaded(
        "import sys",
        "from cdsed.cli.main import parser",
        "parser(['--version'])",
        f"assert {commands} == ['cdsed.cli.main']",
    )


def test_the_metrics_load_no_more_than_the_status():
    assert libraries("import cdsed.cli.metrics, cdsed.view.metrics, cdsed.view.read, cdsed.store.page") <= {"apsw"}


def test_the_page_loads_what_it_serves_with_and_nothing_of_the_work():
    modules = loaded("import cdsed.roles, cdsed.web.role")
    assert {"starlette", "uvicorn"} <= modules
    assert not modules & {"boto3", "botocore", "requests", "pandas", "geopandas", "shapely", "numpy"}


def test_the_supervisor_loads_neither_s3_nor_http():
    assert not loaded("import cdsed.daemon") & {
        "boto3",
        "botocore",
        "requests",
        "urllib3",
        "pandas",
        "starlette",
        "uvicorn",
    }


def test_the_supervisor_loads_nothing_that_reads_listings():
    assert not loaded("import cdsed.daemon") & {"ijson", "csv"}


def test_a_download_worker_loads_no_requests_and_no_catalogue():
    modules = loaded(
        "import cdsed.roles, cdsed.work.session, cdsed.work.finish, cdsed.work.outcome, cdsed.work.context",
        "import cdsed.transfer.stall_detector, cdsed.local.presence",
    )
    assert {"defusedxml", "http"} <= modules
    libraries = {"requests", "pandas", "ijson", "apscheduler", "boto3", "botocore", "tenacity"}
    assert not modules & libraries


@pytest.mark.parametrize("role", ["cdsed.catalogue.client, cdsed.work.resolve", "cdsed.inbox.watch, cdsed.work.intake"])
def test_only_downloading_loads_s3(role):
    assert not loaded(f"import cdsed.roles, {role}") & {"boto3", "botocore", "pandas", "apscheduler"}


def test_the_bar_of_a_download_is_loaded_when_it_is_shown_and_an_export_loads_what_its_format_needs():
    modules = loaded("import cdsed.foreground, cdsed.view.transfer_bar, cdsed.cli.doctor, cdsed.cli.config")
    assert not modules & {"tqdm", "pystac", "pandas", "shapely", "pyarrow", "requests"}
    csv = loaded("from cdsed.holdings.export_formats import ExportFormat, writer_of", "writer_of(ExportFormat.CSV)")
    assert not csv & {"tqdm", "pystac", "pandas", "shapely", "pyarrow"}


def test_looking_names_up_and_matching_them_loads_no_geopandas():
    modules = loaded("import cdsed.cli.resolve, cdsed.cli.match, cdsed.catalogue.client, cdsed.catalogue.counterparts")
    assert not modules & {"pandas", "geopandas", "shapely", "numpy", "pyarrow"}


def test_dask_is_loaded_only_where_the_settings_ask_for_it():
    for code in ("import cdsed.daemon, cdsed.roles; cdsed.roles.import_work()", "import cdsed.engine.holder"):
        assert not loaded(code) & {"dask", "distributed", "tornado"}
    assert {"dask", "distributed"} <= loaded("import cdsed.engine.head")
