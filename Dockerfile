# syntax=docker/dockerfile:1
# The app in a container that is not root. On a processor:
#   docker build -t catvton-studio --build-arg TORCH_INDEX=<the CPU index named in the README> .
#   docker run --rm -p 7860:7860 catvton-studio
# On an NVIDIA card (torch from PyPI brings CUDA along; the host needs its driver and the container toolkit):
#   docker build -t catvton-studio:cuda .
#   docker run --rm --gpus all -p 7860:7860 -v catvton-data:/data catvton-studio:cuda
# Weights are mounted (the volume at /data, filled by `docker run ... python -m catvton models download catvton`) or baked in
# (--build-arg BAKE="catvton", with --secret id=hf_token,src=FILE where a repository asks for one).
FROM python:3.12-slim

# TORCH_INDEX: the package index of another torch, as the CPU's. EXTRAS: which requirements-EXTRA.txt to install too, such as
# "postgres c2pa spaces". BAKE: engines whose weights become part of the image.
ARG TORCH_INDEX=""
ARG EXTRAS=""
ARG BAKE=""
ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1

# Uid 1000 is what Hugging Face Spaces runs a container as. /data belongs to it, also as a fresh volume.
RUN useradd --create-home --uid 1000 user && install --directory --owner=user --mode=700 /data
WORKDIR /home/user/app

# Packages first: they change less often than the code.
COPY requirements*.txt ./
RUN if [ -n "$TORCH_INDEX" ]; then pip install "torch>=2.8,<2.14" --index-url "$TORCH_INDEX" || exit 1; fi; \
    pip install -r requirements.txt || exit 1; \
    for extra in $EXTRAS; do pip install -r "requirements-$extra.txt" || exit 1; done

COPY --chown=user . .
USER 1000
# Baked weights lie beside the code, where a volume mounted at /data does not hide them.
ENV CATVTON_MODELS_DIR=${BAKE:+/home/user/app/models}
ENV CATVTON_MODELS_DIR=${CATVTON_MODELS_DIR:-/data/models} CATVTON_DATA_DIR=/data HF_HOME=/data/hub HOME=/home/user
ENV CATVTON_HOST=0.0.0.0 CATVTON_PORT=7860
RUN --mount=type=secret,id=hf_token,uid=1000,required=false \
    if [ -f /run/secrets/hf_token ]; then HF_TOKEN="$(cat /run/secrets/hf_token)"; export HF_TOKEN; fi; \
    for engine in $BAKE; do python -m catvton models download "$engine" --quiet || exit 1; done

EXPOSE 7860
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=10s --start-period=90s \
    CMD ["python", "-c", "import os, urllib.request as u; u.urlopen(f'http://127.0.0.1:{os.environ[\"CATVTON_PORT\"]}/healthz', timeout=5)"]
CMD ["python", "app.py"]
