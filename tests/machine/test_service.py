"""The unit as shipped, under a real systemd, does every kind of work that cdsed does."""

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
