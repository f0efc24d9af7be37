import torch
from sklearn.datasets import load_digits

from clients import Trainer

digits = load_digits()
data = torch.utils.data.TensorDataset(torch.tensor(digits.data / 16).float(), torch.tensor(digits.target))
loader = torch.utils.data.DataLoader(data, batch_size=32, shuffle=True)
model = torch.nn.Linear(64, 10)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

with Trainer.connect("merit.toml", task=1) as trainer:
    for round in trainer.rounds(model):  # the model now holds the global parameters
        for inputs, labels in loader:  # an ordinary training loop
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(model(inputs), labels).backward()
            optimizer.step()
        print("trained in round", round.number)
    print("paid:", trainer.withdraw(), "wei")
