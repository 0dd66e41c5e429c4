# The app on a processor, with the built-in model inside: no download when it runs.
#   docker build -t catvton-studio --build-arg TORCH_INDEX=<the CPU index named in the README> .
#   docker run --rm -p 7860:7860 catvton-studio
FROM python:3.12-slim

ARG TORCH_INDEX=""
ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1

RUN useradd --create-home --uid 1000 user
WORKDIR /home/user/app

# Packages first: they change less often than the code. Without TORCH_INDEX, torch comes with its CUDA packages.
COPY requirements.txt .
RUN if [ -n "$TORCH_INDEX" ]; then pip install "torch>=2.8,<2.14" --index-url "$TORCH_INDEX"; fi \
    && pip install -r requirements.txt

COPY --chown=user . .
USER user
ENV CATVTON_HOST=0.0.0.0 CATVTON_PORT=7860
EXPOSE 7860
HEALTHCHECK --interval=30s --start-period=60s \
    CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:7860/', timeout=5)"]
CMD ["python", "app.py"]
