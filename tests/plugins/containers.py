"""containerd for a real node: configured, filled with our images, its layers kept in the cache between runs.

Used by `tests/plugins/real_node.py` alone. Images come from scripts/images.sh; one that is there already, unchanged, is
not imported again, for unpacking the trainer's 6 GB takes minutes.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.plugins.programs import Program, ProgramError, system_program, wait_until

CNI_PROGRAMS = Path("/usr/lib/cni")
OUR_IMAGES = "localhost/treering/"
START_TIMEOUT_S = 60
IMPORT_TIMEOUT_S = 1800


@dataclass(frozen=True)
class Containers:
    """containerd of one run.

    Args:
        folder: socket, state, logs and settings; gone after the run.
        root: images and layers; kept.
        cgroup: where its containers are counted.
    """

    folder: Path
    root: Path
    cgroup: str
    pod_range: str = "10.244.0.0/16"

    @property
    def socket(self) -> Path:
        """Where kubelet and ctr reach it."""
        return self.folder / "containerd.sock"

    def import_images(self, names: Sequence[str], archives: Path) -> None:
        """See to it that it holds these images and nothing of earlier runs' containers."""
        self.root.mkdir(parents=True, exist_ok=True)
        program = self._start("importer", cri=False)
        try:
            self._forget_containers()
            for name in names:
                self._import(name, archives / f"{name}.tar")
            self._forget_old_images()
        finally:
            program.end()

    def start(self) -> Program:
        """Start it for the kubelet."""
        self._write_network()
        return self._start("containerd", cri=True)

    def ctr(self, *arguments: str) -> str:
        """What containerd's own client prints."""
        command = [system_program("ctr"), "-a", str(self.socket), "-n", "k8s.io", *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=IMPORT_TIMEOUT_S)
        if done.returncode != 0:
            raise ProgramError(f"ctr {' '.join(arguments)}: {done.stderr}")
        return done.stdout

    def _start(self, name: str, *, cri: bool) -> Program:
        config = self.folder / f"{name}.toml"
        config.write_text(self._settings(cri=cri))
        program = Program.start(name, [system_program("containerd"), "--config", config], self.folder)
        wait_until("containerd answers", self._answers, START_TIMEOUT_S, program)
        return program

    def _answers(self) -> bool:
        if not self.socket.exists():
            return False
        try:
            return bool(self.ctr("version"))
        except ProgramError:
            return False

    def _import(self, name: str, archive: Path) -> None:
        image, stamp = f"{OUR_IMAGES}{name}:dev", self.root / f"{name}.imported"
        if not archive.exists():
            raise ProgramError(f"{archive} is missing: scripts/images.sh makes it")
        version = fingerprint(archive)
        if stamp.exists() and stamp.read_text() == version and image in self._images():
            return
        stamp.unlink(missing_ok=True)
        self.ctr("images", "import", str(archive))
        if image not in self._images():
            raise ProgramError(f"{archive} holds no {image}, but {self._images()}")
        stamp.write_text(version)

    def _images(self) -> list[str]:
        return self.ctr("images", "ls", "-q").split()

    def _forget_containers(self) -> None:
        for container in self.ctr("containers", "ls", "-q").split():
            self.ctr("containers", "rm", container)

    def _forget_old_images(self) -> None:
        """The CRI keeps a name `sha256:...` for every version it has run, and by it 10 GB of layers of each trainer."""
        old = [image for image in self._images() if not image.startswith(OUR_IMAGES)]
        if old:
            self.ctr("images", "rm", "--sync", *old)

    def _settings(self, *, cri: bool) -> str:
        """Version 2 of containerd's settings, in TOML."""
        disabled = ["io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs"]
        disabled += ["io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.zfs"]
        disabled += [] if cri else ["io.containerd.grpc.v1.cri"]
        return f"""\
version = 2
root = "{self.root}"
state = "{self.folder}/containerd"
disabled_plugins = {json.dumps(disabled)}
[grpc]
  address = "{self.socket}"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "localhost/treering/pause:dev"
  restrict_oom_score_adj = true
  disable_apparmor = true
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
    default_runtime_name = "runc"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        SystemdCgroup = false
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{CNI_PROGRAMS}"
    conf_dir = "{self.folder}/cni"
"""

    def _write_network(self) -> None:
        folder = self.folder / "cni"
        folder.mkdir(exist_ok=True)
        ranges = [[{"subnet": self.pod_range}]]
        bridge = {
            "type": "bridge",
            "bridge": "pods0",
            "isGateway": True,
            "ipMasq": True,
            "hairpinMode": True,
            "ipam": {"type": "host-local", "ranges": ranges, "routes": [{"dst": "0.0.0.0/0"}]},
        }
        plugins = [bridge, {"type": "portmap", "capabilities": {"portMappings": True}}]
        document = {"cniVersion": "0.4.0", "name": "pods", "plugins": plugins}
        (folder / "10-pods.conflist").write_text(json.dumps(document))


def fingerprint(archive: Path) -> str:
    """Changes whenever the archive does; 6 GB are not read for it."""
    stat = archive.stat()
    return hashlib.sha256(f"{stat.st_size} {stat.st_mtime_ns} {os.path.realpath(archive)}".encode()).hexdigest()
