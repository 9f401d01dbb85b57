"""The keeper's weights between its forms.

    python -m keeper.export build/keeper --tokenizer T.json --out F   trained weights → a folder
    python -m keeper.export models/keeper/keeper.gguf --out F         the shipped file → a folder

The folder is one that transformers' AutoModelForCausalLM and `fourfold convert` open: config.json,
generation_config.json, model.safetensors (f32), and the tokenizer's files when it is given.
"""

import argparse
import json
import pathlib
import shutil
import sys

import torch
from safetensors.torch import load_file, save_file

from keeper.model import FULL, SLIDING, Keeper, KeeperConfig

MAX_SHARD_BYTES = 15 << 20
GENERATION = {"bos_token_id": 2, "do_sample": True, "eos_token_id": [1, 106, 50],
              "pad_token_id": 0, "temperature": 1.0, "top_k": 64, "top_p": 0.95,
              "transformers_version": "5.24.0"}
TOKENIZER = {"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": "<bos>",
             "eos_token": "<eos>", "pad_token": "<pad>", "unk_token": "<unk>",
             "mask_token": "<mask>", "clean_up_tokenization_spaces": False}

# GGUF names and ours, before ".weight".
GGUF_NAMES = {
    "token_embd": "embed_tokens",
    "per_layer_token_embd": "embed_tokens_per_layer",
    "per_layer_model_proj": "per_layer_model_projection",
    "per_layer_proj_norm": "per_layer_projection_norm",
    "output_norm": "norm",
}
GGUF_LAYER_NAMES = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "attn_q_norm": "self_attn.q_norm",
    "attn_k_norm": "self_attn.k_norm",
    "post_attention_norm": "post_attention_layernorm",
    "ffn_norm": "pre_feedforward_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
    "post_ffw_norm": "post_feedforward_layernorm",
    "inp_gate": "per_layer_input_gate",
    "proj": "per_layer_projection",
    "post_norm": "post_per_layer_input_norm",
    "layer_output_scale": "layer_scalar",
}


def save_weights(folder, stem, tensors):
    """stem-0.safetensors, stem-1.safetensors, …, none of them large; old ones are replaced."""
    shards, size = [{}], 0
    for name, tensor in tensors.items():
        tensor = tensor.detach().float().cpu().contiguous()
        if size + tensor.nbytes > MAX_SHARD_BYTES and shards[-1]:
            shards.append({})
            size = 0
        shards[-1][name] = tensor
        size += tensor.nbytes
    for i, shard in enumerate(shards):
        path = folder / f"{stem}-{i}.safetensors"
        save_file(shard, path.with_suffix(".tmp"))
        path.with_suffix(".tmp").replace(path)
    for path in folder.glob(f"{stem}-*.safetensors"):
        if int(path.stem.rpartition("-")[2]) >= len(shards):
            path.unlink()


def load_keeper(path):
    """(config, state dict in f32) of a training folder's average, a transformers folder, a
    .safetensors file beside its config.json, or a GGUF file."""
    path = pathlib.Path(path)
    if not path.exists():
        raise SystemExit(f"export: {path}: no such file or folder (weights of a keeper)")
    if path.suffix == ".gguf":
        return read_gguf(path)
    folder = path if path.is_dir() else path.parent
    if path.is_dir():
        files = sorted(path.glob("ema-*.safetensors")) or sorted(path.glob("model*.safetensors"))
    else:
        files = [path]
    if not files:
        raise SystemExit(f"export: {path}: no weights there (ema-0.safetensors, "
                         "model.safetensors or a .gguf file)")
    config = KeeperConfig.from_transformers_json(json.loads((folder / "config.json").read_text()))
    weights = {}
    for file in files:
        weights.update(load_file(file))
    return config, {name: tensor.float() for name, tensor in weights.items()}


def read_gguf(path):
    import gguf  # not needed for training

    reader = gguf.GGUFReader(path)

    def value(key):
        field = reader.get_field(key)
        if field is None:
            raise SystemExit(f"export: {path}: the key {key} is missing (a file of the keeper)")
        return field.contents()

    def first(values):
        return values[0] if isinstance(values, list) else values

    def size(key):
        return value(f"gemma4.{key}")

    weights = {}
    for tensor in reader.tensors:
        name = tensor.name.removesuffix(".weight")
        if name == "rope_freqs":
            continue
        if name.startswith("blk."):
            _, layer, name = name.split(".")
            name = f"layers.{layer}.{GGUF_LAYER_NAMES[name]}"
        else:
            name = GGUF_NAMES[name]
        if not name.endswith("layer_scalar"):
            name += ".weight"
        values = gguf.quants.dequantize(tensor.data, tensor.tensor_type)
        weights[f"model.{name}"] = torch.tensor(values).float()
    config = KeeperConfig(
        vocab_size=weights["model.embed_tokens.weight"].shape[0],
        hidden_size=size("embedding_length"),
        num_hidden_layers=size("block_count"),
        num_kv_shared_layers=size("attention.shared_kv_layers"),
        num_attention_heads=first(size("attention.head_count")),
        num_key_value_heads=first(size("attention.head_count_kv")),
        head_dim=size("attention.key_length_swa"),
        global_head_dim=size("attention.key_length"),
        intermediate_size=first(size("feed_forward_length")),
        hidden_size_per_layer_input=size("embedding_length_per_layer_input"),
        sliding_window=size("attention.sliding_window"),
        max_position_embeddings=size("context_length"))
    pattern = [config.layer_type(layer) for layer in range(config.num_hidden_layers)]
    stored = [SLIDING if is_sliding else FULL
              for is_sliding in size("attention.sliding_window_pattern")]
    if stored != pattern:
        raise SystemExit(f"export: {path}: layers are {stored} (sliding and full in turn)")
    return config, weights


def write_folder(folder, config, weights, tokenizer=None):
    model = Keeper(config)
    model.load_state_dict(weights)  # every tensor is there and has its shape
    folder.mkdir(parents=True, exist_ok=True)

    def write_json(name, values):
        (folder / name).write_text(json.dumps(values, indent=2) + "\n")

    write_json("config.json", config.to_transformers_json())
    write_json("generation_config.json", GENERATION)
    (folder / "README.md").write_text("---\nlicense: apache-2.0\n---\n")
    save_file({name: tensor.contiguous() for name, tensor in weights.items()},
              folder / "model.safetensors", metadata={"format": "pt"})
    if tokenizer is not None:
        check_tokenizer(tokenizer, config.vocab_size)
        shutil.copyfile(tokenizer, folder / "tokenizer.json")
        write_json("tokenizer_config.json",
                   {**TOKENIZER, "model_max_length": config.max_position_embeddings})
    check_transformers(folder, model)


def check_tokenizer(path, vocab_size):
    values = json.loads(path.read_text())
    ids = {*values["model"]["vocab"].values(), *(token["id"] for token in values["added_tokens"])}
    if ids != set(range(vocab_size)):
        raise SystemExit(f"export: {path}: {len(ids)} ids up to {max(ids)} (0 to {vocab_size - 1}, "
                         "the vocabulary of the weights)")


@torch.no_grad()
def check_transformers(folder, model):
    """transformers opens the folder and gives our logits, below and above the window."""
    from transformers import AutoModelForCausalLM

    theirs = AutoModelForCausalLM.from_pretrained(folder, attn_implementation="eager").eval()
    length = 2 * model.config.sliding_window + 40
    ids = torch.randint(0, model.config.vocab_size, (1, length))
    difference = (theirs(ids).logits - model(ids)).abs().max().item()
    if not difference < 1e-3:
        raise SystemExit(f"export: {folder}: transformers' logits differ by {difference:g} (1e-3)")
    print(f"export: {folder}: {model.n_parameters():,} parameters; transformers' logits differ by "
          f"{difference:.1e}")


def dequantised_folder(gguf_path, folder, tokenizer=None):
    """The shipped file as f32: what training goes on from and transformers is compared with."""
    write_folder(pathlib.Path(folder), *read_gguf(pathlib.Path(gguf_path)), tokenizer)


def main():
    parser = argparse.ArgumentParser(prog="keeper.export", description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("source", type=pathlib.Path, help="a folder of keeper.train, or a GGUF file")
    add("--tokenizer", type=pathlib.Path, help="tokenizer.json, copied beside the weights")
    add("--out", type=pathlib.Path, required=True)
    args = parser.parse_args()
    write_folder(args.out, *load_keeper(args.source), args.tokenizer)


if __name__ == "__main__":
    sys.exit(main())
