#!/usr/bin/env python3
"""The keeper's network gives the logits of transformers' Gemma 4 class; packing changes nothing.

    PYTHONPATH=training python training/tests/model_test.py
"""

import dataclasses
import unittest

import torch
from keeper import model as km
from transformers import AutoConfig
from transformers.models.gemma4.configuration_gemma4 import Gemma4TextConfig
from transformers.models.gemma4.modeling_gemma4 import Gemma4ForCausalLM

SMALL = km.KeeperConfig(vocab_size=96, hidden_size=64, head_dim=16, global_head_dim=32,
                        intermediate_size=64, hidden_size_per_layer_input=8, sliding_window=16)

# Two rows of documents, with borders on and beside a tile's edge, and one document of one token.
BREAKS = torch.zeros(2, 512, dtype=torch.long)
BREAKS[0, [100, 128, 300, 301]] = 1
BREAKS[1, 383] = 1
DOCUMENTS = BREAKS.cumsum(1)


def random_model(config):
    """All weights random, norms and scalars too: a factor that is left out must show."""
    torch.manual_seed(5)
    model = km.Keeper(config)
    with torch.no_grad():
        for tensor in model.state_dict().values():
            if tensor.ndim == 1:
                tensor.mul_(torch.rand_like(tensor) + 0.5)
    return model.eval()


def reference(model):
    values = model.config.to_transformers_json()
    config = Gemma4TextConfig(**{key: value for key, value in values.items()
                                 if key not in ("architectures", "transformers_version")})
    config._attn_implementation = "eager"
    twin = Gemma4ForCausalLM(config).eval()
    missing, unexpected = twin.load_state_dict(model.state_dict(), strict=False)
    assert missing == ["lm_head.weight"] and not unexpected, (missing, unexpected)
    twin.tie_weights()
    return twin


class Model(unittest.TestCase):
    def test_has_the_documented_number_of_parameters(self):
        self.assertEqual(km.Keeper(km.KeeperConfig()).n_parameters(), 7_319_144)

    def test_gives_the_logits_of_transformers(self):
        for config, lengths in ((SMALL, (1, 9, 16, 17, 48, 75)),
                                (km.KeeperConfig(), (50, 128, 129, 384))):
            model = random_model(config)
            twin = reference(model)
            for length in lengths:
                with self.subTest(hidden_size=config.hidden_size, length=length):
                    ids = torch.randint(0, config.vocab_size, (2, length))
                    with torch.no_grad():
                        ours, theirs = model(ids), twin(ids).logits
                    self.assertLess((ours - theirs).abs().max().item(), 1e-4)
                    self.assertGreater(theirs.std().item(), 0.1)

    def test_config_survives_transformers(self):
        config = km.KeeperConfig(vocab_size=3072, intermediate_size=768)
        values = config.to_transformers_json()
        self.assertEqual(km.KeeperConfig.from_transformers_json(values), config)
        read = AutoConfig.for_model(**{key: value for key, value in values.items()
                                       if key != "architectures"})
        written = read.to_dict()
        for key in ("per_layer_config", "rope_parameters", "layer_types", "use_double_wide_mlp"):
            self.assertEqual(written[key], values[key], key)
        values["sliding_window"] = 64
        values["rms_norm_eps"] = 1e-5
        with self.assertRaisesRegex(ValueError, "rms_norm_eps is 1e-05"):
            km.KeeperConfig.from_transformers_json(values)

    def test_documents_of_a_row_do_not_see_each_other(self):
        model = random_model(SMALL)
        lengths = (20, 3, 41)
        parts = [torch.randint(0, SMALL.vocab_size, (1, n)) for n in lengths]
        documents = torch.cat([torch.full((1, n), i) for i, n in enumerate(lengths)], dim=1)
        with torch.no_grad():
            packed = model(torch.cat(parts, dim=1), documents)
            apart = torch.cat([model(part) for part in parts], dim=1)
        self.assertLess((packed - apart).abs().max().item(), 1e-4)

    def test_both_kinds_of_attention_agree(self):
        # Masks and arithmetic only: the compiled kernels of FlexAttention need a GPU.
        config = dataclasses.replace(SMALL, sliding_window=128)
        model = random_model(config)
        ids = torch.randint(0, config.vocab_size, DOCUMENTS.shape)
        with torch.no_grad():
            difference = model(ids, DOCUMENTS, "flex") - model(ids, DOCUMENTS, "sdpa")
        self.assertLess(difference.abs().max().item(), 1e-4)

    def test_flex_tables_name_the_tiles_that_a_mask_touches(self):
        flex = km.FlexAttention(DOCUMENTS, window=128)
        sdpa = km.SdpaAttention(DOCUMENTS, window=128)
        position = torch.arange(DOCUMENTS.shape[1])
        near = position[:, None] - position < 128
        for layer_type, mask in ((km.FULL, sdpa.full), (km.SLIDING, sdpa.full & near)):
            tiles = mask[:, 0].unflatten(2, (-1, km.FLEX_BLOCK)).unflatten(1, (-1, km.FLEX_BLOCK))
            touched, whole = tiles.any(4).any(2), tiles.all(4).all(2)
            block_mask = flex.masks[layer_type]
            self.assertTrue(torch.equal(block_mask.to_dense()[:, 0].bool(), touched), layer_type)
            if layer_type == km.FULL:
                counts = block_mask.full_kv_num_blocks[:, 0]
                self.assertTrue(torch.equal(counts.long(), whole.sum(2)))
                self.assertGreater(counts.sum().item(), 0)


if __name__ == "__main__":
    unittest.main()
