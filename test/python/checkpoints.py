"""What transformers and PEFT make of checkpoints, and checkpoints as they write them.

    python checkpoints.py INPUT OUTPUT

INPUT is JSON: `saves`, folders to load and to write elsewhere in another precision and in shards, and `loads`, folders of
models, some with an adapter, with sequences of token ids. OUTPUT is JSON: for each load the precision that it has by
default, what of its weights did not fit, every warning, and in float32 the log-probs of each sequence's tokens or its
score. Nothing is compared here.
"""

import json
import sys

import torch
from peft import PeftConfig, PeftModel
from told import Told
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForSequenceClassification, AutoTokenizer


def class_of(folder):
    [architecture] = AutoConfig.from_pretrained(folder).architectures
    scores = architecture.endswith("ForSequenceClassification")
    return AutoModelForSequenceClassification if scores else AutoModelForCausalLM


def save(request):
    model = class_of(request["from"]).from_pretrained(request["from"], dtype=getattr(torch, request["dtype"]))
    model.save_pretrained(request["to"], max_shard_size=request["maxShardBytes"])


def values(model, ids):
    ids = torch.tensor([ids])
    with torch.no_grad():
        logits = model(ids).logits
    if logits.dim() == 2:
        return logits[0].tolist()
    return logits.log_softmax(-1)[0, :-1].gather(1, ids[0, 1:, None])[:, 0].tolist()


def load(request):
    folder, adapter = request["folder"], request.get("adapter")
    with Told() as told:
        kind = class_of(folder)
        options = {}
        if adapter and PeftConfig.from_pretrained(adapter).task_type == "SEQ_CLS":
            kind, options = AutoModelForSequenceClassification, {"num_labels": 1}
        by_default = kind.from_pretrained(folder, **options).dtype
        model, info = kind.from_pretrained(folder, dtype=torch.float32, output_loading_info=True, **options)
        problems = [f"{what}: {name}" for what, names in info.items() for name in names]
        if adapter:
            model = PeftModel.from_pretrained(model, adapter)
        tokenizer = AutoTokenizer.from_pretrained(adapter or folder)
        model.eval()
        computed = [values(model, ids) for ids in request["sequences"]]
    return {
        "dtype": str(by_default).removeprefix("torch."),
        "problems": problems,
        "warnings": told.messages,
        "values": computed,
        "chat": tokenizer.chat_template,
        "ends": None if kind is AutoModelForSequenceClassification or adapter else model.generation_config.eos_token_id,
    }


def main(source, target):
    with open(source, encoding="utf-8") as file:
        request = json.load(file)
    for each in request["saves"]:
        save(each)
    answer = [load(each) for each in request["loads"]]
    with open(target, "w", encoding="utf-8") as file:
        json.dump(answer, file)


main(*sys.argv[1:])
