"""What of a checkpoint is in the store when the store fails midway."""

from __future__ import annotations

from pathlib import Path

import pytest

from treering_trainer.records import FileEntry
from treering_trainer.stages.checkpoints import bring
from treering_trainer.store import open_store, read_manifest


def test_bring__that_failed_midway_brings_all_parts_the_next_time(tmp_path: Path) -> None:
    folder = tmp_path / "work"
    for name in ("records/verify.json", "records/analyse.json", "records/prepare.json", "old.json", "train.pt"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    store, work = open_store(f"file://{tmp_path}/store"), dict[str, FileEntry]()
    (tmp_path / "store/work/records/analyse.json").mkdir(parents=True)  # in the way of a part, as if refused
    with pytest.raises(Exception, match="analyse"):
        bring(store, folder, folder / "train.pt", 3, work)
    (tmp_path / "store/work/records/analyse.json").rmdir()
    bring(store, folder, folder / "train.pt", 3, work)
    kept = read_manifest(store, "00003.json").files
    assert sorted(name for name in kept if "records" in name) == [
        "work/records/analyse.json", "work/records/prepare.json", "work/records/verify.json"
    ]  # fmt: skip
