"""Training: data sets, augmentation, loops and scores.

`archdsl.train` is the whole way. Each part is of use alone, in a loop in plain PyTorch, in Lightning, or elsewhere:

    import archdsl
    from archdsl.training.losses import dice, ohem          # also cross_entropy, focal, lovasz, Criterion
    from archdsl.training.metrics import Confusion

    model = archdsl.load("specs/dwrseg.arch", classes=11).module(seed=0)   # a torch.nn.Module
    loss = ohem(model(images), labels) + dice(model(images), labels)       # logits [N, K, H, W], labels [N, H, W]
    loss.backward()

    scores = Confusion(11)
    scores.add(model.eval()(images).argmax(1), labels)                     # 255 is void
    print(scores.miou(), scores.iou())

A network with auxiliary outputs gives a dict by output name while it trains, and its output alone otherwise.
"""
