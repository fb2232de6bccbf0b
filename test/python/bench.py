"""What the bench compares with: the same models and batches in plain PyTorch, float32, on the same number of cores.

Answers requests over the pipe with number 3, a line of JSON each: see test/src/bench/against/channel.ts.
"""
import json
import socket
import time

import torch
from torch import nn
from torch.nn import functional as F


class Block(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.ln_1, self.ln_2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention, self.projection = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x, cache, position):
        rows, length, width = x.shape
        split = lambda y: y.view(rows, length, self.heads, width // self.heads).transpose(1, 2)
        q, k, v = map(split, self.attention(self.ln_1(x)).chunk(3, -1))
        if cache is not None:
            keys, values = cache
            keys[:, :, position : position + length] = k
            values[:, :, position : position + length] = v
            k, v = keys[:, :, : position + length], values[:, :, : position + length]
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=length > 1)
        x = x + self.projection(mixed.transpose(1, 2).reshape(rows, length, width))
        return x + self.down(F.gelu(self.up(self.ln_2(x)), approximate="tanh"))


class GPT2(nn.Module):
    """Scores of the next token, or one value a token."""

    def __init__(self, layers, width, heads, vocabSize, contextLength, values=False):
        super().__init__()
        self.wte, self.wpe = nn.Embedding(vocabSize, width), nn.Embedding(contextLength, width)
        self.blocks = nn.ModuleList(Block(width, heads) for _ in range(layers))
        self.ln_f = nn.LayerNorm(width)
        self.head = nn.Linear(width, 1, bias=False) if values else nn.Linear(width, vocabSize, bias=False)
        for parameter in self.parameters():
            if parameter.dim() > 1:
                nn.init.normal_(parameter, std=0.02)
        if not values:
            self.head.weight = self.wte.weight

    def forward(self, ids, caches=None, position=0, since=0):
        """Scores at the places from `since` on."""
        x = self.wte(ids) + self.wpe.weight[position : position + ids.shape[1]]
        for index, block in enumerate(self.blocks):
            x = block(x, caches[index] if caches else None, position)
        return self.head(self.ln_f(x[:, since:]))

    def new_caches(self, rows, length):
        block = self.blocks[0]
        shape = (rows, block.heads, length, self.wte.embedding_dim // block.heads)
        return [(torch.zeros(shape), torch.zeros(shape)) for _ in self.blocks]


def some_tokens(count, vocab):
    return torch.tensor([(i * 7 + (i * i) % 5) % vocab for i in range(count)])


def adamw(*models, learning_rate):
    parameters = [p for model in models for p in model.parameters()]
    return torch.optim.AdamW(parameters, lr=learning_rate, eps=1e-8, weight_decay=0.01), parameters


@torch.no_grad()
def generate(model, prompts, new_tokens, temperature):
    """All rows at once, with a cache of keys and values: prompts [B, T] -> tokens [B, T + N], log-probs [B, N]."""
    rows, length = prompts.shape
    caches = model.new_caches(rows, length + new_tokens)
    tokens, logprobs, step, position = [prompts], [], prompts, 0
    for _ in range(new_tokens):
        logits = model(step, caches, position, since=step.shape[1] - 1)[:, 0]
        position += step.shape[1]
        logprob = torch.log_softmax(logits / temperature, -1)
        step = torch.multinomial(logprob.exp(), 1)
        tokens.append(step)
        logprobs.append(logprob.gather(-1, step))
    return torch.cat(tokens, 1), torch.cat(logprobs, 1)


def open_decode(w):
    model = GPT2(**w["shape"])
    prompts = some_tokens(w["prompts"] * w["promptTokens"], w["shape"]["vocabSize"])
    prompts = prompts.view(w["prompts"], w["promptTokens"])
    return lambda: generate(model, prompts, w["newTokens"], 0.7), 1


def open_training(w):
    model = GPT2(**w["shape"])
    optimizer, parameters = adamw(model, learning_rate=w["learningRate"])
    vocab = w["shape"]["vocabSize"]
    tokens = some_tokens(w["rows"] * (w["length"] + 1), vocab).view(w["rows"], w["length"] + 1)

    def update():
        logits = model(tokens[:, :-1])
        loss = F.cross_entropy(logits.reshape(-1, vocab), tokens[:, 1:].reshape(-1))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()

    return update, w["updates"]


def open_ppo(w):
    """Rollouts with their log-probs, those of a reference, values; advantages; epochs of updates of policy and value."""
    w = w["plain"]
    policy, reference, value = GPT2(**w["shape"]), GPT2(**w["shape"]), GPT2(**w["shape"], values=True)
    reference.load_state_dict(policy.state_dict())
    optimizer, parameters = adamw(policy, value, learning_rate=3e-6)
    start, size, vocab = w["promptTokens"], w["microBatch"], w["shape"]["vocabSize"]
    prompts = some_tokens(w["prompts"] * start, vocab).view(w["prompts"], start)

    def completion_logprobs(model, tokens, entropy=False):
        logits = model(tokens[:, :-1], since=start - 1)
        logprobs = torch.log_softmax(logits, -1)
        chosen = logprobs.gather(-1, tokens[:, start:, None])[..., 0]
        return (chosen, -(logprobs.exp() * logprobs).sum(-1)) if entropy else chosen

    def completion_values(tokens):
        return value(tokens[:, :-1], since=start - 1)[..., 0]

    @torch.no_grad()
    def rollouts():
        tokens, old = generate(policy, prompts, w["newTokens"], 1.0)
        parts = tokens.split(size)
        base = torch.cat([completion_logprobs(reference, part) for part in parts])
        values = torch.cat([completion_values(part) for part in parts])
        rewards = -0.05 * (old - base)
        rewards[:, -1] += (tokens[:, start:] % 7 == 0).float().mean(-1)
        advantages, running = torch.zeros_like(values), torch.zeros(len(tokens))
        for t in reversed(range(values.shape[1])):
            following = values[:, t + 1] if t + 1 < values.shape[1] else torch.zeros(len(tokens))
            running = rewards[:, t] + following - values[:, t] + 0.95 * running
            advantages[:, t] = running
        returns = advantages + values
        advantages = (advantages - advantages.mean()) / (advantages.std() + 1e-8)
        return tokens, old, values, advantages, returns

    def step():
        tokens, old, values, advantages, returns = rollouts()
        for _ in range(w["epochs"]):
            optimizer.zero_grad(set_to_none=True)
            order = torch.randperm(len(tokens))
            for rows in order.split(size):
                logprobs, entropy = completion_logprobs(policy, tokens[rows], entropy=True)
                ratio = torch.exp(logprobs - old[rows])
                a = advantages[rows]
                policy_loss = -torch.min(ratio * a, ratio.clamp(0.8, 1.2) * a).mean()
                now = completion_values(tokens[rows])
                near = values[rows] + (now - values[rows]).clamp(-0.2, 0.2)
                value_loss = 0.5 * torch.max((now - returns[rows]) ** 2, (near - returns[rows]) ** 2).mean()
                (policy_loss + 0.1 * value_loss).div(len(tokens) / size).backward()
                entropy.detach().mean()
            nn.utils.clip_grad_norm_(parameters, 1.0)
            optimizer.step()

    return step, 1


OPEN = {"decode": open_decode, "training": open_training, "ppo": open_ppo}


def main():
    channel = socket.socket(fileno=3).makefile("rw", encoding="utf8")
    torch.manual_seed(0)
    work, calls = None, 1
    for line in channel:
        request = json.loads(line)
        answer = {}
        if request["do"] == "open":
            workload = request["workload"]
            torch.set_num_threads(workload.get("threads") or workload["plain"]["threads"])
            work, calls = OPEN[workload["kind"]](workload)
        elif request["do"] == "run":
            work()  # fills the caches
            begun = time.perf_counter()
            for _ in range(calls):
                work()
            answer = {"ms": 1000 * (time.perf_counter() - begun) / calls}
        else:
            work = None
        channel.write(json.dumps(answer) + "\n")
        channel.flush()


main()
