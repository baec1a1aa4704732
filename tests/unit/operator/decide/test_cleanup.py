"""Which finished Jobs go."""

from __future__ import annotations

from tests.unit.operator.decide.world import World, line_resource


def test_sweep__more_finished_jobs_than_a_status_remembers_go_though_ttl_keeps_them() -> None:
    names = [f"i{number:03}" for number in range(110)]
    world = World(
        line_resource(ttl="30d", increments=[{"name": name, "uri": f"s3://deliveries/{name}"} for name in names])
    )
    world.grow(limit=120)
    assert (len(world.jobs), len(world.published)) == (100, 110)
