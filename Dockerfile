# A service for predictions on a CPU, with a page: docs/serve.md says how to build and run it.
ARG PYTHON=python:3.11-slim-bookworm

FROM ${PYTHON} AS wheel
WORKDIR /source
COPY pyproject.toml README.md LICENSE ./
RUN ["python", "-c", "import pathlib, tomllib; \
project = tomllib.loads(pathlib.Path('pyproject.toml').read_text())['project']; \
extras = project['optional-dependencies']; \
needs = [*project['dependencies'], *extras['app'], *extras['offtheshelf']]; \
pathlib.Path('/needs.txt').write_text('\\n'.join(needs))"]
COPY oragen oragen
RUN pip wheel --no-cache-dir --no-deps --wheel-dir /wheels .

FROM ${PYTHON}
# Where torch comes from. The default has no CUDA; "" is PyPI, whose torch brings 4 GB of it.
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
LABEL org.opencontainers.image.title="oragen" \
      org.opencontainers.image.description="Gender, age and mask type of a speaking person" \
      org.opencontainers.image.licenses="MIT"

# What changes least comes first. constraints.txt has the version of everything.
COPY constraints.txt /build/
# hadolint ignore=DL3013
RUN pip install --no-cache-dir --no-deps --constraint /build/constraints.txt \
        ${TORCH_INDEX:+--index-url "$TORCH_INDEX"} torch torchaudio torchvision
COPY --from=wheel /needs.txt /build/
RUN pip install --no-cache-dir --constraint /build/constraints.txt --requirement /build/needs.txt
COPY --from=wheel /wheels /build/wheels
# hadolint ignore=DL3013
RUN pip install --no-cache-dir --no-deps /build/wheels/*.whl && pip check

# Uploads, and what libraries note, go to /tmp, which may be in memory. Models of the hub, if one is
# named by its id, go to /models, which may be a volume. Nothing else is written.
RUN install --directory --owner=10001 --group=10001 /models
ENV HOME=/tmp HF_HOME=/models PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
WORKDIR /srv
USER 10001:10001
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=10s --start-period=60s --retries=3 \
    CMD ["python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:8000/healthz', timeout=5)"]
ENTRYPOINT ["oragen", "serve", "--host", "0.0.0.0"]
