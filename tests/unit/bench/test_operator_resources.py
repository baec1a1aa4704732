import os

import pytest

from bench.operator import resources


def test_processor_ticks__the_name_may_hold_anything() -> None:
    assert resources.processor_ticks("7 (a) b ) c) S 1 7 7 0 -1 4194560 100 0 0 0 31 11 0 0 20 0 1 0") == 42


def test_status_kib__field() -> None:
    assert resources.status_kib("Name:\tx\nVmHWM:\t  2048 kB\nVmRSS:\t  1024 kB\n", "VmRSS") == 1024


def test_status_kib__ended_process() -> None:
    with pytest.raises(ValueError, match="has ended"):
        resources.status_kib("Name:\tx\nState:\tZ (zombie)\n", "VmRSS")


def test_process__this_one() -> None:
    own = os.getpid()
    assert 0 < resources.memory_mib(own) <= resources.peak_mib(own)
    assert resources.children_s(own)["bench"] >= resources.processor_s(own) - 1
