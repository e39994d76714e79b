"""The libraries that stages load -> what a server imports before it forks.

None of these computes or starts a thread of its own when it is imported. `onnxruntime` starts one,
and `silero_vad` limits torch to one: stages import these by themselves.
"""

from typing import Final

LIGHT: Final = (
    "annotated_types", "pydantic", "ruamel.yaml", "typer", "rich.console", "joblib", "psutil",
    "tqdm", "numpy", "pandas", "pyarrow.parquet", "pyarrow.dataset", "jaxtyping", "h5py", "zarr",
    "google_crc32c",
)  # fmt: skip
HEAVY: Final = (
    "torch", "einops", "safetensors.torch",
    "scipy.stats", "sklearn.metrics", "matplotlib.figure", "matplotlib.backends.backend_agg",
    "jinja2", "lightning_fabric", "cv2", "av",
    "transformers.models.wav2vec2.modeling_wav2vec2", "transformers.models.vit.modeling_vit",
    "transformers.models.auto.modeling_auto",
)  # fmt: skip
