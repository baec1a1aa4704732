from __future__ import annotations

from dataclasses import fields

import pytest

from treering_operator.__main__ import _parser, main
from treering_operator.settings import Settings

IMAGE = ("--trainer-image", "localhost/trainer")


def test_flags__there_is_one_for_every_setting_with_the_settings_default() -> None:
    given = vars(_parser().parse_args(IMAGE))
    assert set(given) - {"log_format", "verbose"} == {field.name for field in fields(Settings)}
    given.pop("log_format")
    given.pop("verbose")
    assert Settings(**given) == Settings("localhost/trainer")


def test_flags__are_read() -> None:
    flags = (
        "--namespaces",
        "a, b",
        "--network-peers",
        "team=x,env=",
        "--store-ports",
        "443,9000",
        "--no-leader-election",
    )
    given = vars(_parser().parse_args([*IMAGE, *flags]))
    assert given["namespaces"] == ("a", "b")
    assert given["network_peers"] == (("team", "x"), ("env", ""))
    assert given["store_ports"] == (443, 9000)
    assert given["leader_election"] is False


@pytest.mark.parametrize(
    "flags",
    [("--workers", "65"), ("--resync", "soon"), ("--network-peers", "team"), ("--store-ports", "0"), ("--listen", "x")],
    ids=lambda flags: flags[0],
)
def test_flags__bad_ones_end_with_2_and_name_the_flag(
    flags: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main([*IMAGE, *flags])
    assert ended.value.code == 2
    assert flags[0] in capsys.readouterr().err
