"""The keeper's network: a plain torch twin of transformers' Gemma4ForCausalLM.

Parameter names are those of transformers, so a state dict passes between the two. A row of tokens
may hold several documents one after the other; a token attends to its own document only, and
within a sliding layer to the last `sliding_window` tokens of it.

    model = Keeper(KeeperConfig())
    logits = model(ids)                    # [B, L, V]
    hidden = model.model(ids, documents)   # [B, L, D], documents [B, L] never decrease along a row
"""

import dataclasses

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.attention.flex_attention import BlockMask, flex_attention

SLIDING, FULL = "sliding_attention", "full_attention"
FLEX_BLOCK = 128  # FlexAttention skips tiles of this many queries and keys
EPS = 1e-6
SOFT_CAP = 30.0
ROPE = {SLIDING: {"rope_type": "default", "rope_theta": 10_000.0},
        FULL: {"rope_type": "proportional", "rope_theta": 1_000_000.0,
               "partial_rotary_factor": 0.25}}


@dataclasses.dataclass(frozen=True)
class KeeperConfig:
    """The sizes that may change; everything else is as in Gemma 4 E2B."""

    vocab_size: int = 2560
    hidden_size: int = 256
    num_hidden_layers: int = 8  # sliding and full in turn, the last one full
    num_kv_shared_layers: int = 2
    num_attention_heads: int = 4
    num_key_value_heads: int = 1
    head_dim: int = 64
    global_head_dim: int = 128
    intermediate_size: int = 512  # twice that in the layers that share keys and values
    hidden_size_per_layer_input: int = 32
    sliding_window: int = 128
    max_position_embeddings: int = 4096

    def layer_type(self, layer):
        return FULL if layer % 2 else SLIDING

    @property
    def n_owning_layers(self):
        return self.num_hidden_layers - self.num_kv_shared_layers

    def shares_kv(self, layer):
        return layer >= self.n_owning_layers

    def stores_kv(self, layer):
        """The last owner of each type, whose keys and values the sharing layers read."""
        return self.n_owning_layers - 2 <= layer < self.n_owning_layers

    def layer_head_dim(self, layer):
        return self.global_head_dim if self.layer_type(layer) == FULL else self.head_dim

    def layer_intermediate_size(self, layer):
        return self.intermediate_size * (2 if self.shares_kv(layer) else 1)

    def to_transformers_json(self):
        """config.json as transformers 5.24.0 writes it."""
        n = self.num_hidden_layers
        digits = len(str(n - 1))
        layer_types = [self.layer_type(layer) for layer in range(n)]
        return {
            "architectures": ["Gemma4ForCausalLM"],
            "attention_bias": False,
            "attention_dropout": 0.0,
            "attention_k_eq_v": False,
            "bos_token_id": 2,
            "dtype": "float32",
            "enable_moe_block": False,
            "eos_token_id": 1,
            "final_logit_softcapping": SOFT_CAP,
            "head_dim": self.head_dim,
            "hidden_activation": "gelu_pytorch_tanh",
            "hidden_size": self.hidden_size,
            "hidden_size_per_layer_input": self.hidden_size_per_layer_input,
            "initializer_range": 0.02,
            "intermediate_size": self.intermediate_size,
            "layer_types": layer_types,
            "max_position_embeddings": self.max_position_embeddings,
            "model_type": "gemma4_text",
            "moe_intermediate_size": None,
            "num_attention_heads": self.num_attention_heads,
            "num_experts": None,
            "num_hidden_layers": n,
            "num_key_value_heads": self.num_key_value_heads,
            "num_kv_shared_layers": self.num_kv_shared_layers,
            "pad_token_id": 0,
            "per_layer_config": {f"{layer:0{digits}}": {"head_dim": self.global_head_dim}
                                 for layer in range(n) if layer_types[layer] == FULL},
            "rms_norm_eps": EPS,
            "rope_parameters": ROPE,
            "sliding_window": self.sliding_window,
            "tie_word_embeddings": True,
            "top_k_experts": None,
            "transformers_version": "5.24.0",
            "use_bidirectional_attention": None,
            "use_cache": True,
            "use_double_wide_mlp": True,
            "vocab_size": self.vocab_size,
            "vocab_size_per_layer_input": self.vocab_size,
        }

    @classmethod
    def from_transformers_json(cls, values):
        """Reads a config.json of a keeper; what is not a size here must be as we write it."""
        heads = {layer["head_dim"] for layer in values["per_layer_config"].values()}
        sizes = {field.name: values[field.name] for field in dataclasses.fields(cls)
                 if field.name != "global_head_dim"}
        config = cls(**sizes, global_head_dim=heads.pop())
        for key, want in config.to_transformers_json().items():
            if key not in ("dtype", "transformers_version") and values.get(key) != want:
                raise ValueError(f"config.json: {key} is {values.get(key)} (a keeper has {want})")
        return config


class RMSNorm(nn.Module):
    """Root-mean-square norm in f32, whatever comes in; the weight is not 1 + w."""

    def __init__(self, dim):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(dim))

    def forward(self, x):
        return F.rms_norm(x.float(), self.weight.shape, self.weight, EPS)


def linear(n_in, n_out):
    return nn.Linear(n_in, n_out, bias=False)


def rope_tables(layer_type, head_dim, length):
    """cos and sin [length, head_dim / 2] in f32."""
    rope = ROPE[layer_type]
    n_angles = int(rope.get("partial_rotary_factor", 1.0) * head_dim // 2)
    frequencies = torch.zeros(head_dim // 2)  # angles beyond n_angles do not turn
    exponents = torch.arange(0, 2 * n_angles, 2, dtype=torch.float32) / head_dim
    frequencies[:n_angles] = 1.0 / rope["rope_theta"] ** exponents
    angles = torch.arange(length, dtype=torch.float32)[:, None] * frequencies
    return angles.cos(), angles.sin()


def rotate(x, cos, sin):
    """RoPE over pairs (j, j + head_dim / 2); x is [B, heads, L, head_dim]."""
    first, second = x.chunk(2, dim=-1)
    return torch.cat((first * cos - second * sin, second * cos + first * sin), dim=-1)


class SdpaAttention:
    """Masked attention with torch's own kernels, for one batch of documents [B, L]."""

    def __init__(self, documents, window):
        self.window = window
        length = documents.shape[1]
        position = torch.arange(length, device=documents.device)
        back = position[:, None] - position[None, :]
        same = documents[:, :, None] == documents[:, None, :]
        self.full = (same & (back >= 0))[:, None]  # [B, 1, L, L]
        # Blocks of a window's length see themselves and the block before, nothing else.
        self.blocked = length % window == 0 and length > 2 * window
        if not self.blocked:
            self.sliding = self.full & (back < window)
            return
        blocks = documents.unflatten(1, (-1, window))
        before = F.pad(blocks, (0, 0, 1, 0), value=-1)[:, :-1]
        keys = torch.cat((before, blocks), dim=2)
        back = torch.arange(window, 2 * window, device=documents.device)[:, None] - torch.arange(
            2 * window, device=documents.device)
        seen = (back >= 0) & (back < window)
        same = blocks[:, :, :, None] == keys[:, :, None, :]
        self.sliding = (same & seen).flatten(0, 1)[:, None]  # [B·blocks, 1, W, 2W]

    def __call__(self, layer_type, q, k, v):
        """q [B, H, L, d], k and v [B, KV, L, d] → [B, H, L, d]"""
        n_groups = q.shape[1] // k.shape[1]
        if n_groups > 1:
            k, v = (x.repeat_interleave(n_groups, dim=1) if x.shape[1] > 1
                    else x.expand(-1, n_groups, -1, -1) for x in (k, v))
        if layer_type == FULL or not self.blocked:
            mask = self.full if layer_type == FULL else self.sliding
            return F.scaled_dot_product_attention(q, k, v, attn_mask=mask, scale=1.0)
        batch = q.shape[0]
        q = self.cut(q).flatten(0, 1)
        k, v = (torch.cat((F.pad(x, (0, 0, 0, 0, 0, 0, 1, 0))[:, :-1], x), dim=3).flatten(0, 1)
                for x in (self.cut(k), self.cut(v)))
        out = F.scaled_dot_product_attention(q, k, v, attn_mask=self.sliding, scale=1.0)
        return out.unflatten(0, (batch, -1)).transpose(1, 2).flatten(2, 3)

    def cut(self, x):
        """[B, H, L, d] → [B, blocks, H, W, d]"""
        return x.unflatten(2, (-1, self.window)).transpose(1, 2)


class FlexAttention:
    """The same with FlexAttention, which skips tiles between documents. Compiled only."""

    def __init__(self, documents, window):
        length = documents.shape[1]
        n_blocks = length // FLEX_BLOCK
        blocks = documents.view(-1, n_blocks, FLEX_BLOCK)
        first, last = blocks[:, :, 0], blocks[:, :, -1]
        block = torch.arange(n_blocks, device=documents.device)
        back = block[:, None] - block[None, :]
        # Documents never decrease along a row, so the ends of two blocks tell what they share.
        meet = last[:, None, :] >= first[:, :, None]
        alike = first[:, None, :] == last[:, :, None]

        def full(b, h, q, k):
            return (documents[b, q] == documents[b, k]) & (q >= k)

        def sliding(b, h, q, k):
            return full(b, h, q, k) & (q - k < window)

        whole = alike & (back > 0)
        reach = (window - 1 + FLEX_BLOCK - 1) // FLEX_BLOCK
        self.masks = {
            FULL: self.block_mask(meet & (back >= 0) & ~whole, whole, full),
            SLIDING: self.block_mask(meet & (back >= 0) & (back <= reach), None, sliding),
        }

    @staticmethod
    def block_mask(partial, whole, mask_mod):
        def ordered(blocks):
            blocks = blocks[:, None].int()
            order = blocks.argsort(dim=-1, descending=True, stable=True)
            return blocks.sum(-1, dtype=torch.int32), order.int()

        tables = ordered(partial) + (ordered(whole) if whole is not None else (None, None))
        return BlockMask.from_kv_blocks(*tables, BLOCK_SIZE=FLEX_BLOCK, mask_mod=mask_mod)

    def __call__(self, layer_type, q, k, v):
        return flex_attention(q, k, v, block_mask=self.masks[layer_type], scale=1.0,
                              enable_gqa=q.shape[1] != k.shape[1])


ATTENTION = {"sdpa": SdpaAttention, "flex": FlexAttention}


class Attention(nn.Module):
    def __init__(self, config, layer):
        super().__init__()
        self.layer_type = config.layer_type(layer)
        self.head_dim = config.layer_head_dim(layer)
        width = config.num_attention_heads * self.head_dim
        kv_width = config.num_key_value_heads * self.head_dim
        self.q_proj = linear(config.hidden_size, width)
        self.q_norm = RMSNorm(self.head_dim)
        self.shares_kv = config.shares_kv(layer)
        if not self.shares_kv:
            self.k_norm = RMSNorm(self.head_dim)
            self.k_proj = linear(config.hidden_size, kv_width)
            self.v_proj = linear(config.hidden_size, kv_width)
        self.o_proj = linear(width, config.hidden_size)

    def heads(self, x):
        return x.unflatten(-1, (-1, self.head_dim))

    def forward(self, x, attend, rope, shared_kv):
        """Returns the output and the keys and values that were read."""
        q = self.heads(self.q_proj(x))
        dtype = q.dtype  # bf16 under autocast; norms and RoPE stay in f32
        q = rotate(self.q_norm(q).transpose(1, 2), *rope).to(dtype)
        if self.shares_kv:
            k, v = shared_kv
        else:
            k = rotate(self.k_norm(self.heads(self.k_proj(x))).transpose(1, 2), *rope).to(dtype)
            v = F.rms_norm(self.heads(self.v_proj(x)).float(), (self.head_dim,), eps=EPS)
            v = v.transpose(1, 2).to(dtype)
        out = attend(self.layer_type, q, k, v)
        return self.o_proj(out.transpose(1, 2).flatten(2)), (k, v)


class Mlp(nn.Module):
    def __init__(self, config, layer):
        super().__init__()
        width = config.layer_intermediate_size(layer)
        self.gate_proj = linear(config.hidden_size, width)
        self.up_proj = linear(config.hidden_size, width)
        self.down_proj = linear(width, config.hidden_size)

    def forward(self, x):
        return self.down_proj(F.gelu(self.gate_proj(x), approximate="tanh") * self.up_proj(x))


class Layer(nn.Module):
    def __init__(self, config, layer):
        super().__init__()
        dim = config.hidden_size
        self.self_attn = Attention(config, layer)
        self.mlp = Mlp(config, layer)
        self.input_layernorm = RMSNorm(dim)
        self.post_attention_layernorm = RMSNorm(dim)
        self.pre_feedforward_layernorm = RMSNorm(dim)
        self.post_feedforward_layernorm = RMSNorm(dim)
        self.per_layer_input_gate = linear(dim, config.hidden_size_per_layer_input)
        self.per_layer_projection = linear(config.hidden_size_per_layer_input, dim)
        self.post_per_layer_input_norm = RMSNorm(dim)
        self.register_buffer("layer_scalar", torch.ones(1))

    def forward(self, x, per_layer_input, attend, rope, shared_kv):
        out, kv = self.self_attn(self.input_layernorm(x), attend, rope, shared_kv)
        x = x + self.post_attention_layernorm(out)
        x = x + self.post_feedforward_layernorm(self.mlp(self.pre_feedforward_layernorm(x)))
        gate = F.gelu(self.per_layer_input_gate(x), approximate="tanh")
        out = self.per_layer_projection(gate * per_layer_input)
        x = x + self.post_per_layer_input_norm(out)
        return x * self.layer_scalar, kv


class Decoder(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.config = config
        width = config.num_hidden_layers * config.hidden_size_per_layer_input
        self.embed_tokens = nn.Embedding(config.vocab_size, config.hidden_size)
        self.embed_tokens_per_layer = nn.Embedding(config.vocab_size, width)
        self.per_layer_model_projection = linear(config.hidden_size, width)
        self.per_layer_projection_norm = RMSNorm(config.hidden_size_per_layer_input)
        self.layers = nn.ModuleList(Layer(config, i) for i in range(config.num_hidden_layers))
        self.norm = RMSNorm(config.hidden_size)
        for layer_type, head_dim in ((SLIDING, config.head_dim), (FULL, config.global_head_dim)):
            cos, sin = rope_tables(layer_type, head_dim, config.max_position_embeddings)
            self.register_buffer(f"{layer_type}_cos", cos, persistent=False)
            self.register_buffer(f"{layer_type}_sin", sin, persistent=False)

    def per_layer_inputs(self, ids, x):
        """[B, L, layers, P]: what the token says, and what its embedding says."""
        config = self.config
        shape = (config.num_hidden_layers, config.hidden_size_per_layer_input)
        token = self.embed_tokens_per_layer(ids) * config.hidden_size_per_layer_input**0.5
        context = self.per_layer_model_projection(x) * config.hidden_size**-0.5
        context = self.per_layer_projection_norm(context.unflatten(-1, shape))
        return (context + token.unflatten(-1, shape)) * 2.0**-0.5

    def forward(self, ids, documents=None, attention="sdpa"):
        config = self.config
        if documents is None:
            documents = torch.zeros_like(ids)
        attend = ATTENTION[attention](documents, config.sliding_window)
        x = self.embed_tokens(ids) * config.hidden_size**0.5
        per_layer_inputs = self.per_layer_inputs(ids, x)
        # Only differences of positions matter, so documents need not start at 0.
        length = ids.shape[1]
        rope = {SLIDING: (self.sliding_attention_cos[:length], self.sliding_attention_sin[:length]),
                FULL: (self.full_attention_cos[:length], self.full_attention_sin[:length])}
        shared_kv = {}
        for i, layer in enumerate(self.layers):
            layer_type = config.layer_type(i)
            x, kv = layer(x, per_layer_inputs[:, :, i], attend, rope[layer_type],
                          shared_kv.get(layer_type))
            if config.stores_kv(i):
                shared_kv[layer_type] = kv
        return self.norm(x)


class Keeper(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.config = config
        self.model = Decoder(config)
        self.initialise()

    @torch.no_grad()
    def initialise(self):
        """Norms sit on both sides of each block and attention has scale 1, so weights of 1 would
        drown the token's identity in noise and saturate attention from the start."""
        for name, parameter in self.named_parameters():
            if name.endswith("embed_tokens_per_layer.weight"):
                nn.init.normal_(parameter, std=self.config.hidden_size_per_layer_input**-0.5)
            elif parameter.ndim == 2:  # embed_tokens too: its rows enter with sqrt(D)
                nn.init.normal_(parameter, std=parameter.shape[1] ** -0.5)
            elif name.endswith("q_norm.weight"):
                nn.init.constant_(parameter, parameter.shape[0] ** -0.5)
            elif ".post_" in name:
                nn.init.constant_(parameter, 0.2)
            else:
                nn.init.ones_(parameter)

    def head(self, hidden):
        """Logits after the soft cap, in f32."""
        logits = F.linear(hidden, self.model.embed_tokens.weight).float()
        return SOFT_CAP * torch.tanh(logits / SOFT_CAP)

    def forward(self, ids, documents=None, attention="sdpa"):
        return self.head(self.model(ids, documents, attention))

    def n_parameters(self):
        """Layer scalars count: they are tensors of the file, though they stay at 1."""
        return sum(tensor.numel() for tensor in self.state_dict().values())
