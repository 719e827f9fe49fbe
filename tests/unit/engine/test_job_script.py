"""The scripts that dask-jobqueue makes of the settings which docs/batch-systems.md shows."""

import re
from pathlib import Path

import pytest
import yaml

from cdsed.config.load import load_settings
from cdsed.engine.certificates import make_certificate

dask = pytest.importorskip("dask", reason="cdsed[dask] is not installed")

_PAGE = Path(__file__).parents[3] / "docs" / "batch-systems.md"
_WORKER = (
    "env DASK_DISTRIBUTED__WORKER__HTTP__ROUTES=[] /shared/cdsed/bin/python -m distributed.cli.dask_worker "
    "tls://127.0.0.1:PORT --name dummy-name --nthreads 2 --memory-limit 3.73GiB --no-nanny --death-timeout 60 "
    "--no-dashboard --dashboard-address 127.0.0.1:0 --interface lo --protocol tls:// "
    "--tls-ca-file TLS/cert.pem --tls-cert TLS/cert.pem --tls-key TLS/key.pem"
)


def _shown(system: str) -> dict[str, object]:
    """Return the settings that the page shows for a batch system."""
    blocks = re.findall(r"```yaml\n(.*?)```", _PAGE.read_text("utf-8"), re.DOTALL)
    found: dict[str, object] = yaml.safe_load(next(block for block in blocks if f"system: {system}" in block))
    return found


def _script(place: Path, content: dict[str, object]) -> str:
    """Return the script for settings, with directories and the interface of this machine."""
    from cdsed.engine.dask_client import job_script

    make_certificate(place / "tls")
    text = yaml.safe_dump(content).replace("/shared/cdsed/tls", str(place / "tls"))
    text = text.replace("/shared/cdsed/jobs", str(place / "jobs")).replace("ib0", "lo")
    config = place / "cdsed.yml"
    config.write_text(text, encoding="utf-8")
    script = job_script(load_settings(config, {}).engine)
    script = script.replace(str(place / "tls"), "TLS").replace(str(place / "jobs"), "JOBS")
    return re.sub(r"(tls://127\.0\.0\.1):\d+", r"\1:PORT", script)


def test_the_example_for_slurm_makes_this_job(tmp_path):
    assert _script(tmp_path, _shown("slurm")).splitlines() == [
        "#!/usr/bin/env bash",
        "",
        "#SBATCH -J cdsed",
        "#SBATCH -e JOBS/cdsed-%J.err",
        "#SBATCH -o JOBS/cdsed-%J.out",
        "#SBATCH -p transfer",
        "#SBATCH -A remote-sensing",
        "#SBATCH -n 1",
        "#SBATCH --cpus-per-task=2",
        "#SBATCH --mem=4G",
        "#SBATCH -t 12:00:00",
        "#SBATCH --export=NONE",
        "#SBATCH --qos=low",
        "source /etc/profile",
        "module load python/3.12",
        _WORKER,
    ]


def test_the_example_for_pbs_makes_this_job(tmp_path):
    assert _script(tmp_path, _shown("pbs")).splitlines() == [
        "#!/usr/bin/env bash",
        "",
        "#PBS -N cdsed",
        "#PBS -q transfer",
        "#PBS -A remote-sensing",
        "#PBS -l select=1:ncpus=2:mem=4gb",
        "#PBS -l walltime=12:00:00",
        "#PBS -e JOBS/",
        "#PBS -o JOBS/",
        "#PBS -S /bin/bash",
        "#PBS -m n",
        "source /etc/profile",
        "module load python/3.12",
        _WORKER,
    ]


@pytest.mark.parametrize(
    ("changes", "lines"),
    [
        (
            {"system": "sge", "resource_spec": "h_vmem=4G", "directives": ["-pe smp 2"]},
            ["#$ -P remote-sensing", "#$ -l h_vmem=4G", "#$ -l h_rt=12:00:00", "#$ -pe smp 2"],
        ),
        (
            {"system": "htcondor", "queue": None, "account": None, "directives": ["accounting_group = lab"]},
            ["accounting_group = lab", "MY.DaskWorkerCores = 2", "Executable = /bin/sh"],
        ),
        ({"directives": ["--export=HOME,PATH"]}, ["#SBATCH --export=HOME,PATH"]),
        ({"directives": ["--export-file=/shared/environment"]}, ["#SBATCH --export=NONE"]),
    ],
)
def test_the_other_systems_get_what_they_know(tmp_path, changes, lines):
    content = _shown("slurm")
    content["engine"]["jobqueue"].update(changes)  # type: ignore[index]
    script = _script(tmp_path, content)
    assert [line for line in lines if line not in script.splitlines()] == []
    assert script.count("--export=") <= 1
    assert "distributed.cli.dask_worker tls://" in script


def test_what_a_user_has_set_for_other_clusters_changes_nothing(tmp_path):
    with dask.config.set({"jobqueue.slurm.local-directory": "/scratch", "jobqueue.slurm.job-cpu": 99}):
        script = _script(tmp_path, _shown("slurm"))
    assert ("/scratch" in script, "99" in script) == (False, False)
