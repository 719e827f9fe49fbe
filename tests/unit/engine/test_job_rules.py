"""How many jobs there are for the sessions that have work."""

from cdsed.engine.job_rules import JobRules, JobSteps, JobView


def running(*taken: int) -> list[JobView]:
    return [JobView(f"job-{n}", runs=True, taken=each) for n, each in enumerate(taken, 1)]


def test_as_many_jobs_are_submitted_as_the_sessions_need_but_no_more_than_allowed():
    rules = JobRules(holders=4, jobs_max=3, idle_s=300)
    assert rules.look(0.0, 0, []) == JobSteps()
    assert rules.look(1.0, 1, []) == JobSteps(submit=1)
    assert rules.look(2.0, 9, running(4)) == JobSteps(submit=2)
    assert rules.look(3.0, 100, running(4)) == JobSteps(submit=2)
    assert rules.look(4.0, 100, running(4, 4, 4)) == JobSteps()


def test_a_job_that_is_leaving_counts_until_it_has_ended():
    rules = JobRules(holders=4, jobs_max=2, idle_s=300)
    jobs = [*running(4), JobView("old", runs=True, taken=1, leaving=True)]
    assert rules.look(0.0, 8, jobs) == JobSteps()
    assert rules.look(1.0, 8, jobs[:1]) == JobSteps(submit=1)


def test_jobs_that_are_not_needed_end_after_a_while_and_the_idle_ones_first():
    rules = JobRules(holders=4, jobs_max=4, idle_s=300)
    jobs = [*running(3, 1, 2), JobView("pending", runs=False)]
    assert rules.look(0.0, 6, jobs) == JobSteps()
    assert rules.look(299.0, 6, jobs) == JobSteps()
    assert rules.look(300.0, 6, jobs) == JobSteps(end=("pending", "job-2"))
    assert rules.look(301.0, 0, running(0, 0)) == JobSteps(end=("job-1", "job-2"))


def test_work_that_comes_meanwhile_keeps_them():
    rules = JobRules(holders=4, jobs_max=4, idle_s=300)
    assert rules.look(0.0, 0, running(0)) == JobSteps()
    assert rules.look(200.0, 1, running(1)) == JobSteps()
    assert rules.look(400.0, 0, running(0)) == JobSteps()
    assert rules.look(699.0, 0, running(0)) == JobSteps()
    assert rules.look(700.0, 0, running(0)) == JobSteps(end=("job-1",))


def test_after_failures_the_next_job_is_submitted_later_and_later_until_one_works():
    rules = JobRules(holders=4, jobs_max=4, idle_s=300)
    now_s, delays = 0.0, []
    for _ in range(8):
        delays.append(rules.failed(now_s))
        now_s += delays[-1]
    assert delays == [10, 20, 40, 80, 160, 320, 600, 600]
    assert rules.look(now_s - 1, 4, []) == JobSteps()
    assert rules.look(now_s, 4, []) == JobSteps(submit=1)
    rules.worked()
    assert rules.failed(now_s) == 10


def test_jobs_that_fail_together_are_one_failure():
    rules = JobRules(holders=4, jobs_max=4, idle_s=300)
    assert [rules.failed(now_s) for now_s in (0.0, 0.0, 4.0)] == [10, 10, 6]
    assert rules.look(10.0, 4, []) == JobSteps(submit=1)
    assert rules.failed(11.0) == 20
