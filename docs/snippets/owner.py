import torch

from clients import Owner

model = torch.nn.Linear(64, 10)

with Owner.connect("merit.toml") as owner:
    task = owner.create_task(model, rule="multi_krum+projection", reward_per_round_wei=10**18, rounds=3)
    for published in owner.models(task):  # as each round is settled
        owner.load(model, task, published.version)  # checked against the chain
    print("taken back:", owner.withdraw(task), "wei")
