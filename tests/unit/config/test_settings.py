import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from pydantic import ValidationError

from cdsed.config import instance
from cdsed.config.load import load_settings
from cdsed.config.locate import settings_file, state_dir
from cdsed.config.settings import InboxSettings, Settings, TransferSettings
from cdsed.errors import ConfigError, ExitCode

ETC = Path(__file__).parents[3] / "etc"


def write(directory: Path, text: str) -> Path:
    file = directory / "cdsed.yml"
    file.write_text(text, encoding="utf-8")
    return file


def problems_of(directory: Path, text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load_settings(write(directory, text), {})
    assert caught.value.exit_code is ExitCode.CONFIG
    return [problem.removeprefix(f"{directory}/") for problem in caught.value.problems]


def keys_of(mapping: dict, above: str = "") -> set[str]:
    keys = set()
    for key, value in mapping.items():
        keys |= keys_of(value, f"{above}{key}.") if isinstance(value, dict) else {f"{above}{key}"}
    return keys


def test_the_commented_file_shows_every_key_with_its_default():
    shown = load_settings(ETC / "cdsed.yml", {})

    assert shown == Settings()
    assert keys_of(yaml.safe_load((ETC / "cdsed.yml").read_text("utf-8"))) == keys_of(Settings().model_dump())


def test_every_setting_has_a_description_and_every_number_says_its_unit():
    def fields(model):
        for name, field in model.model_fields.items():
            if hasattr(field.annotation, "model_fields"):
                yield from fields(field.annotation)
            else:
                yield name, field

    for name, field in fields(Settings):
        assert field.description, name
        if name.endswith("_s"):
            assert "second" in field.description, name


@pytest.mark.parametrize("text", ["", "# nothing\n", "transfer:\n", "null\n"])
def test_what_is_left_out_has_its_default(tmp_path, text):
    assert load_settings(write(tmp_path, text), {}) == Settings()


def test_settings_are_also_made_in_code():
    settings = Settings(
        state_dir=Path("/srv/state"),
        inbox=InboxSettings(path=Path("/srv/in")),
        transfer=TransferSettings(piece_bytes=2**20),
    )

    assert settings.transfer.piece_bytes == 1_048_576
    assert settings.sessions_dir == Path("/srv/state/run")
    assert settings.pre_spool_for(Path("/srv/out")) == Path("/srv/out/.cdsed")


def test_explicit_directories_win_over_derived_ones():
    settings = Settings(runtime_dir=Path("/run/cdsed"), pre_spool=Path("/srv/stage"))

    assert settings.sessions_dir == Path("/run/cdsed")
    assert settings.pre_spool_for(Path("/srv/out")) == Path("/srv/stage")


@pytest.mark.parametrize(
    ("text", "size_bytes"),
    [
        ("33554432", 33554432),
        ("32MiB", 2**25),
        ("20MB", 20_000_000),
        ("1.5 GB", 1_500_000_000),
        ("2048KiB", 2**21),
    ],
)
def test_sizes_are_written_as_people_write_them(tmp_path, text, size_bytes):
    settings = load_settings(write(tmp_path, f"transfer: {{piece_bytes: {text}}}\n"), {})

    assert settings.transfer.piece_bytes == size_bytes


@pytest.mark.parametrize(
    "text",
    [
        'services: {s3_url: "https://host/x?token=kol1bri-vogel"}',
        'services: {s3_url: "https://host:kol1bri-vogel/"}',
        'services: {catalogue_url: "https://me:kol1bri-vogel@host"}',
        'transfer: {processes: "kol1bri-vogel"}',
        'transfer: {piece_bytes: "kol1bri-vogel/aGVsbG8gd29ybGQ+"}',
        "password: !kol1bri-vogel x",
        '"kol1bri-vogel/aGVsbG8gd29ybGQ+": 1',
        "3f9ac07b2e8d4415a6b0c1d2e3f40516: 1",
    ],
)
def test_a_secret_that_stands_in_the_settings_by_mistake_is_not_repeated(tmp_path, text):
    problems = " ".join(problems_of(tmp_path, f"{text}\n"))

    assert not [piece for piece in ("kol1bri", "aGVsbG8", "3f9ac07b") if piece in problems]


@pytest.mark.parametrize("text", ["20Mb", "true", "big", "-1MB", "[1]", "1e9", "512kB"])
def test_a_size_that_is_none_is_refused(tmp_path, text):
    (problem,) = problems_of(tmp_path, f"transfer: {{piece_bytes: {text}}}\n")

    assert problem.startswith("cdsed.yml:1: transfer.piece_bytes: should be")
    assert "size of one ranged GET, at least 1MiB" in problem


def test_the_pace_of_a_spent_account_is_never_cut(tmp_path: Path) -> None:
    (problem,) = problems_of(tmp_path, "transfer: {rate_min_bytes_per_s: 1MB}\n")
    assert "500" in problem


MUCH_IS_WRONG = """\
state_dir: var/lib
transfer:
  proceses: 3
  processes: three
  manifest: ignore
retry: {attempts: 0, first_delay_s: 60, longest_delay_s: 30}
spools: []
archives:
  - {root: /data, layouts: {S9: x}}
  - {layouts: {}}
colour: blue
inbox: [1]
"""


def test_all_problems_come_at_once_each_with_line_key_and_remedy(tmp_path):
    problems = problems_of(tmp_path, MUCH_IS_WRONG)

    expected = [
        "cdsed.yml:1: state_dir: should be an absolute path without '..' in it, not 'var/lib'",
        "cdsed.yml:3: transfer.proceses: unknown key; did you mean 'processes'?",
        "cdsed.yml:4: transfer.processes: should be a valid integer, not 'three'; it is the number",
        "cdsed.yml:5: transfer.manifest: should be 'fail' or 'warn', not 'ignore'",
        "cdsed.yml:6: retry.attempts: should be greater than or equal to 1, not 0; it is the failures",
        "cdsed.yml:6: retry.longest_delay_s: should be at least first_delay_s (60), not 30",
        "cdsed.yml:7: spools: should name at least one directory, and each one once",
        "cdsed.yml:9: archives[0].layouts.S9: should be 'S1', 'S2'",
        "cdsed.yml:10: archives[1].root: is missing; it is the top directory of the archive",
        "cdsed.yml:11: colour: unknown key; known here: state_dir, runtime_dir,",
        "cdsed.yml:12: inbox: should be a mapping of keys to values",
    ]
    assert len(problems) == len(expected)
    for problem, beginning in zip(problems, expected, strict=True):
        assert problem.startswith(beginning)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (
            "spools: [/a/inbox/out]\ninbox: {path: /a/inbox}",
            "1: spools: should be outside the inbox (/a/inbox)",
        ),
        ("inbox: {path: /var/spool}", "1: spools: should be outside the inbox (/var/spool)"),
        ("spools: [/a, /a]", "1: spools: should name at least one directory, and each one once"),
        ("spools: [/a/../b]", "1: spools[0]: should be an absolute path without '..' in it"),
        (
            "retry: {first_delay_s: 30000}",
            "1: retry.longest_delay_s: should be at least first_delay_s (30000)",
        ),
        ("retry: {first_delay_s: .inf}", "1: retry.first_delay_s: should be a finite number"),
        ("retry: {first_delay_s: yes}", "1: retry.first_delay_s: should be a valid number"),
        ("default_group: ''", "1: default_group: should be at most 32 small letters"),
        (
            "services: {s3_url: eodata.example.org}",
            "1: services.s3_url: should be an address such as https://",
        ),
        ("services: {s3_url: 'http://example.org'}", "1: services.s3_url: should begin with https://"),
        ("services: {s3_url: 'https://h/?a=b'}", "1: services.s3_url: should have neither user, password"),
        ("services: {s3_url: 'https://h:abc'}", "1: services.s3_url: should have a port from 0 to 65535"),
        ("services: {s3_url: 'https://h:99999'}", "1: services.s3_url: should have a port from 0 to 65535"),
        ("services: {ca_file: /nowhere.pem}", "1: services.ca_file: cannot be read as one: No such file"),
        ("services: {ca_file: /etc/passwd}", "1: services.ca_file: cannot be read as one: [X509"),
        (
            "archives: [{root: /a, layouts: {S3: '{unit}/{yaer}', S2: '{unit}/{year}'}}]",
            "1: archives[0].layouts.S3: has no field {yaer}; there are family,",
        ),
        ("spools: [/a, /b]\npre_spool: /b", "2: pre_spool: should not be a spool: finished products"),
        ('pre_spool: "/a\\0b"', "1: pre_spool: should be an absolute path"),
        ("transfer: {read_timeout_s: 99999999999}", "1: transfer.read_timeout_s: should be less than or equal to 1000"),
        (f"disk: {{free_bytes_min: {'9' * 400}GB}}", "1: disk.free_bytes_min: should be less than or equal to 92233"),
        ("disk: {free_bytes_min: 10000000TB}", "1: disk.free_bytes_min: should be less than or equal to 92233"),
        ("disk: {}\ndisk: {}", "1: disk: is repeated on line 2; keep one"),
        ("inbox: {path: /a,\n  path: /b}", "1: inbox.path: is repeated on line 2; keep one"),
        ("- a\n- b", "1: should be a mapping of keys to values"),
        ("a: [", "this is not YAML"),
        ("a: b: c", "1: column 5: this is not YAML (mapping values are not allowed in this context)"),
        ("log_level: 2027-13-45", "has an invalid character, number or date"),
    ],
)
def test_settings_that_make_no_sense_are_refused(tmp_path, text, complaint):
    (problem,) = problems_of(tmp_path, text)

    assert complaint in problem


@pytest.mark.parametrize("password", ["canary", "can/canary", "canary@canary/canary"])
def test_a_password_in_an_address_is_not_repeated(tmp_path, password):
    (problem,) = problems_of(tmp_path, f"services: {{catalogue_url: 'https://me:{password}@example.org/odata'}}")

    assert "canary" not in problem


@pytest.mark.parametrize("url", ["http://127.0.0.1:8080", "http://localhost:1/", "http://[::1]:5", "https://x.org/a/"])
def test_plain_http_is_for_this_machine_only_and_a_last_slash_is_dropped(tmp_path, url):
    settings = load_settings(write(tmp_path, f"services: {{s3_url: '{url}'}}"), {})

    assert settings.services.s3_url == url.rstrip("/")


def test_a_tilde_is_the_home_directory(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", "/home/someone")

    assert load_settings(write(tmp_path, "state_dir: ~/cdsed"), {}).state_dir == Path("/home/someone/cdsed")


def test_a_file_with_a_circle_in_it_is_refused_and_does_not_hang(tmp_path):
    assert problems_of(tmp_path, "archives: &a\n  - *a\n")


def test_files_that_are_no_text_or_no_files_are_refused(tmp_path):
    (tmp_path / "latin.yml").write_bytes(b"state_dir: /caf\xe9")
    for path, complaint in [
        (tmp_path / "latin.yml", "is not UTF-8 text"),
        (tmp_path, "cannot be read: Is a directory"),
        (tmp_path / "absent.yml", "no such file; copy etc/cdsed.yml there"),
    ]:
        with pytest.raises(ConfigError, match=complaint):
            load_settings(path, {})


def test_a_byte_order_mark_is_welcome(tmp_path):
    (tmp_path / "cdsed.yml").write_bytes(b"\xef\xbb\xbflog_level: DEBUG\r\n")

    assert load_settings(tmp_path / "cdsed.yml", {}).log_level == "DEBUG"


def test_the_state_directory_of_systemd_stands_in_for_an_absent_key(tmp_path):
    environ = {"STATE_DIRECTORY": "/var/lib/private/cdsed:/var/lib/other"}

    assert load_settings(write(tmp_path, ""), environ).state_dir == Path("/var/lib/private/cdsed")
    assert load_settings(write(tmp_path, "state_dir: /srv"), environ).state_dir == Path("/srv")


@pytest.fixture
def system(tmp_path, monkeypatch):
    """Give a directory that stands for /etc/cdsed."""
    monkeypatch.setattr(instance, "SYSTEM_DIR", tmp_path)
    return tmp_path


def instance_file(system, text):
    (system / "lab.yml").write_text(text, encoding="utf-8")
    return system / "lab.yml"


@pytest.mark.parametrize("text", ["", "log_level: DEBUG", "inbox:\n", "inbox: {stable_for_s: 1}"])
@pytest.mark.parametrize("environ", [{}, {"STATE_DIRECTORY": "/var/lib/cdsed-lab"}], ids=["a shell", "systemd"])
def test_the_directories_of_an_instance_follow_from_the_name_of_its_file(system, text, environ):
    settings = load_settings(instance_file(system, text), environ)

    assert settings.state_dir == state_dir(system / "lab.yml", environ) == Path("/var/lib/cdsed-lab")
    assert settings.inbox.path == Path("/var/lib/cdsed-lab/inbox")
    assert settings.spools == (Path("/var/spool/cdsed-lab"),)
    assert settings.accounts_file == system / "lab.accounts.yml"


def test_what_an_instance_says_itself_wins(system):
    text = "state_dir: /srv/lab\ninbox: {path: /srv/drop}\nspools: [/srv/spool]\naccounts_file: /srv/a.yml\n"
    settings = load_settings(instance_file(system, text), {"STATE_DIRECTORY": "/var/lib/cdsed-lab"})

    assert (settings.state_dir, settings.inbox.path) == (Path("/srv/lab"), Path("/srv/drop"))
    assert (settings.spools, settings.accounts_file) == ((Path("/srv/spool"),), Path("/srv/a.yml"))


def test_a_link_to_settings_elsewhere_is_the_instance_it_is_named_after(system, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (system / "lab.yml").symlink_to(write(elsewhere, ""))

    assert state_dir(system / "lab.yml", {}) == Path("/var/lib/cdsed-lab")


def test_an_instance_that_was_copied_from_the_main_daemon_is_refused(system):
    file = instance_file(system, (ETC / "cdsed.yml").read_text(encoding="utf-8"))
    with pytest.raises(ConfigError) as caught:
        load_settings(file, {})

    reported = "is that of cdsed.service; leave it out for"
    keys = [re.search(rf": ([\w.]+): \S+ {reported} ", problem)[1] for problem in caught.value.problems]
    assert keys == ["state_dir", "inbox.path", "spools", "accounts_file"]


def test_a_unit_whose_state_directory_is_not_the_one_a_shell_would_use_is_refused(system):
    file, environ = instance_file(system, ""), {"STATE_DIRECTORY": "/var/lib/other"}
    for load in (load_settings, state_dir):
        with pytest.raises(ConfigError, match=r"`state_dir: /var/lib/other` .* `StateDirectory=cdsed-lab`"):
            load(file, environ)


def test_the_settings_file_is_looked_for_in_order(tmp_path):
    home, xdg, named = tmp_path / "home", tmp_path / "xdg", tmp_path / "named.yml"
    for directory in (home / ".config" / "cdsed", xdg / "cdsed"):
        directory.mkdir(parents=True)
        write(directory, "")

    everything = {"HOME": str(home), "XDG_CONFIG_HOME": str(xdg), "CDSED_CONFIG": str(named)}
    assert settings_file(Path("/given.yml"), everything) == Path("/given.yml")
    assert settings_file(None, everything) == named  # named, hence used, even though it is absent
    del everything["CDSED_CONFIG"]
    assert settings_file(None, everything) == xdg / "cdsed" / "cdsed.yml"
    del everything["XDG_CONFIG_HOME"]
    assert settings_file(None, everything) == home / ".config" / "cdsed" / "cdsed.yml"


def test_without_any_settings_file_the_places_are_named(tmp_path):
    if Path("/etc/cdsed/cdsed.yml").exists():
        pytest.skip("this machine has an /etc/cdsed/cdsed.yml")
    with pytest.raises(ConfigError, match=r"write one at .*/\.config/cdsed/cdsed\.yml or /etc/cdsed/cdsed\.yml"):
        settings_file(None, {"HOME": str(tmp_path)})


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_a_home_that_may_not_be_entered_is_passed_over(tmp_path):
    tmp_path.chmod(0o700)
    os.seteuid(65534)
    try:
        with pytest.raises(ConfigError, match="no settings file"):
            settings_file(None, {"HOME": str(tmp_path)})
    finally:
        os.seteuid(0)


@pytest.mark.parametrize(
    ("text", "environ"),
    [
        ("", {}),
        ("", {"STATE_DIRECTORY": "/srv/a:/srv/b"}),
        ("state_dir: /srv/state", {"STATE_DIRECTORY": "/srv/a"}),
        ("state_dir: ~/x", {}),
    ],
)
def test_the_state_directory_alone_is_what_the_whole_settings_say(tmp_path, text, environ):
    file = write(tmp_path, text)

    assert state_dir(file, environ) == load_settings(file, environ).state_dir


def test_the_state_directory_is_found_in_settings_that_are_otherwise_wrong(tmp_path):
    assert state_dir(write(tmp_path, "state_dir: /srv/state\ncolour: blue\n"), {}) == Path("/srv/state")


@pytest.mark.parametrize("value", ["5", "[a]", "relative/path", "null"])
def test_a_state_directory_that_is_none_is_refused(tmp_path, value):
    with pytest.raises(ConfigError, match=r"cdsed\.yml:1: state_dir: should be an absolute path"):
        state_dir(write(tmp_path, f"state_dir: {value}"), {})


def test_the_state_directory_is_found_without_importing_pydantic():
    code = "import sys, cdsed.config.locate; sys.exit('pydantic' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_problems_stand_in_the_order_of_their_lines_and_in_our_words(tmp_path):
    text = "retry: 5\nspool: [/x]\nspools: []\ninbox: {path: /data, pth: /x}\nstate_dir: /data/state\n"

    reported = problems_of(tmp_path, text)

    assert reported[0] == "cdsed.yml:1: retry: should be a mapping of keys to values, not 5"
    assert [problem.partition(" ")[0] for problem in reported] == [f"cdsed.yml:{line}:" for line in (1, 2, 3, 4)]


def test_a_state_in_the_inbox_is_refused(tmp_path):
    reported = problems_of(tmp_path, "state_dir: /data/inbox/state\ninbox: {path: /data/inbox}\n")
    assert "inbox: should not contain state_dir (/data/inbox/state)" in reported[0]


@pytest.mark.parametrize("pattern", ["", "*", "**", "a/b", 5])
def test_a_pattern_of_ignored_names_that_takes_nothing_or_everything_is_refused(pattern):
    with pytest.raises(ValidationError):
        Settings.model_validate({"inbox": {"ignored_names": [pattern]}})


@pytest.mark.parametrize("bucket", ["EODATA", "e", "eo/data", "eodata/", "", "-eodata"])
def test_a_name_that_no_bucket_has_is_refused(tmp_path, bucket):
    with pytest.raises(ConfigError, match="should be the name of a bucket"):
        load_settings(write(tmp_path, f"services: {{s3_bucket: '{bucket}'}}\n"), {})


@pytest.mark.parametrize(
    ("engine", "said"),
    [
        ("scheduler: tcp://10.0.0.1:8786", "without TLS could run programs as this user"),
        ("scheduler: tcp://example.org:8786", "without TLS could run programs as this user"),
        ("scheduler: tcp://127.0.0.1", "should be local, tls://HOST:8786, or an address of this machine"),
        ("scheduler: http://127.0.0.1:8786", "should be local, tls://HOST:8786, or an address of this machine"),
        ("scheduler: tls://example.org:8786", "tls_dir: a scheduler with tls:// needs it"),
        ("grant_s: 20, renew_every_s: 10", "should be at most a third of grant_s (20)"),
        ("holders_per_worker: 0", "should be greater than or equal to 1"),
    ],
)
def test_an_engine_that_could_not_keep_its_promises_is_refused(tmp_path, engine, said):
    [problem] = problems_of(tmp_path, f"engine: {{{engine}}}\n")
    assert said in problem


_SLURM = "system: slurm, log_dir: /shared/jobs"


@pytest.mark.parametrize(
    ("jobqueue", "said"),
    [
        ("system: moab", "should be 'slurm', 'pbs', 'sge', 'htcondor' or 'local'"),
        ("system: slurm", "log_dir: a batch system needs it"),
        (f"{_SLURM}, walltime: soon", "should be a time such as 04:00:00"),
        (f"{_SLURM}, walltime: '00:05:00'", "walltime: should be at least twice leave_before_s (180 s)"),
        (f"{_SLURM}, queue: 'a; rm'", "queue: "),
        (f'{_SLURM}, directives: ["-a\\n-b"]', "should be one line of text"),
        (f"{_SLURM}, resource_spec: select=1", "resource_spec: slurm has none"),
        (f"{_SLURM}, python: /a b/python", "should have no blanks, quotes or other signs of a shell"),
        ("system: htcondor, log_dir: /shared/jobs, queue: all", "queue: htcondor has none"),
        ("system: htcondor, log_dir: /shared/jobs, directives: [a]", "should be lines such as"),
        ("system: local, prologue: [module load python]", "prologue: local has none"),
        (f"{_SLURM}, jobs: 3", "jobs"),
    ],
)
def test_jobs_that_a_batch_system_would_not_understand_are_refused(tmp_path, jobqueue, said):
    problems = problems_of(tmp_path, f"engine: {{tls_dir: /shared/tls, jobqueue: {{{jobqueue}}}}}\n")
    assert said in problems[0]


@pytest.mark.parametrize(
    ("engine", "said"),
    [
        (f"jobqueue: {{{_SLURM}}}", "tls_dir: a jobqueue needs it"),
        (f"tls_dir: /a b, jobqueue: {{{_SLURM}}}", "tls_dir: should have no blanks"),
        (f"tls_dir: /tls, scheduler: 'tls://head:8786', jobqueue: {{{_SLURM}}}", "scheduler: leave it out"),
    ],
)
def test_jobs_need_the_certificate_and_the_daemon_s_own_scheduler(tmp_path, engine, said):
    [problem] = problems_of(tmp_path, f"engine: {{{engine}}}\n")
    assert said in problem


@pytest.mark.parametrize(("walltime", "seconds"), [("24:00:00", 86400), ("'04:30:00'", 16200), ("7200", 7200)])
def test_a_walltime_means_the_same_with_quotes_and_without(tmp_path, walltime, seconds):
    text = f"engine: {{tls_dir: /tls, jobqueue: {{{_SLURM}, walltime: {walltime}}}}}\n"
    queue = load_settings(write(tmp_path, text), {}).engine.jobqueue
    assert queue is not None
    assert (queue.walltime, queue.lives_s) == (seconds, seconds - 180)


def test_connections_stay_in_the_daemon_unless_you_ask(tmp_path):
    engine = load_settings(write(tmp_path, "engine: {scheduler: tcp://localhost:8786}\n"), {}).engine
    assert engine.kind == "local"
    assert engine.download_workers(2) == ["download-1", "download-2"]
    assert engine.model_copy(update={"kind": "dask"}).download_workers(2) == ["download-1", "publish-1", "publish-2"]


@pytest.mark.parametrize(
    ("engine", "theirs"),
    [
        ("kind: local, scheduler: tcp://localhost:8786", False),
        ("kind: dask", False),
        ("kind: dask, scheduler: tcp://localhost:8786", True),
        (f"kind: dask, tls_dir: /tls, jobqueue: {{{_SLURM}}}", True),
    ],
)
def test_files_may_be_of_other_machines_when_workers_are_not_the_daemon_s_own(tmp_path, engine, theirs):
    assert load_settings(write(tmp_path, f"engine: {{{engine}}}\n"), {}).engine.uses_other_machines is theirs
