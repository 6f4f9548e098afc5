#!/usr/bin/env python3
"""Renders chat templates with Hugging Face's transformers, for the test that compares our renderer with it.

    tools/render_chat.py CASES.JSON TEXTS.JSON

CASES.JSON: a list of {"template", "messages", "answer"}; TEXTS.JSON gets the list of texts. Exits with 77 where
`transformers` is not installed.
"""

import json
import sys

try:
    import tokenizers
    import transformers
except ImportError:
    print("transformers is not installed", file=sys.stderr)
    sys.exit(77)


def main():
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizers.Tokenizer(tokenizers.models.BPE()),
        bos_token="<｜begin▁of▁sentence｜>",
        eos_token="<｜end▁of▁sentence｜>",
    )
    with open(sys.argv[1], encoding="utf-8") as f:
        cases = json.load(f)
    texts = [
        tokenizer.apply_chat_template(
            case["messages"], chat_template=case["template"], add_generation_prompt=case["answer"], tokenize=False
        )
        for case in cases
    ]
    with open(sys.argv[2], "w", encoding="utf-8") as f:
        json.dump(texts, f, ensure_ascii=False)


if __name__ == "__main__":
    main()
