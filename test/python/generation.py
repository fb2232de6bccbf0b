"""What `npm run bench -- --only checkpoint` compares with: `generate` of transformers on the same number of cores.

Answers requests over the pipe with number 3, a line of JSON each: see test/src/bench/against/channel.ts.
    python3 generation.py float32|bfloat16
"""
import json
import socket
import sys
import time

import torch
from transformers import AutoModelForCausalLM


def some_tokens(count, vocab):
    return torch.tensor([(i * 7 + (i * i) % 5) % vocab for i in range(count)])


@torch.inference_mode()
def generate(model, w):
    prompts = some_tokens(w["prompts"] * w["promptTokens"], model.config.vocab_size).view(w["prompts"], -1)
    model.generate(
        prompts,
        attention_mask=torch.ones_like(prompts),
        min_new_tokens=w["newTokens"],
        max_new_tokens=w["newTokens"],
        pad_token_id=0,
        do_sample=w["temperature"] > 0,
        **({"temperature": w["temperature"], "top_k": 0, "top_p": 1.0} if w["temperature"] > 0 else {}),
    )


def main():
    channel = socket.socket(fileno=3).makefile("rw", encoding="utf8")
    torch.manual_seed(0)
    models, workload = {}, None
    for line in channel:
        request = json.loads(line)
        answer = {}
        if request["do"] == "open":
            workload = request["workload"]
            torch.set_num_threads(workload["threads"])
            path = workload["model"]
            if path not in models:
                models[path] = AutoModelForCausalLM.from_pretrained(path, dtype=getattr(torch, sys.argv[1])).eval()
        elif request["do"] == "run":
            begun = time.perf_counter()
            generate(models[workload["model"]], workload)
            answer["ms"] = 1000 * (time.perf_counter() - begun)
        channel.write(json.dumps(answer) + "\n")
        channel.flush()


main()
