# docker build -t synthgap .                                               CPU
# docker build -t synthgap --build-arg BASE=nvidia/cuda:13.0.1-runtime-ubuntu24.04 .    GPU (with --gpus all)
# docker run --rm -v synthgap-artifacts:/home/synthgap/app/artifacts synthgap
#
# One image for both: torch's wheels bring their CUDA libraries, the GPU base brings the rest. Both
# bases end with the same Python packages, those of requirements.lock.
ARG BASE=python:3.11-slim-bookworm
FROM ${BASE}

ENV DEBIAN_FRONTEND=noninteractive
RUN apt-get update \
 && apt-get install --yes --no-install-recommends git make libgomp1 python3 python3-venv wordnet-base \
 && rm -rf /var/lib/apt/lists/*

RUN useradd --create-home --uid 10001 synthgap
USER synthgap
WORKDIR /home/synthgap/app
ENV VIRTUAL_ENV=/home/synthgap/venv \
    PATH=/home/synthgap/venv/bin:$PATH \
    DVC_NO_ANALYTICS=1 MLFLOW_DISABLE_TELEMETRY=true GX_ANALYTICS_ENABLED=false

# The environment is a layer of its own: changing the code does not install it again.
COPY --chown=synthgap requirements.lock ./
RUN python3 -m venv "$VIRTUAL_ENV" && pip install --no-cache-dir -r requirements.lock

COPY --chown=synthgap . .
# DVC wants a git repository around it; the image holds the files of one commit, without its history.
RUN pip install --no-cache-dir --no-deps --no-build-isolation -e . \
 && git init --quiet \
 && git add --all \
 && git -c user.name=synthgap -c user.email=synthgap@localhost commit --quiet -m "image: the files it was built from" \
 && mkdir -p artifacts data mlruns

CMD ["dvc", "repro"]
