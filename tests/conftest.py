"""Fixtures that any test may ask for; they live in tests/plugins, and cost nothing until asked for."""

import os

if "PYTEST_XDIST_WORKER" in os.environ:  # several processes share the processors: one thread for each, and its programs
    os.environ.setdefault("OMP_NUM_THREADS", "1")

pytest_plugins = [
    "tests.plugins.s3_servers",
    "tests.plugins.fault_proxy",
    "tests.plugins.disks",
    "tests.plugins.helm",
    "tests.plugins.api_server",
    "tests.plugins.stopwatch",
    "tests.plugins.real_node",
    "tests.plugins.cluster_lines",
    "tests.plugins.api_proxy",
    "tests.plugins.operators",
]
