# Two images from one file: `--target operator` (no torch) and `--target trainer` (no kopf). Both run as user 65532 on a
# read-only root, hold exactly what the lock files pin (every file checked against its hash), and carry Treering's own
# code in one small last layer. The last RUN of each proves what is in it and what is not.
# Any base with Python 3.11 or newer and its venv module will do; scripts/images.sh builds one from Debian's packages.
# A package index or certificates of one's own go in as build secret `environment` (lines NAME='value'): they stay in no
# layer. No mounts from other stages: buildah loses them when those come from its cache.
ARG BASE=docker.io/library/python:3.12-slim

# ---- what builds our own code; in no image
FROM ${BASE} AS tools
COPY requirements/bootstrap.txt /tmp/bootstrap.txt
RUN --mount=type=secret,id=environment \
    set -a && if [ -r /run/secrets/environment ]; then . /run/secrets/environment; fi && set +a \
    && python3 -m venv /opt/tools \
    && /opt/tools/bin/python -m pip install -q --no-cache-dir --disable-pip-version-check --require-hashes \
       --only-binary :all: -r /tmp/bootstrap.txt \
    && /opt/tools/bin/uv venv -q --no-python-downloads --python "$(command -v python3)" /opt/treering
COPY pyproject.toml README.md LICENSE /code/
COPY crds/treering_api /code/crds/treering_api

# ---- each image's code without the other's
FROM tools AS operator-code
COPY operator/treering_operator /code/operator/treering_operator
RUN cd /code && /opt/tools/bin/hatchling build -t wheel -d /wheel \
    && /opt/tools/bin/uv pip install -q --offline --no-deps --python /opt/treering --compile-bytecode /wheel/*.whl \
    && rm /opt/treering/bin/treering

FROM tools AS trainer-code
COPY trainer/treering_trainer /code/trainer/treering_trainer
RUN cd /code && /opt/tools/bin/hatchling build -t wheel -d /wheel \
    && /opt/tools/bin/uv pip install -q --offline --no-deps --python /opt/treering --compile-bytecode /wheel/*.whl \
    && rm /opt/treering/bin/treering-operator

# ---- what both images are made of: a user, a home that is a scratch folder, no bytecode written at run time
FROM ${BASE} AS base
RUN echo 'treering:x:65532:65532:Treering:/tmp:/usr/sbin/nologin' >> /etc/passwd \
    && echo 'treering:x:65532:' >> /etc/group
ENV PATH=/opt/treering/bin:$PATH HOME=/tmp USER=treering LANG=C.UTF-8 PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
LABEL org.opencontainers.image.licenses="AGPL-3.0-or-later" org.opencontainers.image.vendor="Treering"
HEALTHCHECK NONE
COPY requirements/bootstrap.txt /usr/share/treering/bootstrap.txt

# ---- the control plane
FROM base AS operator
COPY requirements/operator.txt /usr/share/treering/requirements.txt
RUN --mount=type=secret,id=environment \
    set -a && if [ -r /run/secrets/environment ]; then . /run/secrets/environment; fi && set +a \
    && python3 -m venv /tmp/tools \
    && /tmp/tools/bin/python -m pip install -q --no-cache-dir --disable-pip-version-check --require-hashes \
       --only-binary :all: -r /usr/share/treering/bootstrap.txt \
    && /tmp/tools/bin/uv venv -q --no-python-downloads --python "$(command -v python3)" /opt/treering \
    && /tmp/tools/bin/uv pip sync -q --no-cache --python /opt/treering --compile-bytecode --require-hashes \
       /usr/share/treering/requirements.txt \
    && rm -rf /tmp/tools
ARG VERSION=0.0.0
LABEL org.opencontainers.image.title="treering-operator" org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.description="Grows lines of object detectors on Kubernetes: the control plane"
COPY --from=operator-code /opt/treering /opt/treering
USER 65532:65532
ENTRYPOINT ["treering-operator"]
RUN --mount=type=tmpfs,target=/tmp \
    python -c 'import importlib.util, kopf, kubernetes, treering_api, treering_operator; \
found = [name for name in ("torch", "numpy", "ultralytics", "boto3", "treering_trainer") if importlib.util.find_spec(name)]; \
assert not found, f"the operator has no use for {found}"' \
    && treering-operator --help > /tmp/help

# ---- the data plane
FROM base AS trainer
COPY requirements/trainer.txt /usr/share/treering/requirements.txt
# With UV_CACHE_DIR in the secret (a folder mounted into the build), wheels of an earlier build are not fetched again.
RUN --mount=type=secret,id=environment \
    set -a && if [ -r /run/secrets/environment ]; then . /run/secrets/environment; else UV_NO_CACHE=1; fi && set +a \
    && python3 -m venv /tmp/tools \
    && /tmp/tools/bin/python -m pip install -q --no-cache-dir --disable-pip-version-check --require-hashes \
       --only-binary :all: -r /usr/share/treering/bootstrap.txt \
    && /tmp/tools/bin/uv venv -q --no-python-downloads --python "$(command -v python3)" /opt/treering \
    && /tmp/tools/bin/uv pip sync -q --python /opt/treering --link-mode copy --compile-bytecode --require-hashes \
       /usr/share/treering/requirements.txt \
    && rm -rf /tmp/tools
ARG VERSION=0.0.0
LABEL org.opencontainers.image.title="treering-trainer" org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.description="Trains one round of a line: the data plane"
COPY --from=trainer-code /opt/treering /opt/treering
USER 65532:65532
ENTRYPOINT ["treering"]
RUN --mount=type=tmpfs,target=/tmp \
    python -c 'import importlib.util, cv2, onnxruntime, sklearn, torch, torchvision, ultralytics, treering_trainer.api; \
found = [name for name in ("kopf", "kubernetes", "treering_operator") if importlib.util.find_spec(name)]; \
assert not found, f"the trainer has no use for {found}"' \
    && treering --help > /tmp/help
