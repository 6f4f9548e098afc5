#!/usr/bin/env python3
"""Writes the ids that Hugging Face's `tokenizers` gives, as vectors that the project's own tokenizer must reproduce.

    tools/check_tokenizer.py TOKENIZER.JSON VECTORS.JSONL [--text DIR] [--random N]

Every .py file under DIR (default: this Python's standard library), each once, then N random strings over all of Unicode.
Texts that spell an added token are left out: there the two differ on purpose (plain text never gives control tokens).
Compare with `ballast tokenizer check TOKENIZER.JSON VECTORS.JSONL`. Exits with 77 where `tokenizers` is not installed.
"""

import argparse
import json
import pathlib
import random
import sys
import sysconfig
import unicodedata

try:
    import tokenizers
except ImportError:
    print("tokenizers is not installed", file=sys.stderr)
    sys.exit(77)


def library_texts(folder):
    for path in sorted(folder.rglob("*.py")):
        if "site-packages" in path.parts or "dist-packages" in path.parts:
            continue
        try:
            yield path.read_bytes().decode("utf-8")
        except UnicodeDecodeError:
            continue  # test files in other encodings


def random_texts(count, seed=1):
    rng = random.Random(seed)
    # Code points that Unicode 14 (that of PCRE2 10.42) does not know yet have another class in newer libraries.
    old = [c for c in map(chr, range(0x110000)) if unicodedata.ucd_3_2_0.category(c) not in ("Cn", "Cs")]
    common = " \t\n\r\u00a0\u3000'_.,;:!?()[]{}<>=+-*/\\|\"#@$%^&~`abcXYZ019"
    pieces = ["    ", "\n\n", "\r\n", "'s", "'ll", "'LL", "def ", "return", "0x1F", "\u00e9", "e\u0301", "\u180e", "\u4e2d\u6587", "\ud55c"]
    for _ in range(count):
        parts = []
        for _ in range(rng.randrange(60)):
            kind = rng.randrange(4)
            parts.append(rng.choice((old, common, common, pieces)[kind]))
        yield "".join(parts)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tokenizer", type=pathlib.Path)
    parser.add_argument("vectors", type=pathlib.Path)
    parser.add_argument("--text", type=pathlib.Path, default=pathlib.Path(sysconfig.get_path("stdlib")))
    parser.add_argument("--random", type=int, default=2000)
    args = parser.parse_args()

    tokenizer = tokenizers.Tokenizer.from_file(str(args.tokenizer))
    added = [t["content"] for t in json.loads(args.tokenizer.read_text(encoding="utf-8")).get("added_tokens", [])]
    control = [t for t in added if len(t) > 1]
    written = 0
    with args.vectors.open("w", encoding="utf-8") as out:
        for source in (library_texts(args.text), random_texts(args.random)):
            for text in source:
                if any(t in text for t in control):
                    continue
                ids = tokenizer.encode(text, add_special_tokens=False).ids
                print(json.dumps({"text": text, "ids": ids}), file=out)
                written += 1
    print(f"{written} texts")


if __name__ == "__main__":
    main()
