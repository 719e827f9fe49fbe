"""The unit as shipped, under a real systemd, does every kind of work that cdsed does."""

import json

import pytest

from cdsed.logevent import LogEvent
from cdsed.sandbox.names import KINDS, realistic_safenames
from tests.support.machine.service import MEMBER, OTHER, Service

ROLES = ["download", "download", "intake", "keys", "resolve"]


def test_a_start_ends_with_every_process_ready(installed_service: Service) -> None:
    installed_service.machine.run("systemctl", "start", installed_service.unit)

    assert (installed_service.show("ActiveState"), installed_service.show("NRestarts")) == ("active", "0")
    assert installed_service.show("StatusText")
    assert installed_service.roles() == ROLES


def test_what_systemd_calls_its_exposure_is_1_1(service: Service) -> None:
    judged = service.machine.attempt("systemd-analyze", "security", "--threshold=11", "--no-pager", service.unit)

    assert judged.returncode == 0, judged.stdout.rstrip().rsplit("\n", 1)[-1]


def test_a_member_of_the_group_drops_a_listing_with_every_kind_of_product_and_reads_them(service: Service) -> None:
    names = [name for kind in KINDS for name in realistic_safenames(kind, 1, seed=31)]
    service.sandbox.add_products(*({"safename": name, "size_bytes": 1_000_000} for name in names))

    moved = service.listing("kinds.txt", names)
    service.machine.run("mv", moved, "/var/lib/cdsed/inbox/", user=MEMBER)

    assert service.wait_for_report("kinds.txt") == dict.fromkeys(names, "done")
    assert service.differences(names) == []
    read = service.machine.attempt("grep", "-r", "--files-with-matches", "", "/var/spool/cdsed", user=MEMBER)
    assert all(f"/var/spool/cdsed/{name}" in read.stdout for name in names)
    assert service.command("status").returncode == 0


def test_another_user_sees_and_drops_nothing(service: Service) -> None:
    listing = service.listing("strange.txt", realistic_safenames("S1_GRD", 1, seed=32), OTHER)

    added = service.command("add", listing, user=OTHER)

    assert added.returncode != 0
    assert "Permission denied" in added.stderr
    assert service.command("status", user=OTHER).returncode == 77
    assert service.machine.attempt("ls", "/var/spool/cdsed", user=OTHER).returncode != 0
    assert service.machine.attempt("cat", "/etc/cdsed/accounts.yml", user=MEMBER).returncode != 0


def test_a_name_without_its_place_is_looked_up_in_the_catalogue(service: Service) -> None:
    name, unknown = realistic_safenames("S3", 2, seed=33)
    service.sandbox.add_products({"safename": name, "size_bytes": 200_000, "s3_path": f"/eodata/moved/{name}"})
    asked = service.sandbox.counters()["odata_requests"]

    service.add("catalogue.txt", [name, unknown])

    assert service.wait_for_report("catalogue.txt") == {name: "done", unknown: "unavailable"}
    assert service.sandbox.counters()["odata_requests"] > asked


def test_an_account_with_only_a_password_gets_keys_and_downloads(service: Service) -> None:
    names = realistic_safenames("S2_L1C", 2, seed=34)
    service.sandbox.add_products(*({"safename": name, "size_bytes": 500_000} for name in names))

    service.add("password.txt", names, "--group", "passwords")

    assert service.wait_for_report("password.txt") == dict.fromkeys(names, "done")
    assert service.differences(names) == []
    assert "made a temporary S3 key" in service.journal()


def test_what_s3_refuses_comes_as_a_zip(service: Service) -> None:
    (name,) = realistic_safenames("S2_L1C", 1, seed=35)
    place = service.sandbox.add_products({"safename": name, "size_bytes": 500_000, "zipped": True})[name]
    for operation in ("get", "list", "head"):
        service.sandbox.fault(kind="forbidden", operation=operation, key=place.removeprefix("/eodata/"))

    service.add("zip.txt", [name], "--group", "passwords")

    assert service.wait_for_report("zip.txt") == {name: "done"}
    assert f"{name}: came as a zip" in service.journal()


def test_a_listing_added_with_umask_077_is_taken(service: Service) -> None:
    (name,) = realistic_safenames("S1_OCN", 1, seed=36)
    service.sandbox.add_products({"safename": name, "size_bytes": 200_000})
    listing = service.listing("private.txt", [name])
    service.machine.run("chmod", "600", listing, user=MEMBER)

    command = f"umask 077 && cdsed add --config {service.config_inside} {listing}"
    added = service.machine.attempt("sh", "-c", command, user=MEMBER)

    assert added.returncode == 0, added.stdout + added.stderr
    assert service.wait_for_report("private.txt") == {name: "done"}


def test_a_listing_that_the_daemon_may_not_read_is_named_by_the_status(service: Service) -> None:
    moved = service.listing("closed.txt", realistic_safenames("S1_OCN", 1, seed=38))
    service.machine.run("chmod", "600", moved, user=MEMBER)

    service.machine.run("mv", moved, "/var/lib/cdsed/inbox/", user=MEMBER)

    service.machine.wait("the status names it", lambda: "closed.txt" in service.command("status").stdout)
    service.machine.run("rm", "-f", "/var/lib/cdsed/inbox/closed.txt", user=MEMBER)


def test_a_member_of_the_group_can_check_the_state(service: Service) -> None:
    checked = service.command("check", "--state")

    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_an_instance_is_a_daemon_of_its_own(service: Service) -> None:
    (name,) = realistic_safenames("S1_GRD", 1, seed=37)
    service.sandbox.add_products({"safename": name, "size_bytes": 500_000})
    lab = Service(service.machine, service.sandbox, "lab")  # its settings name no directory
    lab.write_groups({"default": [service.sandbox.accounts[4]]})

    lab.start()
    lab.add("lab.txt", [name])

    assert lab.wait_for_report("lab.txt") == {name: "done"}
    assert lab.differences([name]) == []
    assert service.report("lab.txt") is None
    assert lab.status()["daemon"]["pid"] != service.status()["daemon"]["pid"]
    assert lab.status()["state_dir"] == "/var/lib/cdsed-lab"
    read = service.machine.attempt("ls", f"/var/spool/cdsed-lab/{name}", user=MEMBER)
    assert read.returncode == 0, read.stderr
    lab.stop()
    assert service.show("ActiveState") == "active"


def test_a_record_in_the_journal_has_the_fields_of_its_event(service: Service) -> None:
    (name,) = realistic_safenames("S1_OCN", 1, seed=39)
    service.sandbox.add_products({"safename": name, "size_bytes": 200_000})
    service.add("fields.txt", [name])
    assert service.wait_for_report("fields.txt") == {name: "done"}

    published = service.records("CDSED_EVENT=product_published", f"CDSED_PRODUCT={name}")
    finished = service.records(f"MESSAGE_ID={LogEvent.LISTING_FINISHED.value}", "CDSED_LISTING=fields.txt")

    [record] = published
    assert record["MESSAGE_ID"] == LogEvent.PRODUCT_PUBLISHED.value
    assert record["CDSED_PROCESS"].startswith("download-")
    assert (record["PRIORITY"], record["_SYSTEMD_UNIT"]) == ("6", "cdsed.service")
    assert [record["CDSED_EVENT"] for record in finished] == ["listing_finished"]


# What docs/hooks.md says about a program under the unit, tried by one.
_PROBE = """#!/usr/bin/python3
import errno, json, mmap, os, pathlib, socket, subprocess, sys

def refused(work):
    try:
        work()
    except OSError as error:
        return errno.errorcode[error.errno]

own = pathlib.Path("/var/lib/cdsed/probed")
found = {
    "events": [event["event"] for event in json.load(sys.stdin)["events"]],
    "environ": sorted(os.environ),
    "directory": os.getcwd(),
    "privileges": [line for line in open("/proc/self/status") if line.startswith("NoNewPrivs")],
    "state": refused(own.touch),
    "spool": refused(pathlib.Path("/var/spool/cdsed/probed").touch),
    "temporary": refused(pathlib.Path("/tmp/probed").touch),
    "system": refused(pathlib.Path("/usr/local/probed").touch),
    "settings": refused(pathlib.Path("/etc/cdsed/probed").touch),
    "home": refused(lambda: os.listdir("/home/alice")),
    "code": refused(lambda: mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)),
    "chown": refused(lambda: os.chown(own, os.getuid(), os.getgid())),
    "nice": refused(lambda: os.setpriority(os.PRIO_PROCESS, 0, 10)),
    "netlink": refused(lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW)),
    "mount": subprocess.run(["mount", "-t", "tmpfs", "tmpfs", "/mnt"], capture_output=True).returncode != 0,
    "shell": subprocess.run(["sh", "-c", "echo works | grep -q works"]).returncode,
}
pathlib.Path("/var/lib/cdsed/probe.json").write_text(json.dumps(found))
"""
_PROBED = {
    "events": ["test"],
    "environ": ["CDSED_DELIVERY", "CDSED_HOOK", "LANG", "PATH"],
    "directory": "/",
    "privileges": ["NoNewPrivs:\t1\n"],
    **dict.fromkeys(("state", "spool", "temporary")),
    **dict.fromkeys(("system", "settings"), "EROFS"),
    "home": "ENOENT",
    "code": "EPERM",
    "chown": "EPERM",
    "nice": "EPERM",
    "netlink": "EAFNOSUPPORT",
    "mount": True,
    "shell": 0,
}


@pytest.mark.soak
def test_a_hook_that_a_reload_brings_runs_in_the_sandbox_of_the_unit_as_its_page_says(service: Service) -> None:
    service.machine.write("/usr/local/bin/probe", _PROBE, 0o755)
    service.configure(hooks=[{"name": "probe", "events": ["person_needed"], "command": ["/usr/local/bin/probe"]}])
    pid = service.pid
    assert service.control("reload").returncode == 0
    service.machine.wait("the worker of hooks runs", lambda: "hooks" in service.roles())

    config = ("--config", service.config_inside)
    tested = service.machine.attempt("cdsed", "hooks", "test", "probe", *config, user="cdsed")

    assert tested.stdout == "hook probe accepted a test event from the daemon\n", tested.stdout + tested.stderr
    assert json.loads((service.state / "probe.json").read_text("utf-8")) == _PROBED
    assert not service.machine.path("/tmp/probed").exists()
    assert service.pid == pid


@pytest.mark.soak
def test_the_doctor_finds_no_problem_as_the_user_of_the_service(service: Service) -> None:
    asked = service.command("doctor", user="cdsed")

    assert asked.returncode == 0, asked.stdout + asked.stderr
    assert "belongs to root, so it is not looked at" in asked.stdout


# A web client that speaks to a Unix socket, because the machine has no curl.
_ASK = """
import socket, sys
with socket.socket(socket.AF_UNIX) as server:
    server.connect(sys.argv[1])
    server.sendall(b"GET /api/v1/status HTTP/1.1\\r\\nHost: localhost\\r\\nConnection: close\\r\\n\\r\\n")
    print(server.recv(12).decode())
"""


def test_the_page_is_served_on_a_socket_in_the_state_for_the_group_and_in_run_for_the_daemon_alone(
    service: Service,
) -> None:
    for place, members in (("/run/cdsed/web.sock", False), ("/var/lib/cdsed/web.sock", True)):
        service.configure(web={"listen": place})
        assert service.control("reload").returncode == 0
        service.machine.wait("the socket is there", lambda place=place: service.machine.path(place).is_socket())

        own = service.machine.attempt("python3", "-c", _ASK, place, user="cdsed")
        member = service.machine.attempt("python3", "-c", _ASK, place, user=MEMBER)
        other = service.machine.attempt("python3", "-c", _ASK, place, user=OTHER)

        assert own.stdout == "HTTP/1.1 200\n", own.stderr
        assert (member.stdout == "HTTP/1.1 200\n") is members, member.stderr
        assert "PermissionError" in other.stderr
