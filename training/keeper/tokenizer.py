"""The keeper's tokenizer: Gemma 4's algorithm and control pieces with 2,560 pieces.

    python3 -m keeper.tokenizer OUT.json      train it on generated text (a minute)

Ids 0-493 are Gemma 4's own (control pieces, runs of newlines and spaces, tags, bytes), then come
runs of tabs, <|image>, <|audio>, ordinary pieces, and in the last five places the media pieces.
Merges never cross the borders of `WORD`, so that a text can be encoded word by word.
"""

import json
import re
import sys
from pathlib import Path

from keeper import render

VOCABULARY = 2560
MAX_RUN = 31
NEWLINES, BYTES, ORDINARY = 107, 238, 527  # the first id of each
MEDIA = ["<|image|>", "<|audio|>", "<image|>", "<audio|>", "<|video|>"]
NAMED = {
    0: "<pad>", 1: "<eos>", 2: "<bos>", 3: "<unk>", 4: "<mask>", 5: "[multimodal]",
    46: "<|tool>", 47: "<tool|>", 48: "<|tool_call>", 49: "<tool_call|>", 50: "<|tool_response>",
    51: "<tool_response|>", 52: '<|"|>', 98: "<|think|>", 100: "<|channel>", 101: "<channel|>",
    105: "<|turn>", 106: "<turn|>",
}
HTML_TAGS = """<table> <caption> <thead> <tbody> <tfoot> <tr> <th> <td> </table> </caption> </thead>
</tbody> </tfoot> </tr> </th> </td> <h1> <h2> <h3> <h4> <h5> <h6> <blockquote> </h1> </h2> </h3>
</h4> </h5> </h6> </blockquote> <strong> <em> <b> <i> <u> <s> <sub> <sup> <code> </strong> </em>
</b> </i> </u> </s> </sub> </sup> </code> <a> <html> <body> <img> <span> <bbox> <ul> <li> <div>
<iframe> <footer> </a> </html> </body> </img> </span> </bbox> </ul> </li> </div> </iframe>
</footer>""".split()

# Words in the sense of the merges. A space belongs to the letters after it and to nothing else.
WORD = re.compile(r"\n+|\t+| ?[A-Za-z]+| +|.", re.DOTALL)

# Pieces that stand for a whole word of the syntax, whatever the training text says.
SYNTAX = """user model system thought call declaration response description parameters properties
required type enum items value STRING NUMBER INTEGER BOOLEAN ARRAY OBJECT true false""".split()


class Tokenizer:
    """Text with control characters (see render.py) -> ids. Equal to the product's encoding."""

    def __init__(self, path):
        data = json.loads(Path(path).read_text())
        self.vocabulary = data["model"]["vocab"]
        self.pieces = [""] * len(self.vocabulary)
        for piece, token_id in self.vocabulary.items():
            self.pieces[token_id] = piece
        merges = data["model"]["merges"]
        self._ranks = {tuple(m) if isinstance(m, list) else tuple(m.split(" ")): k
                       for k, m in enumerate(merges)}
        self._known = {}
        # The ordinary pieces as text, for names that are made of them.
        self.ordinary = [self.pieces[k].replace("▁", " ")
                         for k in range(ORDINARY, len(self.pieces) - len(MEDIA))]

    def encode(self, text):
        ids = []
        known = self._known
        for word in WORD.findall(text):
            found = known.get(word)
            if found is None:
                found = known[word] = self._encode_word(word)
            ids += found
        return ids

    def _encode_word(self, word):
        if len(word) == 1 and render.CONTROL_BASE <= ord(word) < render.CONTROL_BASE + ORDINARY:
            return [ord(word) - render.CONTROL_BASE]
        symbols = list(word.replace(" ", "▁"))
        while len(symbols) > 1:
            rank, at = min((self._ranks.get(pair, 1 << 30), k)
                           for k, pair in enumerate(zip(symbols, symbols[1:])))
            if rank == 1 << 30:
                break
            symbols[at:at + 2] = [symbols[at] + symbols[at + 1]]
        ids = []
        for symbol in symbols:
            if symbol in self.vocabulary:
                ids.append(self.vocabulary[symbol])
            else:
                ids += [BYTES + byte for byte in symbol.encode()]
        return ids

    def encode_document(self, conversation):
        """(ids, weight of predicting each of them)."""
        ids, weights = [], []
        for text, weight in render.render(conversation):
            part = self.encode(text)
            ids += part
            weights += [weight] * len(part)
        return ids, weights


def _control_pieces():
    """The pieces before the ordinary ones, in their order."""
    pieces = [NAMED.get(k, f"<unused{k - 6}>") for k in range(NEWLINES)]
    pieces += ["\n" * k for k in range(1, MAX_RUN + 1)]
    pieces += ["▁" * k for k in range(2, MAX_RUN + 1)]
    pieces += HTML_TAGS
    pieces += [f"<0x{byte:02X}>" for byte in range(256)]
    pieces += ["\t" * k for k in range(1, MAX_RUN + 1)]
    return pieces + ["<|image>", "<|audio>"]


def _run_merges():
    """Longest result first, and of its halves the longest left one, as in Gemma's list."""
    merges = []
    for length in range(MAX_RUN, 1, -1):
        for left in range(length - 1, 0, -1):
            for character in "\n▁\t":
                merges.append([character * left, character * (length - left)])
    return merges


def train(texts, out):
    """Trains on texts and writes a tokenizer.json as transformers reads it."""
    import tokenizers

    library = tokenizers.Tokenizer(tokenizers.models.BPE())
    library.normalizer = tokenizers.normalizers.Replace(" ", "▁")
    word = tokenizers.Regex(r"\n+|\t+|▁?[A-Za-z]+|▁+|[^A-Za-z\n\t▁]")
    library.pre_tokenizer = tokenizers.pre_tokenizers.Split(word, "isolated")
    n_ordinary = VOCABULARY - ORDINARY - len(MEDIA)
    alphabet = [chr(code) for code in range(33, 127)] + ["▁", "°"]
    library.train_from_iterator(texts, tokenizers.trainers.BpeTrainer(
        vocab_size=n_ordinary, initial_alphabet=alphabet, limit_alphabet=len(alphabet),
        special_tokens=[], show_progress=False))
    trained = json.loads(library.to_str())["model"]
    pieces = _control_pieces()
    assert len(pieces) == ORDINARY
    ordinary = [piece for piece in sorted(trained["vocab"], key=trained["vocab"].get)
                if piece not in ("\n", "\t")]
    pieces += ordinary[:n_ordinary]
    pieces += [f"<unused{99 + k}>" for k in range(n_ordinary - len(ordinary))]
    pieces += MEDIA
    vocabulary = {piece: k for k, piece in enumerate(pieces)}
    assert len(vocabulary) == VOCABULARY
    merges = _run_merges()
    for merge in trained["merges"]:
        pair = merge if isinstance(merge, list) else merge.split(" ")
        if "".join(pair) in vocabulary:
            merges.append(pair)
    missing = [w for w in SYNTAX if w not in vocabulary and "▁" + w not in vocabulary]
    assert not missing, f"no single pieces: {missing}"
    special = [k for k in NAMED if k != 5] + [525, 526] + list(range(VOCABULARY - 5, VOCABULARY))
    data = {
        "version": "1.0", "truncation": None, "padding": None,
        "added_tokens": [
            {"id": k, "content": pieces[k], "single_word": False, "lstrip": False, "rstrip": False,
             "normalized": False, "special": True} for k in sorted(special)],
        "normalizer": {"type": "Replace", "pattern": {"String": " "}, "content": "▁"},
        "pre_tokenizer": None, "post_processor": None,
        "decoder": {"type": "Sequence", "decoders": [
            {"type": "Replace", "pattern": {"String": "▁"}, "content": " "},
            {"type": "ByteFallback"}, {"type": "Fuse"}]},
        "model": {"type": "BPE", "dropout": None, "unk_token": "<unk>",
                  "continuing_subword_prefix": None, "end_of_word_suffix": None, "fuse_unk": True,
                  "byte_fallback": True, "ignore_merges": False, "vocab": vocabulary,
                  "merges": merges},
    }
    Path(out).write_text(to_text(data))


def to_text(data):
    """JSON with a piece, a merge, a token a line."""
    text = json.dumps(data, ensure_ascii=False)
    for before, after in (('{"id": ', '\n{"id": '), ('"normalizer"', '\n"normalizer"'),
                          ('], ["', '],\n["'), (', "merges": [', ',\n"merges": [\n'),
                          ('"vocab": {', '\n"vocab": {\n')):
        text = text.replace(before, after)
    return re.sub(r'(?<!"id)(": \d+,) (?=")', r"\1\n", text) + "\n"


def training_texts(n_documents):
    """Text stretches of generated conversations, without their control tokens."""
    from keeper import data

    for text in data.texts(n_documents):
        yield from re.split("[\ue000-\uf8ff]+", text)


if __name__ == "__main__":
    train(training_texts(30_000), sys.argv[1])
