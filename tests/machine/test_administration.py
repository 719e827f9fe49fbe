"""What systemd and its administrator do to the service: reload, watchdog, kills, stop, reboot, wrong files."""

import signal

from tests.support.machine.machine import send


def test_a_reload_takes_good_settings_and_keeps_the_process(service, under_way):
    pid = service.pid
    service.configure(transfer={"processes": 1})

    reloaded = service.control("reload")

    assert reloaded.returncode == 0, reloaded.stderr
    service.machine.wait("one download process is left", lambda: service.roles().count("download") == 1)
    assert (service.pid, service.show("ActiveState")) == (pid, "active")
    service.configure(transfer={"processes": 2})
    assert service.control("reload").returncode == 0
    assert under_way.becomes_whole()


def test_a_reload_of_wrong_settings_says_so_and_changes_nothing(service):
    pid, good = service.pid, service.config.read_text()
    service.machine.write(service.config_inside, good + "\nno_such_setting: 1\n")

    reloaded = service.control("reload")
    service.machine.write(service.config_inside, good)

    assert reloaded.returncode != 0
    assert "no_such_setting" in service.journal("-p", "err")
    assert (service.pid, service.show("ActiveState")) == (pid, "active")
    assert service.control("reload").returncode == 0


def test_the_watchdog_replaces_a_supervisor_that_stands_still(service):
    # What a reload asks for (EXTEND_TIMEOUT_USEC) puts the watchdog off, too, unless a sign of life follows.
    assert service.control("reload").returncode == 0
    pid, restarts = service.pid, int(service.show("NRestarts"))

    send(pid, signal.SIGSTOP)

    service.machine.wait("it was restarted", lambda: int(service.show("NRestarts")) > restarts)
    service.machine.wait("it is ready", lambda: service.show("ActiveState") == "active")
    assert "watchdog" in service.machine.journal("--grep", "watchdog timeout").lower()
    assert service.pid != pid


def test_a_killed_supervisor_is_started_again_and_continues(service, under_way):
    restarts = int(service.show("NRestarts"))

    send(service.pid, signal.SIGKILL)

    service.machine.wait("it was restarted", lambda: int(service.show("NRestarts")) > restarts)
    assert under_way.becomes_whole()


def test_a_stop_under_load_is_in_order_and_the_next_start_continues(service, under_way):
    stopped = service.control("stop", timeout_s=30)

    assert stopped.returncode == 0, stopped.stderr
    assert (service.show("Result"), service.show("ActiveState")) == ("success", "inactive")
    assert service.command("status").returncode == 3
    assert not under_way.is_reported
    assert "deleted a temporary S3 key" in service.journal(), "the key of the account with only a password"
    service.start()
    assert under_way.becomes_whole()


def test_after_a_reboot_under_load_it_starts_and_continues(service, under_way):
    service.machine.reboot()

    service.machine.wait("it is ready", lambda: service.show("ActiveState") == "active")
    assert under_way.becomes_whole()
    assert service.command("check", "--state", user="root").returncode == 0


def test_wrong_settings_at_the_start_are_errors_in_the_journal_and_no_loop(service):
    service.stop()
    good = service.config.read_text()
    service.machine.write(service.config_inside, "no_such_setting: 1\n")

    started = service.control("start")
    service.machine.write(service.config_inside, good)

    assert started.returncode != 0
    assert service.show("ExecMainStatus") == "78"
    assert service.show("ActiveState") == "failed"
    assert "no_such_setting" in service.journal("-p", "err")


def test_a_missing_accounts_file_is_named_and_makes_no_loop(service):
    service.stop()
    kept = service.accounts_file.rename(service.accounts_file.with_name("kept.yml"))

    started = service.control("start")
    shown = service.machine.attempt("systemctl", "status", "--no-pager", service.unit).stdout
    kept.rename(service.accounts_file)

    assert started.returncode != 0
    assert "/etc/cdsed/accounts.yml" in shown
    assert service.show("ActiveState") in ("failed", "inactive")
