"""Checkpoints of few layers and random weights, in the files that real ones come in: made in a moment."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import (
    ClapConfig,
    ClapFeatureExtractor,
    ClapModel,
    CLIPConfig,
    CLIPImageProcessor,
    CLIPModel,
    PreTrainedTokenizerFast,
    RobertaConfig,
    RobertaModel,
    SiglipConfig,
    SiglipImageProcessor,
    SiglipModel,
    T5Config,
    T5ForConditionalGeneration,
)

from harness.contract.dataset import Contents, Modality, Waveform, texts

WORDS = ["a", "red", "blue", "circle", "square", "dog", "barks", "rain", "falls", "then", "above", "left", "of"]
CAPTIONS = texts(
    ["a red circle", "rain", "a dog barks then rain falls", "", "a blue square left of a red circle", "zz"]
)
HEADS = {"num_hidden_layers": 2, "num_attention_heads": 2, "hidden_size": 16, "intermediate_size": 24}
SIZE = 16  # of a picture's side
RATE, SECONDS = 16_000, 1  # of the sounds that the tiny CLAP hears


def tokenizer(folder: Path, marks: dict[str, str], longest: int, around: tuple[str, str]) -> None:
    """Words as tokens, the marks first; every text gets a beginning and an end."""
    names = [*dict.fromkeys(marks.values()), *WORDS]
    inner = Tokenizer(models.WordLevel({name: row for row, name in enumerate(names)}, unk_token=marks["unk_token"]))
    inner.pre_tokenizer = pre_tokenizers.Whitespace()
    begin, end = around
    inner.post_processor = processors.TemplateProcessing(
        single=f"{begin} $A {end}".strip(),
        special_tokens=[(mark, names.index(mark)) for mark in around if mark],
    )
    PreTrainedTokenizerFast(tokenizer_object=inner, model_max_length=longest, **marks).save_pretrained(folder)


def clip(folder: Path, dim: int = 12) -> Path:
    marks = {"unk_token": "<unk>", "bos_token": "<s>", "eos_token": "</s>", "pad_token": "</s>"}  # as CLIP's own
    tokenizer(folder, marks, 16, ("<s>", "</s>"))
    text = {**HEADS, "vocab_size": 40, "max_position_embeddings": 16, "bos_token_id": 1, "eos_token_id": 2}
    text["pad_token_id"] = 2
    config = CLIPConfig(
        text_config={**text, "eos_token_id": 2},
        vision_config={**HEADS, "image_size": SIZE, "patch_size": 8},
        projection_dim=dim,
    )
    torch.manual_seed(0)
    CLIPModel(config).save_pretrained(folder)
    size = {"height": SIZE, "width": SIZE}
    CLIPImageProcessor(size=size, crop_size=size).save_pretrained(folder)
    return folder


def siglip(folder: Path) -> Path:
    marks = {"unk_token": "<unk>", "eos_token": "</s>", "pad_token": "</s>"}
    tokenizer(folder, marks, 10, ("", "</s>"))
    text = {**HEADS, "vocab_size": 40, "max_position_embeddings": 10, "projection_size": 16}
    config = SiglipConfig(
        text_config={**text, "bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 1},
        vision_config={**HEADS, "image_size": SIZE, "patch_size": 8},
    )
    torch.manual_seed(0)
    SiglipModel(config).save_pretrained(folder)
    SiglipImageProcessor(size={"height": SIZE, "width": SIZE}).save_pretrained(folder)
    return folder


def clap(folder: Path, fusion: bool = False, dim: int = 12) -> Path:
    marks = {"bos_token": "<s>", "pad_token": "<pad>", "eos_token": "</s>", "unk_token": "<unk>"}  # as RoBERTa's
    tokenizer(folder, marks, 20, ("<s>", "</s>"))
    bins = 64 if fusion else 16  # transformers shrinks long sounds to 64, whatever it is told
    audio = {
        "spec_size": 128 if fusion else 64,
        "num_mel_bins": bins,
        "patch_embeds_hidden_size": 8,
        "hidden_size": 16,
        "depths": [1, 1],
        "num_attention_heads": [2, 2],
        "num_hidden_layers": 2,
        "window_size": 4,
        "patch_size": 4,
        "patch_stride": [4, 4],
        "enable_fusion": fusion,
        "fusion_type": "aff_2d" if fusion else None,
    }
    text = {**HEADS, "vocab_size": 40, "max_position_embeddings": 24}
    torch.manual_seed(0)
    config = ClapConfig(text_config=text, audio_config=audio, projection_dim=dim)
    ClapModel(config).save_pretrained(folder)
    ClapFeatureExtractor(
        feature_size=bins,
        sampling_rate=RATE,
        hop_length=80,
        max_length_s=SECONDS,
        fft_window_size=256,
        frequency_max=8000,
        truncation="fusion" if fusion else "rand_trunc",
    ).save_pretrained(folder)
    return folder


def t5(folder: Path) -> Path:
    """Encoder and decoder, as the hub has it."""
    tokenizer(folder, {"pad_token": "<pad>", "eos_token": "</s>", "unk_token": "<unk>"}, 32, ("", "</s>"))
    torch.manual_seed(0)
    shape = {"d_model": 16, "d_kv": 8, "d_ff": 24, "num_layers": 1, "num_heads": 2, "vocab_size": 40}
    T5ForConditionalGeneration(T5Config(**shape)).save_pretrained(folder)
    return folder


def pickled(folder: Path) -> Path:
    """With pytorch_model.bin in place of model.safetensors, as older checkpoints are on the hub."""
    from safetensors.torch import load_file

    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    return folder


def open_clip(folder: Path, **changes: Any) -> Path:
    """A folder with open_clip_config.json; open_clip's own tokenizer of 49,408 words is part of the package."""
    import open_clip
    from safetensors.torch import save_file

    text = {"context_length": 77, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 2, **changes}
    vision = {"image_size": SIZE, "layers": 2, "width": 16, "patch_size": 8, "head_width": 8}
    config = {"embed_dim": 12, "vision_cfg": vision, "text_cfg": text}
    (folder / "open_clip_config.json").write_text(json.dumps({"model_cfg": config, "preprocess_cfg": {}}))
    torch.manual_seed(0)
    model = open_clip.create_model(f"local-dir:{folder}", load_weights=False)
    save_file(model.state_dict(), folder / "open_clip_model.safetensors")
    return folder


def laion_texts(folder: Path) -> Path:
    """roberta-base one layer deep, which laion_clap makes its text side of; any of the tokenizers that it asks for."""
    marks = {"bos_token": "<s>", "pad_token": "<pad>", "eos_token": "</s>", "unk_token": "<unk>"}
    tokenizer(folder, marks, 77, ("<s>", "</s>"))
    config = RobertaConfig(vocab_size=40, num_hidden_layers=1, intermediate_size=16, max_position_embeddings=100)
    RobertaModel(config).save_pretrained(folder)
    return folder


def laion_clap(path: Path, model: torch.nn.Module) -> Path:
    """A .pt file as LAION's training leaves it."""
    state = {f"module.{name}": tensor for name, tensor in model.state_dict().items()}
    state["module.text_branch.embeddings.position_ids"] = torch.arange(514)[None]
    torch.save({"epoch": 3, "best": np.float64(0.3), "name": "tiny", "state_dict": state}, path)
    return path


def pictures(modality: Modality = "image", count: int = 5) -> Contents:
    shape = (count, 20, 24, 3) if modality == "image" else (count, 6, 20, 24, 3)
    made = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    return Contents(modality, made.__getitem__, np.arange(count), f"noise {modality}")


def sounds(lengths: tuple[float, ...] = (0.3, 1.0, 0.8, 2.5)) -> Contents:
    """Noise of so many seconds each."""
    rng = np.random.default_rng(0)
    made = [Waveform(rng.normal(size=int(RATE * length)).astype(np.float32) * 0.1, RATE) for length in lengths]
    return Contents("audio", made.__getitem__, np.arange(len(made)), "noise audio")


def sentences(folder: Path, pooling: str = "mean_tokens", dense: int = 0) -> Path:
    """A BERT in the layout of sentence-transformers, with a layer after its pooling if `dense` says how wide."""
    from safetensors.torch import save_file
    from transformers import BertConfig, BertModel

    marks = {"unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]", "pad_token": "[PAD]"}
    tokenizer(folder, marks, 16, ("[CLS]", "[SEP]"))
    torch.manual_seed(0)
    BertModel(BertConfig(**HEADS, vocab_size=40, max_position_embeddings=20, pad_token_id=3)).save_pretrained(folder)
    kinds = [("Transformer", ""), ("Pooling", "1_Pooling"), *([("Dense", "2_Dense")] if dense else [])]
    kinds.append(("Normalize", f"{len(kinds)}_Normalize"))
    modules = [
        {"idx": number, "name": str(number), "path": path, "type": f"sentence_transformers.models.{kind}"}
        for number, (kind, path) in enumerate(kinds)
    ]
    (folder / "modules.json").write_text(json.dumps(modules))
    (folder / "sentence_bert_config.json").write_text(json.dumps({"max_seq_length": 8, "do_lower_case": True}))
    (folder / "1_Pooling").mkdir()
    told = {"word_embedding_dimension": 16, "pooling_mode_mean_tokens": False, f"pooling_mode_{pooling}": True}
    (folder / "1_Pooling" / "config.json").write_text(json.dumps(told))
    if dense:
        (folder / "2_Dense").mkdir()
        told = {"in_features": 16, "out_features": dense, "activation_function": "torch.nn.modules.activation.Tanh"}
        (folder / "2_Dense" / "config.json").write_text(json.dumps(told))
        tensors = {"linear.weight": torch.randn(dense, 16), "linear.bias": torch.randn(dense)}
        save_file(tensors, folder / "2_Dense" / "model.safetensors")
    return folder


def static(folder: Path, key: str = "embedding.weight", path: str = "0_StaticEmbedding") -> Path:
    """A table of token vectors in the layout of sentence-transformers."""
    from safetensors.torch import save_file

    (folder / path).mkdir(parents=True, exist_ok=True)
    words = Tokenizer(models.WordLevel({name: row for row, name in enumerate(["<unk>", *WORDS])}, unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    words.enable_padding(length=9)  # as some are saved; what is padding isn't read
    words.save(str(folder / path / "tokenizer.json"))
    torch.manual_seed(0)
    save_file({key: torch.randn(len(WORDS) + 1, 12).half()}, folder / path / "model.safetensors")
    kinds = [("StaticEmbedding", path), ("Normalize", "1_Normalize")]
    modules = [
        {"idx": row, "path": at, "type": f"sentence_transformers.models.{kind}"} for row, (kind, at) in enumerate(kinds)
    ]
    (folder / "modules.json").write_text(json.dumps(modules))
    return folder
