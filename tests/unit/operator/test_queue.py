from __future__ import annotations

import asyncio

import pytest

from treering_operator.queue import LONGEST_PAUSE_S, WorkQueue


def test_queue__a_key_added_twice_is_worked_on_once() -> None:
    async def run() -> None:
        queue: WorkQueue[str] = WorkQueue()
        queue.add("a")
        queue.add("a")
        assert len(queue) == 1
        assert await queue.get() == "a"
        queue.done("a")
        assert len(queue) == 0

    asyncio.run(run())


def test_queue__a_key_added_during_its_work_comes_again_afterwards() -> None:
    async def run() -> None:
        queue: WorkQueue[str] = WorkQueue()
        queue.add("a")
        assert await queue.get() == "a"
        queue.add("a")
        queue.add("a")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(queue.get(), 0.05)
        queue.done("a")
        assert await asyncio.wait_for(queue.get(), 1) == "a"

    asyncio.run(run())


def test_queue__many_workers_never_share_a_key() -> None:
    async def run() -> None:
        queue: WorkQueue[int] = WorkQueue()
        busy: set[int] = set()
        done: list[int] = []

        async def work() -> None:
            while True:
                key = await queue.get()
                assert key not in busy
                busy.add(key)
                await asyncio.sleep(0.001)
                busy.discard(key)
                done.append(key)
                queue.done(key)

        workers = [asyncio.create_task(work()) for _ in range(8)]
        for turn in range(200):
            queue.add(turn % 10)
            if turn % 7 == 0:
                await asyncio.sleep(0.001)
        while len(queue) or busy:
            await asyncio.sleep(0.01)
        assert set(done) == set(range(10))
        assert not any(worker.done() for worker in workers)
        for worker in workers:
            worker.cancel()

    asyncio.run(run())


def test_queue__later_means_later_and_the_earliest_wish_counts() -> None:
    async def run() -> None:
        queue: WorkQueue[str] = WorkQueue()
        queue.add_after("a", 60)
        queue.add_after("a", 0.05)
        queue.add_after("b", 60)
        assert len(queue) == 0
        assert await asyncio.wait_for(queue.get(), 1) == "a"
        queue.done("a")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(queue.get(), 0.1)

    asyncio.run(run())


def test_queue__failures_wait_longer_each_time_up_to_a_bound() -> None:
    queue: WorkQueue[str] = WorkQueue()
    pauses_s = [queue.add_failed("a") for _ in range(40)]
    assert pauses_s[0] < 0.2
    assert pauses_s[4] > pauses_s[0]
    assert 0.8 * LONGEST_PAUSE_S <= pauses_s[-1] <= 1.2 * LONGEST_PAUSE_S
    queue.succeeded("a")
    assert queue.add_failed("a") < 0.2


def test_queue__closed_ends_every_worker() -> None:
    async def run() -> None:
        queue: WorkQueue[str] = WorkQueue()
        getting = [asyncio.create_task(queue.get()) for _ in range(3)]
        await asyncio.sleep(0.01)
        queue.close()
        ends = await asyncio.wait_for(asyncio.gather(*getting, return_exceptions=True), 1)
        assert all(isinstance(end, asyncio.QueueEmpty) for end in ends)

    asyncio.run(run())


def test_queue__what_is_urgent_comes_first() -> None:
    async def run() -> None:
        queue: WorkQueue[str] = WorkQueue()
        for key in ("a", "b", "c"):
            queue.add(key)
        queue.add("c", urgent=True)
        assert len(queue) == 3
        assert [await queue.get() for _ in range(3)] == ["c", "a", "b"]
        queue.add("a")
        queue.add("b", urgent=True)
        queue.done("a")
        queue.done("b")
        assert await queue.get() == "b"

    asyncio.run(run())


def test_queue__a_worker_kept_free_takes_urgent_keys_only() -> None:
    async def run() -> None:
        queue: WorkQueue[str] = WorkQueue()
        queue.add("a")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(queue.get(only_urgent=True), 0.05)
        free = asyncio.create_task(queue.get(only_urgent=True))
        await asyncio.sleep(0)
        queue.add("b", urgent=True)
        assert await asyncio.wait_for(free, 1) == "b"
        queue.close()
        with pytest.raises(asyncio.QueueEmpty):
            await queue.get(only_urgent=True)

    asyncio.run(run())
