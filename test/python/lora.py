"""What `npm run bench -- --only lora` compares with: DPO with PEFT in plain PyTorch, not compiled, float32, on the same number of cores.

Answers requests over the pipe with number 3, a line of JSON each: see test/src/bench/against/channel.ts.
"""
import json
import socket
import time

import torch
import torch.nn.functional as F
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM


def some_tokens(count, vocab):
    return torch.tensor([(i * 7 + (i * i) % 5) % vocab for i in range(count)])


class Training:
    def __init__(self, w):
        torch.set_num_threads(w["threads"])
        model = AutoModelForCausalLM.from_pretrained(w["model"], dtype=torch.float32)
        model.config.use_cache = False
        if w["gradientCheckpointing"]:
            model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
        config = LoraConfig(
            r=w["rank"], lora_alpha=2 * w["rank"], target_modules="all-linear", task_type="CAUSAL_LM"
        )
        self.model = get_peft_model(model, config).train()
        trained = [p for p in self.model.parameters() if p.requires_grad]
        self.trained = trained
        self.optimizer = torch.optim.AdamW(trained, lr=w["learningRate"], weight_decay=0.0)
        length = w["promptTokens"] + w["newTokens"]
        tokens = some_tokens(2 * w["pairs"] * length, model.config.vocab_size).view(2 * w["pairs"], length)
        # Both completions of a pair have the prompt of the first.
        tokens[1::2, : w["promptTokens"]] = tokens[0::2, : w["promptTokens"]]
        self.tokens, self.prompt, self.pairs = tokens, w["promptTokens"], w["pairs"]

    def step(self):
        self.optimizer.zero_grad(set_to_none=True)
        # A pair at a time, as micro-batches are there.
        for ids in self.tokens.split(2):
            # Logits for predicted tokens alone.
            kept = ids.shape[1] - self.prompt + 1
            logits = self.model(input_ids=ids, logits_to_keep=kept).logits[:, :-1]
            logprobs = torch.gather(F.log_softmax(logits, -1), 2, ids[:, self.prompt :].unsqueeze(-1)).squeeze(-1)
            ratios = (logprobs + 5).sum(-1)
            loss = -F.logsigmoid(0.1 * (ratios[0] - ratios[1])) / self.pairs
            loss.backward()
        torch.nn.utils.clip_grad_norm_(self.trained, 1.0)
        self.optimizer.step()


def main():
    channel = socket.socket(fileno=3).makefile("rw", encoding="utf8")
    torch.manual_seed(0)
    training = None
    for line in channel:
        request = json.loads(line)
        answer = {}
        if request["do"] == "open":
            training = Training(request["workload"])
        elif request["do"] == "run":
            begun = time.perf_counter()
            training.step()
            answer["ms"] = 1000 * (time.perf_counter() - begun)
        channel.write(json.dumps(answer) + "\n")
        channel.flush()


main()
